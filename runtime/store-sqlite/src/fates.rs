//! The fates of deliveries, for people who ask: not on the path of an event.

use std::collections::{HashMap, HashSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use reactor_core::event::{ChannelId, HostTime, Identity, LaneKey, Offset, Origin, ReactorId};
use reactor_core::store::{Asked, Behind, Fate, Place};

use super::fault::Sql;
use super::rows::{DELIVERY, delivery_of, int, maybe, num, origin_of};

/// A row of the ledger, or a dropped letter, with a key that is asked for.
struct Found {
    /// The origin of its event, if it was noted.
    origin: Option<Origin>,
    what: What,
}

enum What {
    Delivery(u64),
    Dropped(u64, String),
}

/// See [`reactor_core::store::StoreClient::fates`]. The ledger has no index by key but is in order of admission, so one
/// scan from the time the record was accepted until a later record of the channel finds nearly everything.
pub(super) fn find(
    conn: &Connection,
    (channel, offset): (ChannelId, Offset),
    asked: &[Asked],
) -> Sql<Vec<Option<Fate>>> {
    // One transaction, so that no delivery ends between reading the ledger and the tables.
    let tx = conn.unchecked_transaction()?;
    let accepted: Option<u64> = tx
        .prepare_cached(&format!("SELECT accepted_host FROM log_{channel} WHERE offset >= ?1 ORDER BY offset LIMIT 1"))?
        .query_row([int(offset.0)], |row| num(row, 0))
        .optional()?;
    let first = first_since(&tx, accepted.unwrap_or(0))?;
    let last = asked.iter().map(|asked| asked.origin.offset).max().unwrap_or_default();
    let mut search = Search {
        entered: asked.iter().map(|asked| ((asked.reactor, asked.key), Vec::new())).collect(),
        open: asked.iter().copied().collect(),
    };
    let next = search.later(&tx, first, Some((channel, last)))?;
    // With a match for the key, the remaining ones are its duplicates.
    search.open.retain(|asked| search.entered.get(&key_of(asked)).is_none_or(Vec::is_empty));
    search.dropped(&tx)?;
    let before = earlier(&tx, first, search.open.iter().map(key_of).collect())?;
    search.open.retain(|asked| !before.contains_key(&key_of(asked)));
    if let Some(next) = next {
        // Redriven deliveries are found at the time of their redrive.
        search.later(&tx, next, None)?;
    }
    let mut unplaced = HashMap::new();
    for (key, found) in before {
        match (found.origin, search.entered.get_mut(&key)) {
            (Some(_), Some(all)) => all.push(found),
            _ => drop(unplaced.insert(key, found)),
        }
    }
    let fates = asked.iter().map(|asked| {
        let all = search.entered.get(&key_of(asked)).map_or(&[][..], Vec::as_slice);
        match (pick(asked, all), unplaced.get(&key_of(asked))) {
            (Some((found, true)), _) => fate(&tx, &found.what).map(Some),
            (Some((found, false)), _) | (None, Some(found)) => duplicate(&tx, found).map(Some),
            (None, None) => Ok(None),
        }
    });
    let fates = fates.collect::<Sql<_>>()?;
    tx.finish()?;
    Ok(fates)
}

/// The dedup key of a delivery.
type Key = (ReactorId, Identity);

fn key_of(asked: &Asked) -> Key {
    (asked.reactor, asked.key)
}

/// What has been found so far.
struct Search {
    /// The entries with each key.
    entered: HashMap<Key, Vec<Found>>,
    /// Deliveries not found yet.
    open: HashSet<Asked>,
}

impl Search {
    /// Scans for open deliveries from `first` up to the first of a record behind `end`; returns where that is.
    fn later(&mut self, conn: &Connection, first: u64, end: Option<(ChannelId, Offset)>) -> Sql<Option<u64>> {
        let mut scan = conn.prepare_cached(
            "SELECT delivery, reactor, key, channel, record, part FROM ledger WHERE delivery >= ?1 ORDER BY delivery",
        )?;
        let mut rows = scan.query([int(first)])?;
        while !self.open.is_empty()
            && let Some(row) = rows.next()?
        {
            let (key, found) = ledger_row(row)?;
            let is_behind = |origin: Origin| end.is_some_and(|(of, last)| origin.channel == of && origin.offset > last);
            if found.origin.is_some_and(is_behind) {
                return num(row, 0).map(Some).map_err(Into::into);
            }
            let Some(all) = self.entered.get_mut(&key) else { continue };
            match found.origin {
                Some(origin) => drop(self.open.remove(&Asked { reactor: key.0, key: key.1, origin })),
                // From an earlier version: it may be any delivery with its key.
                None => self.open.retain(|asked| key_of(asked) != key),
            }
            all.push(found);
        }
        Ok(None)
    }

    /// Adds the dropped letters with these keys.
    fn dropped(&mut self, conn: &Connection) -> Sql<()> {
        let mut select = conn.prepare_cached(
            "SELECT letter, reason, channel, record, part FROM dropped WHERE key = ?1 AND reactor = ?2 ORDER BY letter",
        )?;
        for ((reactor, key), all) in &mut self.entered {
            let mut rows = select.query(params![key.0, reactor.0])?;
            while let Some(row) = rows.next()? {
                let origin = origin_of(row, 2)?;
                self.open.remove(&Asked { reactor: *reactor, key: *key, origin });
                all.push(Found { origin: Some(origin), what: What::Dropped(num(row, 0)?, row.get(1)?) });
            }
        }
        Ok(())
    }
}

/// The last entry with each of these keys before a delivery.
fn earlier(conn: &Connection, first: u64, mut missing: HashSet<Key>) -> Sql<HashMap<Key, Found>> {
    let mut before = HashMap::new();
    let mut scan = conn.prepare_cached(
        "SELECT delivery, reactor, key, channel, record, part FROM ledger WHERE delivery < ?1 ORDER BY delivery DESC",
    )?;
    let mut rows = scan.query([int(first)])?;
    while !missing.is_empty()
        && let Some(row) = rows.next()?
    {
        let (key, found) = ledger_row(row)?;
        if missing.remove(&key) {
            before.insert(key, found);
        }
    }
    Ok(before)
}

fn ledger_row(row: &Row<'_>) -> Sql<(Key, Found)> {
    let origin = if row.get_ref(3)? == ValueRef::Null { None } else { Some(origin_of(row, 3)?) };
    Ok(((ReactorId(row.get(1)?), Identity(row.get(2)?)), Found { origin, what: What::Delivery(num(row, 0)?) }))
}

/// The delivery asked for (true), or the last one before it with the same key.
fn pick<'f>(asked: &Asked, all: &'f [Found]) -> Option<(&'f Found, bool)> {
    let at = |found: &&Found, origin| found.origin == origin;
    if let Some(it) = all.iter().find(|found| at(found, Some(asked.origin))) {
        return Some((it, true));
    }
    if let Some(it) = all.iter().find(|found| at(found, None)) {
        return Some((it, true));
    }
    let place = |origin: Origin| (origin.offset, origin.part);
    let before = |found: &&Found| {
        found.origin.is_some_and(|origin| origin.channel != asked.origin.channel || place(origin) < place(asked.origin))
    };
    let nearest = |found: &&Found| found.origin.map(|origin| (origin.channel == asked.origin.channel, place(origin)));
    all.iter().filter(before).max_by_key(nearest).map(|found| (found, false))
}

fn duplicate(conn: &Connection, found: &Found) -> Sql<Fate> {
    Ok(Fate::Duplicate { first: found.origin, fate: Box::new(fate(conn, &found.what)?) })
}

fn fate(conn: &Connection, what: &What) -> Sql<Fate> {
    match what {
        What::Delivery(delivery) => delivery_fate(conn, *delivery),
        What::Dropped(letter, reason) => Ok(Fate::Dropped(*letter, reason.clone())),
    }
}

/// The fate of a delivery that was entered and not dropped.
pub(super) fn delivery_fate(conn: &Connection, delivery: u64) -> Sql<Fate> {
    let delivery = int(delivery);
    let mut select = conn.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1"))?;
    let mut rows = select.query([delivery])?;
    if let Some(row) = rows.next()? {
        let stored = delivery_of(row)?;
        return Ok(match (stored.place, stored.lane) {
            (Place::Held, Some(lane)) => {
                let behind = behind(conn, stored.reactor, lane)?;
                Fate::Held(Box::new(stored), behind)
            }
            _ => Fate::Active(Box::new(stored)),
        });
    }
    let letter = conn
        .prepare_cached("SELECT id FROM dead WHERE delivery = ?1")?
        .query_row([delivery], |row| num(row, 0))
        .optional()?;
    Ok(letter.map_or(Fate::Done, Fate::Dead))
}

/// What blocks a lane.
fn behind(conn: &Connection, reactor: ReactorId, lane: LaneKey) -> Sql<Option<Behind>> {
    let parks = conn
        .prepare_cached("SELECT min(id) FROM dead WHERE reactor = ?1 AND parks = ?2")?
        .query_row(params![reactor.0, lane.0], |row| maybe(row, 0))?;
    if let Some(letter) = parks {
        return Ok(Some(Behind::Parked(letter)));
    }
    let mut head = conn.prepare_cached(
        "SELECT channel, record, part FROM deliveries WHERE place = 3 AND reactor = ?1 AND lane = ?2 ORDER BY id LIMIT 1",
    )?;
    let mut rows = head.query(params![reactor.0, lane.0])?;
    rows.next()?.map(|row| origin_of(row, 0).map(Behind::Waiting)).transpose()
}

/// See [`reactor_core::store::StoreClient::known`].
pub(super) fn known(conn: &Connection, asked: &[Key], most: usize) -> Sql<Vec<Option<HostTime>>> {
    let mut missing: HashSet<_> = asked.iter().copied().collect();
    let mut known = HashMap::new();
    let mut scan = conn.prepare_cached("SELECT reactor, key, since FROM ledger ORDER BY delivery DESC LIMIT ?1")?;
    let mut rows = scan.query([int(most as u64)])?;
    while !missing.is_empty()
        && let Some(row) = rows.next()?
    {
        let key = (ReactorId(row.get(0)?), Identity(row.get(1)?));
        if missing.remove(&key) {
            known.insert(key, HostTime(num(row, 2)?));
        }
    }
    Ok(asked.iter().map(|key| known.get(key).copied()).collect())
}

/// The first delivery of the ledger admitted at this time or later: times ascend with numbers, which have gaps.
pub(super) fn first_since(conn: &Connection, since: u64) -> Sql<u64> {
    let edge = |order: &str| -> Sql<Option<u64>> {
        let sql = format!("SELECT delivery FROM ledger ORDER BY delivery {order} LIMIT 1");
        Ok(conn.prepare_cached(&sql)?.query_row([], |row| num(row, 0)).optional()?)
    };
    let (Some(mut low), Some(last)) = (edge("ASC")?, edge("DESC")?) else { return Ok(0) };
    let mut high = last + 1;
    let mut probe =
        conn.prepare_cached("SELECT delivery, since FROM ledger WHERE delivery >= ?1 ORDER BY delivery LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let row: Option<(u64, u64)> =
            probe.query_row(params![int(middle)], |row| Ok((num(row, 0)?, num(row, 1)?))).optional()?;
        match row {
            Some((delivery, at)) if at < since => low = delivery + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
