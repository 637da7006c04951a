//! Reading the events of deliveries again that are only in the store. This is done beside the host's task.

use reactor_core::event::{HostTime, Origin, ReactorId};
use reactor_core::store::{LogRecord, StoreError, StoreOwner, StoredDead, StoredDelivery};

use crate::schedule::Load;

/// Most deliveries that one load reads from the store.
const BATCH: usize = 256;
/// Bytes of messages that are read at a time; the message that reaches them is the last.
const BYTES: usize = 1 << 20;

/// A delivery and the message that its event is in, if that can still be read.
pub(crate) struct Found {
    pub(crate) stored: StoredDelivery,
    pub(crate) record: Option<LogRecord>,
}

/// What a load has found.
pub(crate) struct FoundOf {
    pub(crate) load: Load,
    pub(crate) deliveries: Vec<Found>,
    /// There may be more.
    pub(crate) more: bool,
    /// When the next one is due, of those that wait.
    pub(crate) next: Option<HostTime>,
}

/// Carries out loads, in order, until enough bytes have been read. Answers what they found, and the loads that are left.
pub(crate) fn carry_out(
    store: &dyn StoreOwner,
    loads: Vec<(Load, ReactorId)>,
    now: HostTime,
) -> Result<(Vec<FoundOf>, Vec<Load>), StoreError> {
    let (mut found, mut left, mut bytes) = (Vec::with_capacity(loads.len()), Vec::new(), 0);
    for (load, reactor) in loads {
        if bytes < BYTES {
            found.push(carry_out_one(store, load, reactor, now, &mut bytes)?);
        } else {
            left.push(load);
        }
    }
    Ok((found, left))
}

fn carry_out_one(
    store: &dyn StoreOwner,
    load: Load,
    reactor: ReactorId,
    now: HostTime,
    bytes: &mut usize,
) -> Result<FoundOf, StoreError> {
    let listed = match &load {
        Load::Spilled { after, .. } => store.spilled(reactor, *after, BATCH)?,
        Load::Due { after, .. } => store.due(reactor, *after, now, BATCH)?,
        Load::Lane { lane, after, .. } => store.held(reactor, *lane, *after, BATCH)?,
    };
    let mut found = FoundOf { load, deliveries: Vec::new(), more: listed.len() == BATCH, next: None };
    for stored in listed {
        if *bytes >= BYTES {
            found.more = true;
            found.next = Some(stored.due);
            return Ok(found);
        }
        let record = record(store, stored.origin, stored.redrive_of)?;
        *bytes += record.as_ref().map_or(0, |record| record.message.size());
        found.deliveries.push(Found { stored, record });
    }
    if let Load::Due { after, .. } = &found.load {
        let last = found.deliveries.last().map_or(*after, |found| (found.stored.due, found.stored.id));
        found.next = store.next_due(reactor, last)?;
    }
    Ok(found)
}

/// The message that an event was in: from the log or, where that has forgotten it, from the dead letter that is run again.
pub(crate) fn record(
    store: &dyn StoreOwner,
    origin: Origin,
    redrive_of: Option<u64>,
) -> Result<Option<LogRecord>, StoreError> {
    let mut found = store.read_log(origin.channel, origin.offset, 1, usize::MAX)?;
    if let Some(record) = found.pop().filter(|record| record.offset == origin.offset) {
        return Ok(Some(record));
    }
    let letter = redrive_of.map(|id| store.dead_letter(id)).transpose()?.flatten();
    Ok(letter.map(|StoredDead { letter, .. }| LogRecord {
        offset: origin.offset,
        accepted: letter.at,
        message: letter.message,
    }))
}

/// Reads the message of a delivery.
pub(crate) fn find(store: &dyn StoreOwner, stored: StoredDelivery) -> Result<Found, StoreError> {
    let record = record(store, stored.origin, stored.redrive_of)?;
    Ok(Found { stored, record })
}
