//! Intake: the cursor moves, and what was read becomes deliveries.

use rusqlite::{OptionalExtension, params};

use super::fault::{Fault, Sql};
use super::group::Group;
use super::log;
use super::rows::{int, place_code};
use super::{dead, outbox, traces};
use crate::event::{DeliveryId, HostTime};
use crate::store::{Admission, Admitted, DeadLetter, NewDelivery, Place, UNROUTED};

/// Applies an admission.
pub(super) fn apply(group: &mut Group<'_>, admission: &Admission) -> Sql<Vec<Admitted>> {
    group.now(admission.now);
    let channel = admission.channel;
    group
        .conn
        .prepare_cached("UPDATE channels SET cursor = max(cursor, ?2) WHERE id = ?1 RETURNING 1")?
        .query_row(params![channel.0, int(admission.cursor.0)], |_| Ok(()))
        .optional()?
        .ok_or_else(|| Fault::other(format!("there is no channel number {channel}")))?;
    let mut answers = Vec::with_capacity(admission.deliveries.len());
    for delivery in &admission.deliveries {
        answers.push(enter(group, delivery, admission.now)?);
    }
    for letter in &admission.dead {
        bury(group, letter)?;
    }
    for (target, message) in &admission.forward {
        outbox::put(group, *target, message)?;
    }
    group.count_all("unrouted", i64::try_from(admission.unrouted).unwrap_or(i64::MAX));
    log::remove(group, channel, &admission.drop)?;
    Ok(answers)
}

/// Keeps what ended on arrival.
pub(super) fn bury(group: &mut Group<'_>, letter: &DeadLetter) -> Sql<()> {
    dead::insert(group, letter, None, letter.parks)?;
    match letter.reactor {
        Some(reactor) => {
            group.count("delivered", reactor, 1);
            group.count("dead", reactor, 1);
        }
        None if letter.reason != UNROUTED => group.count_all("invalid", 1),
        None => {}
    }
    Ok(())
}

fn enter(group: &mut Group<'_>, new: &NewDelivery, now: HostTime) -> Sql<Admitted> {
    if let Some(first) = group.live.ledger.find(group.conn, (new.reactor, new.key), now, new.window)? {
        traces::note_duplicate(group, (new.reactor, new.origin), first)?;
        group.count("duplicates", new.reactor, 1);
        return Ok(Admitted::Duplicate);
    }
    enter_new(group, new, now, false)
}

/// Enters a delivery that the ledger does not have.
pub(super) fn enter_new(group: &mut Group<'_>, new: &NewDelivery, now: HostTime, leased: bool) -> Sql<Admitted> {
    let key = (new.reactor, new.key);
    let id = DeliveryId(group.live.next_delivery);
    group.live.next_delivery += 1;
    group.live.ledger.enter(&mut group.statements, key, new.origin, id, now)?;
    insert(group, id, new, now, None, leased)?;
    group.count("delivered", new.reactor, 1);
    Ok(Admitted::New(id))
}

/// Adds a delivery without attempts.
pub(super) fn insert(
    group: &mut Group<'_>,
    id: DeliveryId,
    new: &NewDelivery,
    now: HostTime,
    redrive: Option<u64>,
    leased: bool,
) -> Sql<()> {
    let waiting = new.place == Place::Waiting;
    group
        .statements
        .of(
            "INSERT INTO deliveries (id, reactor, place, attempts, since, channel, record, part, key, lane, due, redrive, leased)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            int(id.0),
            new.reactor.0,
            place_code(new.place),
            int(now.0),
            new.origin.channel.0,
            int(new.origin.offset.0),
            new.origin.part,
            new.key.0,
            new.lane.map(|lane| lane.0),
            waiting.then_some(int(now.0)),
            redrive.map(int),
            leased,
        ])?;
    group.count("active", new.reactor, 1);
    group.count("waiting", new.reactor, i64::from(waiting));
    Ok(())
}
