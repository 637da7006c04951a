//! Intake from channels outside: what was received becomes records and deliveries, or meets those it had become before.

use rusqlite::{OptionalExtension, params};

use super::fault::Sql;
use super::group::Group;
use super::rows::{DELIVERY, delivery_of, int, num};
use super::{admit, dead, log, outbox, traces};
use crate::event::{ChannelId, DeliveryId, Offset, Origin};
use crate::store::{Admitted, DeadLetter, Entered, EnteredMessage, Incoming, NewDelivery, Reception, StoredDelivery};

/// Applies a reception.
pub(super) fn apply(group: &mut Group<'_>, reception: &Reception) -> Sql<Entered> {
    group.now(reception.now);
    let channel = reception.channel;
    let (cursor, end) = (log::cursor(group.conn, channel)?, group.next_offset(channel)?);
    let mut messages = Vec::with_capacity(reception.messages.len());
    for incoming in &reception.messages {
        messages.push(enter(group, reception, incoming)?);
    }
    log::remove(group, channel, &reception.drop)?;
    // What somebody appended meanwhile has not been admitted, and the cursor must not pass it.
    let cursor = if cursor.0 == end { Offset(group.next_offset(channel)?) } else { cursor };
    group
        .conn
        .prepare_cached("UPDATE channels SET cursor = ?2 WHERE id = ?1")?
        .execute(params![channel.0, int(cursor.0)])?;
    Ok(Entered { cursor, messages })
}

fn enter(group: &mut Group<'_>, reception: &Reception, incoming: &Incoming) -> Sql<EnteredMessage> {
    let (channel, now) = (reception.channel, reception.now);
    let mut record = None;
    let mut answers = Vec::with_capacity(incoming.deliveries.len());
    let mut duplicates = Vec::new();
    for new in &incoming.deliveries {
        answers.push(match group.live.ledger.find(group.conn, (new.reactor, new.key), now, new.window)? {
            Some(known) => {
                duplicates.push((new, known));
                again(group, new, known)?
            }
            None => {
                let offset = keep(group, channel, incoming, &mut record)?;
                let new = NewDelivery { origin: Origin { offset, ..new.origin }, ..new.clone() };
                admit::enter_new(group, &new, now, true)?
            }
        });
    }
    if incoming.keep {
        keep(group, channel, incoming, &mut record)?;
    }
    // A message of which nothing is new leaves no record, so there is nothing to tell of it.
    for (new, first) in duplicates.into_iter().filter(|_| record.is_some()) {
        let origin = Origin { offset: record.unwrap_or_default(), ..new.origin };
        traces::note_duplicate(group, (new.reactor, origin), first)?;
    }
    for letter in &incoming.dead {
        let origin = Origin { offset: record.unwrap_or_default(), ..letter.origin };
        admit::bury(group, &DeadLetter { origin, ..letter.clone() })?;
    }
    for (target, message) in &incoming.forward {
        outbox::put(group, *target, message)?;
    }
    group.count_all("unrouted", i64::try_from(incoming.unrouted).unwrap_or(i64::MAX));
    Ok(EnteredMessage { record, answers })
}

/// The message's record, made at first use.
fn keep(group: &mut Group<'_>, channel: ChannelId, incoming: &Incoming, record: &mut Option<Offset>) -> Sql<Offset> {
    if let Some(offset) = record {
        return Ok(*offset);
    }
    Ok(*record.insert(log::append(group, channel, std::iter::once(&incoming.message))?))
}

/// What becomes of a delivery that the ledger knows.
fn again(group: &mut Group<'_>, new: &NewDelivery, id: DeliveryId) -> Sql<Admitted> {
    let away: Option<bool> = group
        .conn
        .prepare_cached("SELECT place = 4 FROM deliveries WHERE id = ?1")?
        .query_row([int(id.0)], |row| row.get(0))
        .optional()?;
    match away {
        Some(true) => {
            group.conn.prepare_cached("UPDATE deliveries SET place = 0 WHERE id = ?1")?.execute([int(id.0)])?;
            return Ok(Admitted::Resumed(Box::new(read(group, id)?)));
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

fn read(group: &Group<'_>, id: DeliveryId) -> Sql<StoredDelivery> {
    let mut select = group.conn.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1"))?;
    let mut rows = select.query([int(id.0)])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    delivery_of(row)
}
