//! Dead letters, and what clients ask to do with them.

use rusqlite::{Connection, OptionalExtension, params};

use reactor_core::event::{DeliveryId, HostTime, Identity, LaneKey, ReactorId};
use reactor_core::store::{DeadFilter, DeadLetter, NewDelivery, Place, Request, StoredDead, StoredDelivery};

use super::fault::{Fault, Sql};
use super::group::Group;
use super::rows::{
    DEAD, DELIVERY, dead_of, delivery_of, history_of, history_text, int, maybe, message_texts, nanos, num,
};
use super::{enter, traces};

/// Adds a dead letter.
pub(super) fn insert(
    group: &Group<'_>,
    letter: &DeadLetter,
    delivery: Option<DeliveryId>,
    lane: Option<LaneKey>,
) -> Sql<()> {
    let (attributes, system) = message_texts(&letter.message)?;
    group
        .conn
        .prepare_cached(
            "INSERT INTO dead (reactor, delivery, at, reason, detail, channel, record, part, key, lane, parks,
                               event_id, event_type, correlation_id, history, attributes, system, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            letter.reactor.map(|r| r.0),
            delivery.map(|d| int(d.0)),
            nanos(letter.at),
            letter.reason,
            letter.detail,
            letter.origin.channel.0,
            int(letter.origin.offset.0),
            letter.origin.part,
            letter.key.0,
            lane.map(|l| l.0),
            letter.parks.map(|l| l.0),
            letter.event_id,
            letter.event_type,
            letter.correlation_id,
            history_text(&letter.history)?,
            attributes,
            system,
            &letter.message.body[..],
        ])?;
    Ok(())
}

/// Ends a delivery as a dead letter; a redriven one returns to its original letter, with both histories.
pub(super) fn end(
    group: &Group<'_>,
    letter: &DeadLetter,
    delivery: DeliveryId,
    lane: Option<LaneKey>,
    redrive: Option<u64>,
) -> Sql<()> {
    let before: Option<(u64, Option<String>)> = match redrive {
        Some(id) => group
            .conn
            .prepare_cached("SELECT id, history FROM dead WHERE id = ?1")?
            .query_row([int(id)], |row| Ok((num(row, 0)?, row.get(1)?)))
            .optional()?,
        None => None,
    };
    let Some((id, history)) = before else {
        return insert(group, letter, Some(delivery), lane);
    };
    let mut history = history_of(history.as_deref())?;
    history.extend(letter.history.iter().cloned());
    group
        .conn
        .prepare_cached(
            "UPDATE dead SET redriving = 0, delivery = ?2, at = ?3, reason = ?4, detail = ?5, parks = ?6, history = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            int(id),
            int(delivery.0),
            nanos(letter.at),
            letter.reason,
            letter.detail,
            letter.parks.map(|l| l.0),
            history_text(&history)?,
        ])?;
    Ok(())
}

/// Removes a dead letter.
pub(super) fn remove(conn: &Connection, id: u64) -> Sql<()> {
    conn.prepare_cached("DELETE FROM dead WHERE id = ?1")?.execute([int(id)])?;
    Ok(())
}

/// See [`reactor_core::store::StoreClient::dead_letters`].
pub(super) fn list(conn: &Connection, filter: &DeadFilter) -> Sql<Vec<StoredDead>> {
    let body = if filter.brief { "x''" } else { "body" };
    let mut select = conn.prepare_cached(&format!(
        "SELECT {DEAD}, {body} FROM dead
         WHERE (?1 IS NULL OR reactor = ?1) AND (?2 IS NULL OR reason = ?2) AND (?3 IS NULL OR at >= ?3) AND id < ?5
         ORDER BY id DESC LIMIT ?4"
    ))?;
    let limit = if filter.limit == 0 { -1 } else { int(filter.limit as u64) };
    let below = filter.below.map_or(i64::MAX, int);
    let mut rows =
        select.query(params![filter.reactor.map(|r| r.0), filter.reason, filter.since.map(nanos), limit, below])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(dead_of(row)?);
    }
    Ok(found)
}

/// See [`reactor_core::store::StoreClient::dead_letter`].
pub(super) fn get(conn: &Connection, id: u64) -> Sql<Option<StoredDead>> {
    let mut select = conn.prepare_cached(&format!("SELECT {DEAD}, body FROM dead WHERE id = ?1"))?;
    let mut rows = select.query([int(id)])?;
    rows.next()?.map(dead_of).transpose()
}

/// See [`reactor_core::store::StoreClient::request`].
pub(super) fn request(group: &Group<'_>, request: &Request) -> Sql<()> {
    let text = serde_json::to_string(request).map_err(|e| Fault::other(e.to_string()))?;
    group.conn.prepare_cached("INSERT INTO requests (request) VALUES (?1)")?.execute([text])?;
    Ok(())
}

/// See [`reactor_core::store::StoreClient::requests`].
pub(super) fn requests(conn: &Connection, after: u64) -> Sql<Vec<(u64, Request)>> {
    let mut select = conn.prepare_cached("SELECT id, request FROM requests WHERE id > ?1 ORDER BY id")?;
    let rows = select.query_map([int(after)], |row| Ok((num(row, 0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (id, text) = row?;
        Ok((id, serde_json::from_str(&text).map_err(|e| Fault::Row(format!("request {id}: {e}")))?))
    })
    .collect()
}

fn carried_out(group: &Group<'_>, request: u64) -> Sql<()> {
    group.conn.prepare_cached("DELETE FROM requests WHERE id = ?1")?.execute([int(request)])?;
    Ok(())
}

/// See [`reactor_core::store::StoreOwner::redrive`].
pub(super) fn redrive(group: &mut Group<'_>, request: u64, id: u64) -> Sql<Option<StoredDelivery>> {
    carried_out(group, request)?;
    run_again(group, id)
}

/// Turns a dead letter into a delivery again, unless it is one already.
pub(super) fn run_again(group: &mut Group<'_>, id: u64) -> Sql<Option<StoredDelivery>> {
    let Some(dead) = get(group.conn, id)?.filter(|dead| !dead.redriving) else { return Ok(None) };
    let Some(reactor) = dead.letter.reactor else { return Ok(None) };
    let (before, lane): (Option<u64>, Option<[u8; 16]>) = group
        .conn
        .prepare_cached("SELECT delivery, lane FROM dead WHERE id = ?1")?
        .query_row([int(id)], |row| Ok((maybe(row, 0)?, row.get(1)?)))?;
    group.conn.prepare_cached("UPDATE dead SET redriving = 1 WHERE id = ?1")?.execute([int(id)])?;
    let (delivery, now) = (DeliveryId(group.live.next_delivery), group.live.host);
    group.live.next_delivery += 1;
    if let Some(before) = before {
        group.live.ledger.remove(group.conn, DeliveryId(before))?;
    }
    group.live.ledger.enter(&mut group.statements, (reactor, dead.letter.key), dead.letter.origin, delivery, now)?;
    let new = NewDelivery {
        reactor,
        origin: dead.letter.origin,
        key: dead.letter.key,
        window: std::time::Duration::ZERO,
        lane: lane.map(Identity),
        place: Place::Memory,
        redrive: true,
    };
    enter::insert(group, delivery, &new, now, Some(id), false)?;
    traces::note_redriven(group, delivery, &new)?;
    group.count("dead", reactor, -1);
    let mut select = group.conn.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1"))?;
    let mut rows = select.query([int(delivery.0)])?;
    rows.next()?.map(delivery_of).transpose()
}

/// See [`reactor_core::store::StoreOwner::drop_dead`].
pub(super) fn drop_dead(group: &mut Group<'_>, request: u64, id: u64) -> Sql<Option<(ReactorId, LaneKey)>> {
    carried_out(group, request)?;
    let Some(StoredDead { letter, .. }) = get(group.conn, id)?.filter(|dead| !dead.redriving) else { return Ok(None) };
    if let Some(reactor) = letter.reactor {
        let delivery: Option<u64> = group
            .conn
            .prepare_cached("SELECT delivery FROM dead WHERE id = ?1")?
            .query_row([int(id)], |row| maybe(row, 0))?;
        if let Some(delivery) = delivery {
            // No reactor completed it, so a later event with the same key is not a duplicate.
            group.live.ledger.forget(group.conn, (reactor, letter.key), DeliveryId(delivery))?;
        }
        group.conn.prepare_cached("INSERT OR REPLACE INTO dropped VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
            params![
                int(id),
                int(group.live.host.0),
                reactor.0,
                letter.key.0,
                letter.origin.channel.0,
                int(letter.origin.offset.0),
                letter.origin.part,
                letter.reason,
            ],
        )?;
        group.count("dead", reactor, -1);
        group.count("dropped", reactor, 1);
    }
    remove(group.conn, id)?;
    Ok(letter.reactor.zip(letter.parks))
}

/// Forgets some of the letters dropped before `cutoff`; returns whether there may be more.
pub(super) fn forget_dropped(group: &Group<'_>, cutoff: HostTime, limit: u32) -> Sql<bool> {
    let gone = group
        .conn
        .prepare_cached(
            "DELETE FROM dropped WHERE letter IN (SELECT letter FROM dropped WHERE dropped_host < ?1 LIMIT ?2)",
        )?
        .execute(params![int(cutoff.0), limit])?;
    Ok(gone == limit as usize)
}
