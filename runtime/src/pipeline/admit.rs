//! Step: read ahead in the logs of channels, and admit what was decoded and routed: a delivery each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::config::model::{Config, Unrouted};
use crate::event::{ChannelId, DeliveryId, HostTime, Offset};
use crate::store::{Admission, Admitted, Place, Store, StoreError};

use super::Input;
use super::delivery::Delivery;
use super::emit::Destination;
use super::enter::{Entering, Offer, Way};
use super::forward::Forwarding;
use super::host::Host;
use super::intake::{Candidate, Channel, Intake};
use super::reactor::Reactor;
use super::reading::Reading;
use super::room::until_there_is_room;
use super::schedule::Arrival;
use super::signal::Signals;

/// Most records, and most bytes, read from a log at a time.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 1 << 20;
/// Reading on is for those that have nothing to do. Where it only brings more for those that have enough, and these make
/// progress (so many runs since the last time), it rests a while instead of taking their time. Where they make none, it
/// goes on: nobody waits behind a stuck reactor.
const PROGRESS: u64 = 64;
const REST: Duration = Duration::from_millis(20);

impl Host {
    /// Reads ahead in every log whose readers would run dry, or which nobody reads.
    pub(super) fn read_logs(&mut self, now: Moment) -> Result<(), StoreError> {
        for index in 0..self.channels.len() {
            let intake = &self.channels[index];
            let hungry = intake.readers.is_empty() || intake.readers.iter().any(|r| self.deliveries.is_hungry(*r));
            let rests = intake.resting.is_some_and(|until| now < until);
            if intake.pending && !intake.busy && !rests && hungry && !self.outlets.are_full() {
                self.read_log(index)?;
            }
        }
        Ok(())
    }

    /// When a log that rests is to be read again.
    pub(super) fn next_read(&self, now: Moment) -> Option<Moment> {
        let resting = self.channels.iter().filter(|intake| intake.pending && !intake.busy);
        resting.filter_map(|intake| intake.resting).filter(|until| *until > now).min()
    }

    fn read_log(&mut self, index: usize) -> Result<(), StoreError> {
        let intake = &mut self.channels[index];
        let records = self.store.read_log(intake.channel.id, intake.cursor, READ_RECORDS, READ_BYTES)?;
        // Only an empty answer says that there is no more: the limits may cut a read anywhere.
        intake.pending = !records.is_empty();
        if records.is_empty() {
            return Ok(());
        }
        intake.busy = true;
        let (channel, drops) = (intake.channel.id, intake.channel.unrouted == Unrouted::Drop);
        let (mut cursor, count, at) = (intake.cursor, records.len(), self.clock.wall());
        let (mut offer, mut drop) = (Offer::default(), Vec::new());
        for record in records {
            let offset = record.offset;
            cursor = Offset(offset.0 + 1);
            let is_unwanted = self.offer(index, record, at, Way::Log, &mut offer);
            if is_unwanted && drops {
                drop.push(offset);
            }
        }
        self.count_offer(index, count, &offer);
        let batch = offer.entering();
        if !batch.candidates.is_empty() && batch.candidates.iter().all(|(_, place)| *place == Place::Spilled) {
            let intake = &mut self.channels[index];
            let progress = self.ended - std::mem::replace(&mut intake.ended, self.ended);
            intake.resting = (progress >= PROGRESS).then(|| self.clock.now() + REST);
        }
        let Offer { deliveries, dead, forward, unrouted, .. } = offer;
        let admission = Admission { channel, cursor, now: self.now(), deliveries, dead, forward, drop, unrouted };
        let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
        let (signals, clock) = (Arc::clone(&self.signals), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let answers = until_there_is_room(&signals, &*clock, || store.admit(admission.clone())).await;
            let _ = inputs.send(match answers {
                Ok(answers) => Input::Admitted { channel: index, cursor, batch, answers },
                Err(error) => Input::Fatal(error),
            });
        });
        Ok(())
    }

    pub(super) fn admitted(&mut self, channel: usize, cursor: Offset, batch: Entering, answers: &[Admitted]) {
        let now = self.now();
        let intake = &mut self.channels[channel];
        intake.busy = false;
        intake.cursor = cursor;
        self.feed(&batch.fed);
        for ((candidate, place), answer) in batch.candidates.into_iter().zip(answers) {
            let reactor = self.by_id[&candidate.reactor];
            match answer {
                Admitted::New(id) => self.admitted_one(reactor, *id, candidate, place, now, false),
                // The others are answers to receptions only.
                Admitted::Duplicate | Admitted::Active(_) | Admitted::Resumed(_) => {
                    self.suppressed(reactor, &candidate);
                }
            }
        }
    }

    /// A new delivery is in the store.
    pub(super) fn admitted_one(
        &mut self,
        reactor: usize,
        id: DeliveryId,
        candidate: Candidate,
        place: Place,
        now: HostTime,
        leased: bool,
    ) {
        self.reactors[reactor].signals.admitted();
        let lane = candidate.lane;
        if place == Place::Memory {
            self.deliveries.enter(Delivery::new(reactor, id, candidate, now, leased), Arrival::Fresh);
        } else {
            self.deliveries.stored(reactor, lane, place);
        }
    }

    /// The ledger has it already.
    pub(super) fn suppressed(&self, reactor: usize, candidate: &Candidate) {
        self.reactors[reactor].signals.duplicate(&candidate.event.id);
    }
}

pub(super) fn intakes(
    config: &Config,
    store: &dyn Store,
    reactors: &[Reactor],
    ids: &BTreeMap<String, ChannelId>,
    signals: &Signals,
) -> Result<Vec<Intake>, StoreError> {
    let mut intakes = Vec::new();
    for (name, channel) in &config.channels {
        let readers: Vec<usize> = (0..reactors.len()).filter(|r| reactors[*r].config.from.contains(name)).collect();
        if channel.settle().is_some() && readers.is_empty() {
            continue;
        }
        let subscribed: Vec<_> = readers.iter().map(|r| (reactors[*r].id, &reactors[*r].config)).collect();
        let id = ids[name];
        let forwarding = channel.dead_letter.as_ref().and_then(|to| {
            let Destination { target, max_event: limit, .. } = Destination::of(config.channels.get(to)?, ids[to]);
            Some(Forwarding { to: to.clone(), target, limit, hop_limit: config.runtime.hop_limit })
        });
        intakes.push(Intake {
            cursor: store.cursor(id)?,
            channel: Channel {
                id,
                name: name.clone(),
                unrouted: channel.unrouted,
                reading: Reading::new(config, channel, &subscribed),
                forwarding,
            },
            readers,
            pending: true,
            busy: false,
            resting: None,
            ended: 0,
            signals: signals.channel(name),
        });
    }
    Ok(intakes)
}
