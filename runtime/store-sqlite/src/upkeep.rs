//! Housekeeping, in small transactions, so that other operations never wait long.

use std::time::{Duration, Instant};

use rusqlite::params;

use reactor_core::event::{ChannelId, HostTime};
use reactor_core::store::{Result, Upkeep};

use super::fault::Sql;
use super::group::{Group, meta, set_meta};
use super::queue::Queue;
use super::rows::{int, maybe};
use super::writer::Terms;
use super::{attempts, dead, deliveries, log, traces};

/// Rows removed in one transaction.
const CHUNK: u32 = 2_048;
/// The same for attempts, whose rows are large.
const ATTEMPT_ROWS: u32 = 64;
/// How long one call works; the next call does the rest.
const BUDGET: Duration = Duration::from_millis(400);

/// See [`reactor_core::store::StoreOwner::maintain`].
pub(super) fn run(queue: &Queue, upkeep: &Upkeep) -> Result<()> {
    let (now, window) = (upkeep.now, upkeep.ledger_window);
    queue.wait(Terms::SOON, move |group| {
        group.now(now);
        Ok(())
    })?;
    let end = Instant::now() + BUDGET;
    while Instant::now() < end && queue.wait(Terms::SOON, move |group| expire_ledger(group, now, window))? {}
    let cutoff = before(now, upkeep.away);
    while Instant::now() < end && queue.wait(Terms::SOON, move |group| deliveries::forget_away(group, cutoff, CHUNK))? {
    }
    // Kept for as long as an event that may be among them can be asked about.
    let kept = upkeep.retention.iter().map(|(_, retention)| *retention).chain([window]).max().unwrap_or(window);
    let cutoff = before(now, kept);
    while Instant::now() < end && queue.wait(Terms::SOON, move |group| dead::forget_dropped(group, cutoff, CHUNK))? {}
    while Instant::now() < end && queue.wait(Terms::SOON, move |group| traces::forget(group, cutoff, CHUNK))? {}
    let cutoff = before(now, upkeep.history);
    while Instant::now() < end && queue.wait(Terms::SOON, move |group| attempts::expire(group, cutoff, ATTEMPT_ROWS))? {
    }
    for (channel, retention) in upkeep.retention.clone() {
        let cutoff = before(now, retention);
        while Instant::now() < end && queue.wait(Terms::SOON, move |group| expire_log(group, channel, cutoff))? {}
    }
    queue.wait(Terms::SOON, |group| {
        group.live.restore_reserve = true;
        Ok(())
    })
}

fn before(now: HostTime, age: Duration) -> HostTime {
    HostTime(now.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
}

/// Performs one step of removing an expired segment; returns whether there is more to do.
fn expire_ledger(group: &mut Group<'_>, now: HostTime, window: Duration) -> Sql<bool> {
    let Some(segment) = group.live.ledger.expired(now, window) else { return Ok(false) };
    let (id, last, newest) = (segment.id, segment.last, segment.newest);
    let boundary: Option<u64> = group
        .conn
        .prepare_cached(
            "SELECT max(delivery) FROM (SELECT delivery FROM ledger WHERE delivery <= ?1 ORDER BY delivery LIMIT ?2)",
        )?
        .query_row(params![int(last), CHUNK], |row| maybe(row, 0))?;
    if let Some(boundary) = boundary {
        // The fates of what was admitted until then are no longer complete.
        let told = meta(group.conn, "told")?.max(newest.0);
        set_meta(group.conn, "told", told)?;
        // Ids must not start over when the ledger is empty.
        set_meta(group.conn, "delivery", group.live.next_delivery)?;
        group.conn.prepare_cached("DELETE FROM ledger WHERE delivery <= ?1")?.execute([int(boundary)])?;
        return Ok(true);
    }
    // The rows are gone, so the index refers to nothing and goes last.
    group.conn.execute("DELETE FROM segment_index WHERE segment = ?1", [int(id)])?;
    group.conn.execute("DELETE FROM segments WHERE id = ?1", [int(id)])?;
    group.live.ledger.forget_oldest();
    Ok(true)
}

/// Performs one step of removing old records; returns whether there is more to do.
fn expire_log(group: &mut Group<'_>, channel: ChannelId, cutoff: HostTime) -> Sql<bool> {
    let Some(last) = log::expired(group.conn, channel, cutoff, CHUNK)? else { return Ok(false) };
    log::expire(group, channel, last)?;
    Ok(true)
}
