//! Counts, for people and tests.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use reactor_core::event::ReactorId;
use reactor_core::store::{Blocked, ReactorStats, Stats};

use super::fault::Sql;
use super::names::Kind;
use super::rows::num;

/// See [`reactor_core::store::StoreClient::stats`].
pub(super) fn read(conn: &Connection) -> Sql<Stats> {
    // One transaction, so that the numbers belong together.
    let tx = conn.unchecked_transaction()?;
    let mut stats = Stats::default();
    {
        let mut channels = tx.prepare_cached("SELECT name, next - 1, next - cursor FROM channels ORDER BY id")?;
        let mut rows = channels.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            stats.published.push((name.clone(), num(row, 1)?));
            stats.backlog.push((name, row.get::<_, i64>(2)?.max(0).cast_unsigned()));
        }
    }
    {
        let mut outbox = tx.prepare_cached(
            "SELECT name, count(*) FROM outbox JOIN channels ON channels.id = channel GROUP BY channel ORDER BY channel",
        )?;
        let mut rows = outbox.query([])?;
        while let Some(row) = rows.next()? {
            stats.outbox.push((row.get(0)?, num(row, 1)?));
        }
    }
    let mut counts: HashMap<(String, u32), i64> = HashMap::new();
    {
        let mut counters = tx.prepare_cached("SELECT name, id, value FROM counters")?;
        let mut rows = counters.query([])?;
        while let Some(row) = rows.next()? {
            counts.insert((row.get(0)?, row.get(1)?), row.get(2)?);
        }
    }
    let count =
        |name: &str, id: u32| counts.get(&(name.to_owned(), id)).map_or(0, |value| u64::try_from(*value).unwrap_or(0));
    stats.unrouted = count("unrouted", 0);
    stats.invalid = count("invalid", 0);
    for (id, name) in Kind::Reactor.all(&tx)? {
        stats.reactors.push(ReactorStats {
            name,
            delivered: count("delivered", id),
            done: count("done", id),
            retried: count("retried", id),
            duplicates: count("duplicates", id),
            dead: count("dead", id),
            dropped: count("dropped", id),
            emitted: count("emitted", id),
            active: count("active", id),
            waiting: count("waiting", id),
        });
    }
    tx.finish()?;
    Ok(stats)
}

/// See [`reactor_core::store::StoreClient::blocked`].
pub(super) fn blocked(conn: &Connection) -> Sql<Vec<(ReactorId, Blocked)>> {
    let tx = conn.unchecked_transaction()?;
    let mut all: BTreeMap<ReactorId, Blocked> = BTreeMap::new();
    {
        let mut keys = tx.prepare_cached(
            "SELECT reactor, count(DISTINCT parks) FROM dead WHERE parks IS NOT NULL AND reactor IS NOT NULL GROUP BY reactor",
        )?;
        let mut rows = keys.query([])?;
        while let Some(row) = rows.next()? {
            all.entry(ReactorId(row.get(0)?)).or_default().parked_keys = num(row, 1)?;
        }
    }
    {
        let mut held = tx.prepare_cached(
            "SELECT reactor, count(*), EXISTS (SELECT 1 FROM dead x WHERE x.reactor = d.reactor AND x.parks = d.lane)
             FROM deliveries d WHERE place = 2 GROUP BY reactor, lane",
        )?;
        let mut rows = held.query([])?;
        while let Some(row) = rows.next()? {
            let (of, count) = (all.entry(ReactorId(row.get(0)?)).or_default(), num(row, 1)?);
            if row.get(2)? { of.parked += count } else { of.held += count }
        }
    }
    tx.finish()?;
    Ok(all.into_iter().collect())
}
