//! Intake: messages from a channel become deliveries, or match the deliveries they became earlier, and the cursor
//! moves.

use std::slice::Iter;

use rusqlite::{OptionalExtension, params};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Offset, Origin};
use reactor_core::store::{
    Admitted, Batch, DeadLetter, Entered, Incoming, NewDelivery, Place, StoredDelivery, UNROUTED,
};

use super::fault::{Fault, Sql};
use super::group::Group;
use super::rows::{DELIVERY, delivery_of, int, num, place_code};
use super::{dead, log, outbox, traces};

/// Applies a batch.
pub(super) fn apply(group: &mut Group<'_>, batch: &Batch) -> Sql<Entered> {
    group.now(batch.now);
    let channel = batch.channel;
    let mut cursor = match batch.cursor {
        Some(cursor) => advance(group, channel, cursor)?,
        None => log::cursor(group.conn, channel)?,
    };
    // Records that a client appended meanwhile have not been admitted, and the cursor must not pass them.
    let follows = batch.cursor.is_none() && cursor.0 == group.next_offset(channel)?;
    let mut answers = Vec::with_capacity(batch.deliveries.len());
    let mut records = Vec::with_capacity(batch.messages.len());
    let (mut deliveries, mut letters) = (batch.deliveries.iter(), batch.dead.iter());
    for incoming in &batch.messages {
        records.push(receive(group, batch, incoming, &mut deliveries, &mut letters, &mut answers)?);
    }
    for new in deliveries {
        answers.push(read(group, new, batch.now)?);
    }
    for letter in letters {
        bury(group, letter)?;
    }
    for (target, message) in &batch.forward {
        outbox::put(group, *target, message)?;
    }
    group.count_all("unrouted", i64::try_from(batch.unrouted).unwrap_or(i64::MAX));
    log::remove(group, channel, &batch.drop)?;
    if follows {
        let end = Offset(group.next_offset(channel)?);
        cursor = advance(group, channel, end)?;
    }
    Ok(Entered { cursor, records, answers })
}

/// Moves a channel's cursor forward, never back; returns its position.
fn advance(group: &Group<'_>, channel: ChannelId, to: Offset) -> Sql<Offset> {
    group
        .conn
        .prepare_cached("UPDATE channels SET cursor = max(cursor, ?2) WHERE id = ?1 RETURNING cursor")?
        .query_row(params![channel.0, int(to.0)], |row| num(row, 0))
        .optional()?
        .map(Offset)
        .ok_or_else(|| Fault::other(format!("there is no channel number {channel}")))
}

/// Enters the delivery of a record of the log.
fn read(group: &mut Group<'_>, new: &NewDelivery, now: HostTime) -> Sql<Admitted> {
    if let Some(first) = group.live.ledger.find(group.conn, (new.reactor, new.key), now, new.window)? {
        traces::note_duplicate(group, (new.reactor, new.origin), first)?;
        group.count("duplicates", new.reactor, 1);
        return Ok(Admitted::Duplicate);
    }
    enter(group, new, now, false)
}

/// Enters the deliveries of a received message. Returns the offset of its record, if it was kept.
fn receive(
    group: &mut Group<'_>,
    batch: &Batch,
    incoming: &Incoming,
    deliveries: &mut Iter<'_, NewDelivery>,
    letters: &mut Iter<'_, DeadLetter>,
    answers: &mut Vec<Admitted>,
) -> Sql<Option<Offset>> {
    let (mut record, mut duplicates) = (None, Vec::new());
    for new in deliveries.take(incoming.deliveries) {
        answers.push(match group.live.ledger.find(group.conn, (new.reactor, new.key), batch.now, new.window)? {
            Some(known) => {
                duplicates.push((new, known));
                again(group, new, known)?
            }
            None => {
                let offset = keep(group, batch.channel, incoming, &mut record)?;
                let new = NewDelivery { origin: Origin { offset, ..new.origin }, ..new.clone() };
                enter(group, &new, batch.now, true)?
            }
        });
    }
    if incoming.keep {
        keep(group, batch.channel, incoming, &mut record)?;
    }
    // A message with nothing new leaves no record, so its duplicates are not noted.
    for (new, first) in duplicates.into_iter().filter(|_| record.is_some()) {
        let origin = Origin { offset: record.unwrap_or_default(), ..new.origin };
        traces::note_duplicate(group, (new.reactor, origin), first)?;
    }
    for letter in letters.take(incoming.dead) {
        let origin = Origin { offset: record.unwrap_or_default(), ..letter.origin };
        bury(group, &DeadLetter { origin, ..letter.clone() })?;
    }
    Ok(record)
}

/// The message's record, written on first use.
fn keep(group: &mut Group<'_>, channel: ChannelId, incoming: &Incoming, record: &mut Option<Offset>) -> Sql<Offset> {
    if let Some(offset) = record {
        return Ok(*offset);
    }
    Ok(*record.insert(log::append(group, channel, std::iter::once(&incoming.message))?))
}

/// Decides on a received delivery that the ledger knows.
fn again(group: &mut Group<'_>, new: &NewDelivery, id: DeliveryId) -> Sql<Admitted> {
    let away: Option<bool> = group
        .conn
        .prepare_cached("SELECT place = 4 FROM deliveries WHERE id = ?1")?
        .query_row([int(id.0)], |row| row.get(0))
        .optional()?;
    match away {
        Some(true) => {
            group.conn.prepare_cached("UPDATE deliveries SET place = 0 WHERE id = ?1")?.execute([int(id.0)])?;
            return Ok(Admitted::Resumed(Box::new(stored(group, id)?)));
        }
        Some(false) => {
            group.count("duplicates", new.reactor, 1);
            return Ok(Admitted::Active(id));
        }
        None => {}
    }
    if new.redrive {
        let letter = group
            .conn
            .prepare_cached("SELECT id FROM dead WHERE delivery = ?1 AND redriving = 0")?
            .query_row([int(id.0)], |row| num(row, 0))
            .optional()?;
        if let Some(letter) = letter
            && let Some(stored) = dead::run_again(group, letter)?
        {
            return Ok(Admitted::Resumed(Box::new(stored)));
        }
    }
    group.count("duplicates", new.reactor, 1);
    Ok(Admitted::Duplicate)
}

fn stored(group: &Group<'_>, id: DeliveryId) -> Sql<StoredDelivery> {
    let mut select = group.conn.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1"))?;
    let mut rows = select.query([int(id.0)])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    delivery_of(row)
}

/// Keeps a letter that died on arrival.
fn bury(group: &mut Group<'_>, letter: &DeadLetter) -> Sql<()> {
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

/// Enters a delivery that the ledger does not have.
fn enter(group: &mut Group<'_>, new: &NewDelivery, now: HostTime, leased: bool) -> Sql<Admitted> {
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
