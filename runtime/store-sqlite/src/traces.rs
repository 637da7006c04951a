//! The fates of records, from notes made when they were decided; not on the path of an event.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Offset, Origin, ReactorId};
use reactor_core::store::{Fate, NewDelivery, Trace, Traces};

use super::fates::{delivery_fate, first_since};
use super::fault::Sql;
use super::group::{Group, meta};
use super::rows::{int, maybe, num, origin_of};

/// Notes that a reactor does not get an event because the delivery `first` has its key.
pub(super) fn note_duplicate(group: &mut Group<'_>, of: (ReactorId, Origin), first: DeliveryId) -> Sql<()> {
    let (reactor, origin) = of;
    group
        .conn
        .prepare_cached(
            "INSERT INTO duplicates
             SELECT NULL, ?1, ?2, ?3, ?4, ?5, ?6, l.channel, l.record, l.part
             FROM (SELECT 1) LEFT JOIN ledger l ON l.delivery = ?6",
        )?
        .execute(params![
            int(group.live.host.0),
            reactor.0,
            origin.channel.0,
            int(origin.offset.0),
            origin.part,
            int(first.0)
        ])?;
    Ok(())
}

/// Notes that a dead letter runs again as this delivery.
pub(super) fn note_redriven(group: &Group<'_>, delivery: DeliveryId, new: &NewDelivery) -> Sql<()> {
    let NewDelivery { reactor, origin, .. } = new;
    let host = int(group.live.host.0);
    group.conn.prepare_cached("INSERT INTO redriven VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        int(delivery.0),
        host,
        reactor.0,
        origin.channel.0,
        int(origin.offset.0),
        origin.part
    ])?;
    Ok(())
}

/// What is known about an event for one reactor, or for none.
enum Found {
    Delivery(u64),
    Letter(u64),
    Dropped(u64, String),
    Duplicate { delivery: u64, first: Option<Origin> },
}

type All = BTreeMap<(Origin, Option<ReactorId>), Found>;

/// See [`reactor_core::store::Store::traces`].
pub(super) fn find(conn: &Connection, channel: ChannelId, first: Offset, last: Offset) -> Sql<Traces> {
    // One transaction, so that nothing ends between the tables.
    let tx = conn.unchecked_transaction()?;
    let range = params![channel.0, int(first.0), int(last.0)];
    let mut all = All::new();
    duplicates(&tx, range, &mut all)?;
    ledger(&tx, channel, first, last, &mut all)?;
    later(&tx, range, &mut all)?;
    let complete_from = complete_from(&tx, channel, first, last)?;
    let told = all.into_iter().map(|((origin, reactor), found)| {
        let fate = match found {
            Found::Delivery(delivery) => delivery_fate(&tx, delivery)?,
            Found::Letter(letter) => Fate::Dead(letter),
            Found::Dropped(letter, reason) => Fate::Dropped(letter, reason),
            Found::Duplicate { delivery, first } => {
                let fate = Box::new(first_fate(&tx, reactor, delivery, first)?);
                Fate::Duplicate { first, fate }
            }
        };
        Ok(Trace { origin, reactor, fate })
    });
    let all = told.collect::<Sql<_>>()?;
    tx.finish()?;
    Ok(Traces { all, complete_from })
}

fn duplicates(conn: &Connection, range: impl Params, all: &mut All) -> Sql<()> {
    each(
        conn,
        "SELECT channel, record, part, reactor, first, first_channel, first_record, first_part FROM duplicates
         WHERE channel = ?1 AND record BETWEEN ?2 AND ?3 ORDER BY id",
        range,
        |row| {
            let first = maybe(row, 5)?.is_some().then(|| origin_of(row, 5)).transpose()?;
            all.insert(place(row)?, Found::Duplicate { delivery: num(row, 4)?, first });
            Ok(true)
        },
    )
}

/// Deliveries of a channel are in the order of their records, except redriven ones, which are also in another table.
fn ledger(conn: &Connection, channel: ChannelId, first: Offset, last: Offset, all: &mut All) -> Sql<()> {
    let sql = format!("SELECT accepted_host FROM log_{channel} WHERE offset >= ?1 ORDER BY offset LIMIT 1");
    let accepted = conn.prepare_cached(&sql)?.query_row([int(first.0)], |row| num(row, 0)).optional()?;
    let since = first_since(conn, accepted.unwrap_or(0))?;
    each(
        conn,
        "SELECT channel, record, part, reactor, delivery FROM ledger WHERE delivery >= ?1 AND channel = ?2 ORDER BY delivery",
        params![int(since), channel.0],
        |row| {
            let place = place(row)?;
            if place.0.offset >= first && place.0.offset <= last {
                all.insert(place, Found::Delivery(num(row, 4)?));
            }
            Ok(place.0.offset <= last)
        },
    )
}

/// What died at some time; a letter that was redriven and then dropped is in both tables.
fn later(conn: &Connection, range: impl Params + Copy, all: &mut All) -> Sql<()> {
    let within = "WHERE channel = ?1 AND record BETWEEN ?2 AND ?3 ORDER BY";
    let redriven = format!("SELECT channel, record, part, reactor, delivery FROM redriven {within} delivery");
    each(conn, &redriven, range, |row| {
        all.insert(place(row)?, Found::Delivery(num(row, 4)?));
        Ok(true)
    })?;
    each(conn, &format!("SELECT channel, record, part, reactor, id, redriving FROM dead {within} id"), range, |row| {
        let is_redriven: bool = row.get(5)?;
        if !is_redriven {
            all.insert(place(row)?, Found::Letter(num(row, 4)?));
        }
        Ok(true)
    })?;
    let dropped = format!("SELECT channel, record, part, reactor, letter, reason FROM dropped {within} letter");
    each(conn, &dropped, range, |row| {
        all.insert(place(row)?, Found::Dropped(num(row, 4)?, row.get(5)?));
        Ok(true)
    })
}

/// The fate of a duplicate's first delivery, which may have run again or been dropped since.
fn first_fate(conn: &Connection, reactor: Option<ReactorId>, delivery: u64, first: Option<Origin>) -> Sql<Fate> {
    let Some((reactor, first)) = reactor.zip(first) else { return delivery_fate(conn, delivery) };
    let here = params![reactor.0, first.channel.0, int(first.offset.0), first.part];
    let within = "WHERE reactor = ?1 AND channel = ?2 AND record = ?3 AND part = ?4 ORDER BY";
    let dropped = conn
        .prepare_cached(&format!("SELECT letter, reason FROM dropped {within} letter DESC LIMIT 1"))?
        .query_row(here, |row| Ok(Fate::Dropped(num(row, 0)?, row.get(1)?)))
        .optional()?;
    if let Some(dropped) = dropped {
        return Ok(dropped);
    }
    let again = conn
        .prepare_cached(&format!("SELECT delivery FROM redriven {within} delivery DESC LIMIT 1"))?
        .query_row(here, |row| num(row, 0))
        .optional()?;
    delivery_fate(conn, again.unwrap_or(delivery))
}

/// The first record that was accepted after everything that may be missing was admitted.
fn complete_from(conn: &Connection, channel: ChannelId, first: Offset, last: Offset) -> Sql<Offset> {
    let told = meta(conn, "told")?;
    let sql = format!(
        "SELECT offset FROM log_{channel} WHERE offset BETWEEN ?1 AND ?2 AND (accepted_host > ?3 OR ?3 = 0) ORDER BY offset LIMIT 1"
    );
    let from = conn.prepare_cached(&sql)?.query_row(params![int(first.0), int(last.0), int(told)], |row| num(row, 0));
    Ok(Offset(from.optional()?.unwrap_or(last.0.saturating_add(1))))
}

/// Passes rows to `take` until there are no more or it wants no more.
fn each(conn: &Connection, sql: &str, params: impl Params, mut take: impl FnMut(&Row<'_>) -> Sql<bool>) -> Sql<()> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()?
        && take(row)?
    {}
    Ok(())
}

/// The origin and the reactor, from the first four columns.
fn place(row: &Row<'_>) -> Sql<(Origin, Option<ReactorId>)> {
    Ok((origin_of(row, 0)?, row.get::<_, Option<u32>>(3)?.map(ReactorId)))
}

/// Forgets some of the notes from before `cutoff`; returns whether there may be more.
pub(super) fn forget(group: &Group<'_>, cutoff: HostTime, limit: u32) -> Sql<bool> {
    let mut more = false;
    for (table, id) in [("duplicates", "id"), ("redriven", "delivery")] {
        // Both tables are in order of time.
        let sql = format!(
            "DELETE FROM {table} WHERE noted_host < ?1 AND {id} IN (SELECT {id} FROM {table} ORDER BY {id} LIMIT ?2)"
        );
        more |= group.conn.prepare_cached(&sql)?.execute(params![int(cutoff.0), limit])? == limit as usize;
    }
    Ok(more)
}
