//! The dedup table: rows in the order of admission, the newest of them indexed in memory, the rest in sealed segments.
//!
//! A new identity costs a lookup in one hash map and in one filter per segment. Only if a filter says yes is the
//! segment's index read, and a hit there is checked in the table itself.

use std::time::Duration;

use fastbloom::BloomFilter;
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, params};

use reactor_core::event::{DeliveryId, HostTime, Identity, Origin, ReactorId};

use super::fault::{Fault, Sql};
use super::rows::{int, num};
use super::statements::Statements;

/// Bits per key in a segment's filter: enough that a new key usually reads no index, even with hundreds of segments.
const BITS_PER_KEY: usize = 16;
/// Bytes of an index entry.
const ENTRY: usize = 12;

/// The in-memory part of the ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tail: HashMap<(ReactorId, Identity), (DeliveryId, HostTime)>,
    rows: usize,
    tail_first: u64,
    segments: Vec<Segment>,
    /// Rows of a segment.
    pub(super) segment_rows: usize,
}

/// A full range of the ledger.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its number.
    pub(super) id: u64,
    /// Its first delivery.
    pub(super) first: u64,
    /// Its last delivery.
    pub(super) last: u64,
    /// When its last delivery was admitted.
    pub(super) newest: HostTime,
    filter: BloomFilter,
}

impl Ledger {
    /// Brings the memory in line with the file; keeps filters that are already loaded.
    pub(super) fn reload(&mut self, conn: &Connection) -> Sql<()> {
        let mut known: HashMap<u64, Segment> = self.segments.drain(..).map(|s| (s.id, s)).collect();
        let mut ids = conn.prepare("SELECT id, last FROM segments ORDER BY id")?;
        let ids = ids.query_map([], |row| Ok((num(row, 0)?, num(row, 1)?)))?.collect::<Result<Vec<(u64, u64)>, _>>()?;
        for (id, last) in ids {
            let segment = match known.remove(&id) {
                Some(segment) if segment.last == last => segment,
                _ => Segment::load(conn, id)?,
            };
            self.segments.push(segment);
        }
        let sealed = self.segments.last().map_or(0, |s| s.last);
        self.tail.clear();
        self.rows = 0;
        let mut tail =
            conn.prepare("SELECT delivery, reactor, since, key FROM ledger WHERE delivery > ?1 ORDER BY delivery")?;
        let mut rows = tail.query([int(sealed)])?;
        while let Some(row) = rows.next()? {
            self.remember(
                ReactorId(row.get(1)?),
                Identity(row.get(3)?),
                DeliveryId(num(row, 0)?),
                HostTime(num(row, 2)?),
            );
        }
        Ok(())
    }

    fn remember(&mut self, reactor: ReactorId, key: Identity, delivery: DeliveryId, since: HostTime) {
        if self.rows == 0 {
            self.tail_first = delivery.0;
        }
        self.tail.insert((reactor, key), (delivery, since));
        self.rows += 1;
    }

    /// The delivery that entered this key for the reactor within `window` before `now`.
    pub(super) fn find(
        &self,
        conn: &Connection,
        (reactor, key): (ReactorId, Identity),
        now: HostTime,
        window: Duration,
    ) -> Sql<Option<DeliveryId>> {
        let within = |(id, since): (DeliveryId, HostTime)| (now.since(since) < window).then_some(id);
        if let Some(found) = self.tail.get(&(reactor, key)) {
            return Ok(within(*found));
        }
        let hash = hash(reactor, key);
        for segment in self.segments.iter().rev() {
            if now.since(segment.newest) >= window {
                break;
            }
            if segment.filter.contains_hash(hash)
                && let Some(found) = segment.find(conn, (reactor, key), hash)?
            {
                return Ok(within(found));
            }
        }
        Ok(None)
    }

    /// Enters a delivery as the newest.
    pub(super) fn enter(
        &mut self,
        statements: &mut Statements<'_>,
        (reactor, key): (ReactorId, Identity),
        origin: Origin,
        delivery: DeliveryId,
        since: HostTime,
    ) -> Sql<()> {
        if self.rows >= self.segment_rows.max(1) {
            self.seal(statements.conn)?;
        }
        statements.of("INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            int(delivery.0),
            reactor.0,
            int(since.0),
            key.0,
            origin.channel.0,
            int(origin.offset.0),
            origin.part,
        ])?;
        self.remember(reactor, key, delivery, since);
        Ok(())
    }

    /// Indexes the tail and starts a new one.
    fn seal(&mut self, conn: &Connection) -> Sql<()> {
        let first = self.tail_first;
        let Some((last, newest)) = self.tail.values().map(|(delivery, since)| (delivery.0, *since)).max() else {
            return Ok(());
        };
        let mut keys = Vec::with_capacity(self.tail.len());
        let mut filter =
            BloomFilter::with_num_bits(self.tail.len() * BITS_PER_KEY).seed(&0).expected_items(self.tail.len());
        for (&(reactor, key), (delivery, _)) in &self.tail {
            let hash = hash(reactor, key);
            let delta =
                u32::try_from(delivery.0 - first).map_err(|_| Fault::other("a ledger segment spans too many ids"))?;
            filter.insert_hash(hash);
            keys.push((hash, delta));
        }
        keys.sort_unstable();
        let id = self.segments.last().map_or(1, |s| s.id + 1);
        let bits: Vec<u8> = filter.as_slice().iter().flat_map(|word| word.to_le_bytes()).collect();
        conn.prepare_cached("INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            int(id),
            int(first),
            int(last),
            int(newest.0),
            filter.num_hashes(),
            bits
        ])?;
        for group in keys.chunk_by(|a, b| bucket(a.0) == bucket(b.0)) {
            let blob: Vec<u8> =
                group.iter().flat_map(|(h, d)| h.to_be_bytes().into_iter().chain(d.to_be_bytes())).collect();
            conn.prepare_cached("INSERT INTO segment_index VALUES (?1, ?2, ?3)")?.execute(params![
                int(id),
                bucket(group[0].0),
                blob
            ])?;
        }
        self.segments.push(Segment { id, first, last, newest, filter });
        self.tail.clear();
        self.rows = 0;
        Ok(())
    }

    /// The oldest segment, if all of it is older than `window`.
    pub(super) fn expired(&self, now: HostTime, window: Duration) -> Option<&Segment> {
        self.segments.first().filter(|s| now.since(s.newest) >= window)
    }

    /// Forgets the oldest segment.
    pub(super) fn forget_oldest(&mut self) {
        if !self.segments.is_empty() {
            self.segments.remove(0);
        }
    }

    /// Forgets a delivery whose dead letter runs again under another number.
    pub(super) fn remove(&mut self, conn: &Connection, delivery: DeliveryId) -> Sql<()> {
        conn.prepare_cached("DELETE FROM ledger WHERE delivery = ?1")?.execute([int(delivery.0)])?;
        Ok(())
    }

    /// Forgets a delivery, so that its event is new if it comes again.
    pub(super) fn forget(&mut self, conn: &Connection, key: (ReactorId, Identity), delivery: DeliveryId) -> Sql<()> {
        if self.tail.get(&key).is_some_and(|(known, _)| *known == delivery) {
            self.tail.remove(&key);
        }
        // Its number must not be reused, and the ledger may have no higher one.
        conn.prepare_cached("UPDATE meta SET value = max(value, ?1 + 1) WHERE name = 'delivery'")?
            .execute([int(delivery.0)])?;
        // A sealed segment still refers to the row; without the row, the entry is ignored.
        self.remove(conn, delivery)
    }
}

impl Segment {
    fn load(conn: &Connection, id: u64) -> Sql<Self> {
        let (first, last, newest, hashes, bits) = conn.query_row(
            "SELECT first, last, newest, hashes, filter FROM segments WHERE id = ?1",
            [int(id)],
            |row| Ok((num(row, 0)?, num(row, 1)?, num(row, 2)?, row.get::<_, u32>(3)?, row.get::<_, Vec<u8>>(4)?)),
        )?;
        if bits.is_empty() || bits.len() % 8 != 0 || hashes == 0 {
            return Err(Fault::Row(format!("the filter of ledger segment {id} has {} bytes", bits.len())));
        }
        let words = bits.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let filter = BloomFilter::from_vec(words).seed(&0).hashes(hashes);
        Ok(Self { id, first, last, newest: HostTime(newest), filter })
    }

    /// The last delivery that entered this key for the reactor, and when, if it is in this segment.
    fn find(
        &self,
        conn: &Connection,
        (reactor, key): (ReactorId, Identity),
        hash: u64,
    ) -> Sql<Option<(DeliveryId, HostTime)>> {
        let mut index = conn.prepare_cached("SELECT keys FROM segment_index WHERE segment = ?1 AND bucket = ?2")?;
        let Some(keys) =
            index.query_row(params![int(self.id), bucket(hash)], |row| row.get::<_, Vec<u8>>(0)).optional()?
        else {
            return Ok(None);
        };
        let entries = keys.as_chunks::<ENTRY>().0;
        let start = entries.partition_point(|entry| entry[..8] < hash.to_be_bytes()[..]);
        for entry in entries[start..].iter().take_while(|entry| entry[..8] == hash.to_be_bytes()[..]) {
            let delta = u32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]]);
            let id = self.first + u64::from(delta);
            let since = conn
                .prepare_cached("SELECT since FROM ledger WHERE delivery = ?1 AND reactor = ?2 AND key = ?3")?
                .query_row(params![int(id), reactor.0, key.0], |row| num(row, 0))
                .optional()?;
            if let Some(since) = since {
                return Ok(Some((DeliveryId(id), HostTime(since))));
            }
        }
        Ok(None)
    }
}

/// The part of the index that a hash is in.
fn bucket(hash: u64) -> u8 {
    hash.to_be_bytes()[0]
}

/// Spreads any identity, hashed or not, over 64 bits.
fn hash(reactor: ReactorId, key: Identity) -> u64 {
    let (halves, _) = key.0.as_chunks::<8>();
    let mut mixed = u64::from(reactor.0).wrapping_add(0x9e37_79b9_7f4a_7c15);
    for half in halves {
        mixed = (mixed ^ u64::from_le_bytes(*half)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 32;
    }
    mixed
}
