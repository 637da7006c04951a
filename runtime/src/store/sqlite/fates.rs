//! What became of deliveries, for people who ask: no step of an event's way comes through here.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Sql;
use super::rows::{DELIVERY, delivery_of, int, num};
use crate::event::{ChannelId, Identity, Offset, ReactorId};
use crate::store::Fate;

/// See [`crate::store::Store::fates`]. The ledger has no index by key; it is in the order of admission, so one scan of what
/// was admitted since the record was accepted finds nearly everything that is asked for.
pub(super) fn find(
    conn: &Connection,
    (channel, offset): (ChannelId, Offset),
    asked: &[(ReactorId, Identity)],
) -> Sql<Vec<Option<Fate>>> {
    // One transaction, so that nothing ends between the ledger and the tables.
    let tx = conn.unchecked_transaction()?;
    let accepted: Option<u64> = tx
        .prepare_cached(&format!("SELECT accepted_host FROM log_{channel} WHERE offset >= ?1 ORDER BY offset LIMIT 1"))?
        .query_row([int(offset.0)], |row| num(row, 0))
        .optional()?;
    let first = first_since(&tx, accepted.unwrap_or(0))?;
    let mut found: HashMap<(ReactorId, Identity), u64> = HashMap::new();
    let mut missing: HashMap<(ReactorId, Identity), ()> = asked.iter().map(|key| (*key, ())).collect();
    for (sql, from) in [
        ("SELECT delivery, reactor, key FROM ledger WHERE delivery >= ?1 ORDER BY delivery", first),
        ("SELECT delivery, reactor, key FROM ledger WHERE delivery < ?1 ORDER BY delivery DESC", first),
    ] {
        let mut scan = tx.prepare_cached(sql)?;
        let mut rows = scan.query([int(from)])?;
        while !missing.is_empty()
            && let Some(row) = rows.next()?
        {
            let key = (ReactorId(row.get(1)?), Identity(row.get(2)?));
            if missing.remove(&key).is_some() {
                found.insert(key, num(row, 0)?);
            }
        }
    }
    let fates = asked.iter().map(|key| found.get(key).map(|id| fate(&tx, *id)).transpose()).collect::<Sql<_>>()?;
    tx.finish()?;
    Ok(fates)
}

fn fate(conn: &Connection, delivery: u64) -> Sql<Fate> {
    let mut select = conn.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1"))?;
    let mut rows = select.query([int(delivery)])?;
    if let Some(row) = rows.next()? {
        return Ok(Fate::Active(Box::new(delivery_of(row)?)));
    }
    let letter = conn
        .prepare_cached("SELECT id FROM dead WHERE delivery = ?1")?
        .query_row([int(delivery)], |row| num(row, 0))
        .optional()?;
    Ok(letter.map_or(Fate::Done, Fate::Dead))
}

/// The first delivery of the ledger that was admitted at this time or later: times ascend with numbers, which have gaps.
fn first_since(conn: &Connection, since: u64) -> Sql<u64> {
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
