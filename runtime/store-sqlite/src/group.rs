//! What the operations of a group share while they are written: the transaction and the in-memory state.

use hashbrown::HashMap;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use reactor_core::event::{ChannelId, HostTime, ReactorId};
use reactor_core::store::StoreError;
use reactor_core::store::rejected::Rejected;

use super::attempts::{self, Attempts};
use super::fault::{Fault, Sql};
use super::ledger::Ledger;
use super::room;
use super::rows::{int, num};
use super::statements::Statements;

/// What the writer knows without reading the file. Only an owner has a ledger.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The owner's fencing token; `None` in a client.
    pub(super) epoch: Option<u64>,
    /// The id of the next delivery.
    pub(super) next_delivery: u64,
    /// The store's clock: the latest time that it was given.
    pub(super) host: HostTime,
    /// The clock as written in the file.
    pub(super) host_written: HostTime,
    /// The in-memory part of the dedup table.
    pub(super) ledger: Ledger,
    /// Ended attempts to be kept.
    pub(super) attempts: Attempts,
    /// Commits that were rejected.
    pub(super) rejected: Rejected,
    /// The highest commit number written in the file.
    pub(super) commit_written: u64,
    /// The number of the last transaction of this process.
    pub(super) group: u64,
    /// Try to take the reserve again after this group.
    pub(super) restore_reserve: bool,
    /// Whether new events are rejected, as the file said when this client's transaction began.
    pub(super) refusing: bool,
}

impl Live {
    /// Reads from the file what a rollback or another process may have changed.
    pub(super) fn reload(&mut self, conn: &Connection) -> Sql<()> {
        if self.epoch.is_none() {
            return Ok(());
        }
        self.ledger.reload(conn)?;
        self.attempts.reset();
        self.next_delivery = conn.query_row(
            "SELECT max((SELECT value FROM meta WHERE name = 'delivery'),
                        (SELECT ifnull(max(id), 0) + 1 FROM deliveries),
                        (SELECT ifnull(max(delivery), 0) + 1 FROM ledger))",
            [],
            |row| num(row, 0),
        )?;
        self.host_written = HostTime(meta(conn, "host")?);
        self.host = self.host.max(self.host_written);
        self.commit_written = meta(conn, "commit")?;
        Ok(())
    }
}

/// A counter's name and its reactor (0: none).
type Counter = (&'static str, u32);

/// A transaction under way.
pub(super) struct Group<'a> {
    /// The writing connection, inside its transaction.
    pub(super) conn: &'a Connection,
    /// Statements for each row.
    pub(super) statements: Statements<'a>,
    /// What the writer knows.
    pub(super) live: &'a mut Live,
    /// The wall clock when the group began, whole milliseconds.
    pub(super) wall: i64,
    counts: HashMap<Counter, i64>,
    tails: HashMap<ChannelId, (u64, bool)>,
}

impl<'a> Group<'a> {
    /// Begins the transaction and makes sure that this owner is still the owner.
    pub(super) fn begin(conn: &'a Connection, live: &'a mut Live) -> Sql<Self> {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if let Some(epoch) = live.epoch {
            if meta(conn, "epoch")? != epoch {
                return Err(StoreError::Fenced.into());
            }
        } else {
            live.host = HostTime(meta(conn, "host")?);
            live.refusing = room::is_refusing(conn)?;
        }
        let wall = Timestamp::now().as_millisecond();
        let statements = Statements::new(conn);
        Ok(Self { conn, statements, live, wall, counts: HashMap::new(), tails: HashMap::new() })
    }

    /// Writes what has accumulated, and commits.
    pub(super) fn commit(mut self) -> Sql<()> {
        attempts::write(&mut self)?;
        for ((name, id), delta) in self.counts.drain().filter(|(_, delta)| *delta != 0) {
            self.conn
                .prepare_cached(
                    "INSERT INTO counters VALUES (?1, ?2, ?3)
                     ON CONFLICT (name, id) DO UPDATE SET value = value + excluded.value",
                )?
                .execute(params![name, id, delta])?;
        }
        for (channel, (next, _)) in self.tails.drain().filter(|(_, (_, changed))| *changed) {
            self.conn
                .prepare_cached("UPDATE channels SET next = ?2 WHERE id = ?1")?
                .execute(params![channel.0, int(next)])?;
        }
        let (host, commit) = (self.live.host, self.live.rejected.highest());
        if self.live.epoch.is_some() && host > self.live.host_written {
            set_meta(self.conn, "host", host.0)?;
        }
        if self.live.epoch.is_some() && commit > self.live.commit_written {
            set_meta(self.conn, "commit", commit)?;
        }
        self.live.group = self
            .conn
            .prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'group' RETURNING value")?
            .query_row([], |row| num(row, 0))?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        self.live.host_written = self.live.host_written.max(host);
        self.live.commit_written = self.live.commit_written.max(commit);
        Ok(())
    }

    /// Advances the store's clock.
    pub(super) fn now(&mut self, now: HostTime) {
        self.live.host = self.live.host.max(now);
    }

    /// Adds to a reactor's counter.
    pub(super) fn count(&mut self, name: &'static str, reactor: ReactorId, delta: i64) {
        self.add((name, reactor.0), delta);
    }

    /// Adds to a counter that belongs to no reactor.
    pub(super) fn count_all(&mut self, name: &'static str, delta: i64) {
        self.add((name, 0), delta);
    }

    fn add(&mut self, counter: Counter, delta: i64) {
        if delta != 0 {
            *self.counts.entry(counter).or_default() += delta;
        }
    }

    /// The offset that the next record of a channel's log gets.
    pub(super) fn next_offset(&mut self, channel: ChannelId) -> Sql<u64> {
        self.take_offsets(channel, 0)
    }

    /// Takes the next `count` offsets of a channel's log; returns the first.
    pub(super) fn take_offsets(&mut self, channel: ChannelId, count: u64) -> Sql<u64> {
        if let Some((next, changed)) = self.tails.get_mut(&channel) {
            let first = *next;
            *next += count;
            *changed |= count > 0;
            return Ok(first);
        }
        let first: u64 = self
            .conn
            .prepare_cached("SELECT next FROM channels WHERE id = ?1")?
            .query_row([channel.0], |row| num(row, 0))
            .optional()?
            .ok_or_else(|| Fault::other(format!("there is no channel number {channel}")))?;
        self.tails.insert(channel, (first + count, count > 0));
        Ok(first)
    }
}

/// A number of the `meta` table.
pub(super) fn meta(conn: &Connection, name: &str) -> Sql<u64> {
    Ok(conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| num(row, 0))?)
}

/// Sets a number of the `meta` table.
pub(super) fn set_meta(conn: &Connection, name: &str, value: u64) -> Sql<()> {
    conn.prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?.execute(params![name, int(value)])?;
    Ok(())
}
