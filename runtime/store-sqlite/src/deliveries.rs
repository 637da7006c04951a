//! Deliveries that are only in the store, and what a crash leaves of those that were in memory.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Params, params};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, ReactorId};
use reactor_core::store::{LaneState, Place, Recovered, StoredDelivery};

use super::claims::Claim;
use super::fault::{Fault, Sql};
use super::group::Group;
use super::rows::{DELIVERY, delivery_of, int, num, place_code};

fn select(conn: &Connection, tail: &str, params: impl Params) -> Sql<Vec<StoredDelivery>> {
    let mut select = conn.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE {tail}"))?;
    let mut rows = select.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(delivery_of(row)?);
    }
    Ok(found)
}

/// See [`reactor_core::store::StoreClient::spilled`].
pub(super) fn spilled(
    conn: &Connection,
    reactor: ReactorId,
    after: DeliveryId,
    limit: usize,
) -> Sql<Vec<StoredDelivery>> {
    let tail = "place = 1 AND reactor = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    select(conn, tail, params![reactor.0, int(after.0), int(limit as u64)])
}

/// See [`reactor_core::store::StoreClient::due`].
pub(super) fn due(
    conn: &Connection,
    reactor: ReactorId,
    after: (HostTime, DeliveryId),
    now: HostTime,
    limit: usize,
) -> Sql<Vec<StoredDelivery>> {
    let tail = "place = 3 AND reactor = ?1 AND (due, id) > (?2, ?3) AND due <= ?4 ORDER BY due, id LIMIT ?5";
    let limit = int(limit as u64);
    select(conn, tail, params![reactor.0, int(after.0.0), int(after.1.0), int(now.0), limit])
}

/// See [`reactor_core::store::StoreOwner::next_due`].
pub(super) fn next_due(conn: &Connection, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Sql<Option<HostTime>> {
    let due = conn
        .prepare_cached(
            "SELECT due FROM deliveries WHERE place = 3 AND reactor = ?1 AND (due, id) > (?2, ?3) ORDER BY due, id LIMIT 1",
        )?
        .query_row(params![reactor.0, int(after.0.0), int(after.1.0)], |row| num(row, 0))
        .optional()?;
    Ok(due.map(HostTime))
}

/// See [`reactor_core::store::StoreClient::held`].
pub(super) fn held(
    conn: &Connection,
    reactor: ReactorId,
    lane: LaneKey,
    after: DeliveryId,
    limit: usize,
) -> Sql<Vec<StoredDelivery>> {
    let tail = "place = 2 AND reactor = ?1 AND lane = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
    select(conn, tail, params![reactor.0, lane.0, int(after.0), int(limit as u64)])
}

/// See [`reactor_core::store::StoreOwner::hold`]; skips deliveries that have ended meanwhile.
pub(super) fn hold(group: &mut Group<'_>, deliveries: &[DeliveryId]) -> Sql<()> {
    move_to(group, deliveries, Place::Held)
}

fn move_to(group: &mut Group<'_>, deliveries: &[DeliveryId], place: Place) -> Sql<()> {
    for id in deliveries {
        let before: Option<(u32, bool)> = group
            .conn
            .prepare_cached("SELECT reactor, place = 3 FROM deliveries WHERE id = ?1")?
            .query_row([int(id.0)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((reactor, waiting)) = before {
            group
                .conn
                .prepare_cached("UPDATE deliveries SET place = ?2, due = NULL WHERE id = ?1")?
                .execute(params![int(id.0), place_code(place)])?;
            group.count("waiting", ReactorId(reactor), -i64::from(waiting));
        }
    }
    Ok(())
}

/// See [`reactor_core::store::StoreOwner::away`]; skips deliveries that have ended meanwhile.
pub(super) fn away(group: &mut Group<'_>, deliveries: &[DeliveryId]) -> Sql<()> {
    move_to(group, deliveries, Place::Away)
}

/// Forgets some of the deliveries that have been away since before `cutoff`; returns whether there may be more.
pub(super) fn forget_away(group: &mut Group<'_>, cutoff: HostTime, limit: u32) -> Sql<bool> {
    let mut delete = group.conn.prepare_cached(
        "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE place = 4 AND since < ?1 LIMIT ?2)
         RETURNING reactor",
    )?;
    let reactors =
        delete.query_map(params![int(cutoff.0), limit], |row| row.get(0))?.collect::<Result<Vec<u32>, _>>()?;
    for reactor in &reactors {
        // Another host handled it, so this host does not count it.
        group.count("delivered", ReactorId(*reactor), -1);
        group.count("active", ReactorId(*reactor), -1);
    }
    if !reactors.is_empty() {
        tracing::info!(
            count = reactors.len(),
            "forgot parked deliveries whose messages never came back; another host has handled them"
        );
    }
    Ok(reactors.len() == limit as usize)
}

/// Deliveries under a lease from one of these channels are away until their message is received again.
fn set_leased(group: &mut Group<'_>, leased: &[ChannelId]) -> Sql<()> {
    let leased = serde_json::to_string(leased).map_err(|e| Fault::other(e.to_string()))?;
    group.conn.execute(
        "UPDATE deliveries SET leased = 0, place = iif(place = 4, 1, place)
         WHERE leased AND channel NOT IN (SELECT value FROM json_each(?1))",
        [&leased],
    )?;
    let mut moved = group.conn.prepare("SELECT id FROM deliveries WHERE leased AND place <> 4")?;
    let moved = moved.query_map([], |row| num(row, 0).map(DeliveryId))?.collect::<Result<Vec<_>, _>>()?;
    away(group, &moved)
}

/// See [`reactor_core::store::StoreOwner::recover`]. A second call returns the same until the attempts are accounted
/// for, except the speculative ones.
pub(super) fn recover(group: &mut Group<'_>, claims: &[Claim], leased: &[ChannelId]) -> Sql<Recovered> {
    for claim in claims {
        group
            .conn
            .prepare_cached("UPDATE deliveries SET started = ?2 WHERE id = ?1 AND attempts + 1 = ?2")?
            .execute(params![int(claim.delivery.0), claim.attempt])?;
    }
    group.conn.execute("UPDATE deliveries SET place = 1 WHERE place = 0", [])?;
    // Before any other delivery goes away: those already away blocked no lane.
    let ahead = void_claims(group)?;
    set_leased(group, leased)?;
    put_lanes_in_order(group.conn)?;
    let mut interrupted = Vec::new();
    for delivery in select(group.conn, STARTED, [])? {
        let attempt =
            group
                .conn
                .query_row("SELECT started FROM deliveries WHERE id = ?1", [int(delivery.id.0)], |row| row.get(0))?;
        interrupted.push((delivery, attempt));
    }
    Ok(Recovered { interrupted, ahead, lanes: lanes(group.conn)? })
}

/// Deliveries with an attempt that had begun.
const STARTED: &str = "started IS NOT NULL AND started = attempts + 1 ORDER BY id";

/// Forgets the attempts of deliveries that were not the heads of their lanes, and returns those deliveries.
fn void_claims(group: &Group<'_>) -> Sql<Vec<(ReactorId, LaneKey, DeliveryId)>> {
    let mut ahead = Vec::new();
    for delivery in select(group.conn, STARTED, [])? {
        if let Some(lane) = delivery.lane
            && !is_head(group.conn, &delivery, lane)?
        {
            ahead.push((delivery.reactor, lane, delivery.id));
        }
    }
    for (_, _, delivery) in &ahead {
        group.conn.execute("UPDATE deliveries SET started = NULL WHERE id = ?1", [int(delivery.0)])?;
    }
    Ok(ahead)
}

/// Whether a delivery is the next of its lane: in a parked lane, the dead letter that runs again; otherwise the
/// delivery that waits for its next attempt; otherwise the oldest. No delivery is in memory any more.
fn is_head(conn: &Connection, delivery: &StoredDelivery, lane: LaneKey) -> Sql<bool> {
    let exists = |sql: &str, tail: Option<u64>| -> Sql<Option<bool>> {
        let tail = tail.map(int);
        let row = conn.prepare_cached(sql)?.query_row(params![delivery.reactor.0, lane.0, tail], |row| row.get(0));
        Ok(row.optional()?)
    };
    let parking = "SELECT max(id IS ?3) FROM dead WHERE reactor = ?1 AND parks = ?2 HAVING count(*) > 0";
    let waiting =
        "SELECT min(id) = ?3 FROM deliveries WHERE place = 3 AND reactor = ?1 AND lane = ?2 HAVING count(*) > 0";
    let older = "SELECT 0 FROM deliveries WHERE place = ";
    let older = |place: u8| format!("{older}{place} AND reactor = ?1 AND lane = ?2 AND id < ?3 LIMIT 1");
    if let Some(is_it) = exists(parking, delivery.redrive_of)? {
        return Ok(is_it);
    }
    if let Some(is_it) = exists(waiting, Some(delivery.id.0))? {
        return Ok(is_it);
    }
    Ok(exists(&older(2), Some(delivery.id.0))?.is_none() && exists(&older(1), Some(delivery.id.0))?.is_none())
}

/// Turns spilled deliveries into held ones in every lane that is blocked, that will be blocked once the interrupted
/// attempt of its head is counted, or that has held deliveries: the scheduler reads spilled and held ones side by side.
/// The dead letter that a parked lane waits for and that runs again must not be held behind itself.
fn put_lanes_in_order(conn: &Connection) -> Sql<()> {
    let lane_in = |table: &str, lane: &str, which: &str| {
        format!(
            "EXISTS (SELECT 1 FROM {table} x
                     WHERE x.reactor = deliveries.reactor AND x.{lane} = deliveries.lane AND {which})"
        )
    };
    let runs_again = lane_in("dead", "parks", "x.id = deliveries.redrive");
    let (held, waiting) = (lane_in("deliveries", "lane", "x.place = 2"), lane_in("deliveries", "lane", "x.place = 3"));
    let (parked, behind) = (lane_in("dead", "parks", "1"), lane_in("interrupted", "lane", "x.head <> deliveries.id"));
    conn.execute_batch(&format!(
        "CREATE TEMP TABLE interrupted (reactor INTEGER, lane BLOB, head INTEGER, PRIMARY KEY (reactor, lane)) WITHOUT ROWID;
         INSERT INTO interrupted SELECT reactor, lane, id FROM deliveries WHERE lane IS NOT NULL AND {STARTED};
         UPDATE deliveries SET place = 1 WHERE place = 2 AND redrive IS NOT NULL AND {runs_again};
         UPDATE deliveries SET place = 2
         WHERE place = 1 AND lane IS NOT NULL AND ({held} OR {waiting} OR {parked} OR {behind})
           AND (redrive IS NULL OR NOT {runs_again});
         DROP TABLE interrupted;"
    ))?;
    Ok(())
}

fn lanes(conn: &Connection) -> Sql<Vec<(ReactorId, LaneKey, LaneState)>> {
    let mut lanes = BTreeMap::new();
    // Later queries have the stronger reasons.
    let queries = [
        ("SELECT DISTINCT reactor, lane FROM deliveries WHERE place = 2 AND lane IS NOT NULL", LaneState::Free),
        ("SELECT DISTINCT reactor, lane FROM deliveries WHERE place = 3 AND lane IS NOT NULL", LaneState::Waiting),
        ("SELECT DISTINCT reactor, parks FROM dead WHERE parks IS NOT NULL AND reactor IS NOT NULL", LaneState::Parked),
    ];
    for (sql, state) in queries {
        let mut select = conn.prepare(sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            lanes.insert((ReactorId(row.get(0)?), Identity(row.get(1)?)), state);
        }
    }
    Ok(lanes.into_iter().map(|((reactor, lane), state)| (reactor, lane, state)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SQLite`'s query plan over the schema.
    fn plan(sql: &str) -> String {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("schema.sql")).unwrap();
        let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = explain.raw_query();
        rows.mapped(|row| row.get::<_, String>(3)).map(|step| step.unwrap()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn loading_never_scans_the_table() {
        let queries = [
            ("place = 1 AND reactor = ?1 AND id > ?2 ORDER BY id LIMIT ?3", "deliveries_spilled (reactor=? AND id>?)"),
            (
                "place = 3 AND reactor = ?1 AND (due, id) > (?2, ?3) AND due <= ?4 ORDER BY due, id",
                "deliveries_waiting (",
            ),
            (
                "place = 2 AND reactor = ?1 AND lane = ?2 AND id > ?3 ORDER BY id",
                "deliveries_held (reactor=? AND lane=? AND id>?)",
            ),
            ("place = 4 AND since < ?1", "deliveries_away (since<?)"),
            ("started IS NOT NULL AND started = attempts + 1", "deliveries_started"),
            ("redrive IS NOT NULL AND channel = ?1", "deliveries_redrive"),
            ("place = 3 AND lane IS NOT NULL", "deliveries_waiting_lane"),
        ];
        for (condition, index) in queries {
            let columns = if condition.contains("lane IS NOT NULL") { "DISTINCT reactor, lane" } else { "*" };
            let plan = plan(&format!("SELECT {columns} FROM deliveries WHERE {condition}"));
            assert!(plan.contains(index), "{condition}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{condition}: {plan}");
        }
    }
}
