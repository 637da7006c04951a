//! Step: make of a message what the store is asked to enter. This is the one way in: a record of a log and a message that
//! is received under a lease differ only in what moves the cursor, and in what has to be settled afterwards.

use jiff::Timestamp;

use reactor_core::event::{DeliveryId, HostTime, Message, Offset};
use reactor_core::store::{
    Admitted, Batch, DeadLetter, Entered, LogRecord, NewDelivery, Place, StoreOwner, StoredDelivery, Target,
};

use super::restore::{self, Found};
use crate::Input;
use crate::delivery::Delivery;
use crate::host::Host;
use crate::intake::{Admission, Candidate};
use crate::schedule::Arrival;
use crate::sources::lease::LeaseId;

/// How a message is taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is a record of the channel's log, whose cursor passes it.
    Log,
    /// It is received, and settled when all that came of it has ended.
    Lease,
}

/// What messages turned into, for the store.
#[derive(Default)]
pub(crate) struct Offer {
    /// The deliveries, and what each of them is made of, in the same order.
    pub(crate) deliveries: Vec<NewDelivery>,
    pub(crate) candidates: Vec<(Candidate, Place)>,
    /// What ends here, and its copies for other channels.
    pub(crate) dead: Vec<DeadLetter>,
    pub(crate) forward: Vec<(Target, Message)>,
    pub(crate) unrouted: u64,
}

/// What is kept in memory while the store enters a batch.
pub(crate) struct Entering {
    /// Its place among the channels.
    channel: usize,
    /// The leases of the messages that were received, and how many of the candidates are of each.
    leases: Vec<(LeaseId, usize)>,
    candidates: Vec<(Candidate, Place)>,
    /// What other channels get of it.
    fed: Vec<(Target, usize)>,
}

/// What came of a received message, and is awaited before it is settled.
#[derive(Default)]
pub(crate) struct Awaited {
    pub(crate) open: Vec<DeliveryId>,
    /// Those of them that wait behind others.
    pub(crate) held: Vec<DeliveryId>,
    /// Those of them that go on in memory.
    pub(crate) resumed: Vec<Found>,
    /// One of them is just being parked.
    pub(crate) too_early: bool,
    /// Its record, if something new came of it.
    pub(crate) record: Option<Offset>,
}

impl Host {
    /// Decodes, checks and routes a message of a channel, and adds to an offer what came of it. Returns whether it was
    /// decoded and no reactor wants any of it.
    pub(crate) fn offer(&self, channel: usize, record: LogRecord, at: Timestamp, way: Way, offer: &mut Offer) -> bool {
        let sorted = self.topology.channels[channel].channel.sort(record, at);
        for candidate in sorted.candidates {
            let reactor = self.topology.by_id[&candidate.reactor];
            let place = self.deliveries.place(reactor, candidate.lane);
            let config = &self.topology.reactors[reactor].config;
            offer.deliveries.push(NewDelivery {
                reactor: candidate.reactor,
                origin: candidate.origin,
                key: candidate.key,
                window: config.dedup.window,
                lane: candidate.lane,
                place,
                redrive: way == Way::Lease && sorted.sent_back_to.as_ref() == Some(&config.name),
            });
            offer.candidates.push((candidate, place));
        }
        offer.dead.extend(sorted.dead);
        offer.forward.extend(sorted.forward);
        offer.unrouted += sorted.unrouted;
        sorted.is_unwanted
    }

    /// Counts what messages of a channel turned into.
    pub(crate) fn count_offer(&self, channel: usize, messages: usize, offer: &Offer) {
        let undecodable = offer.dead.iter().filter(|dead| dead.event_id.is_none()).count();
        self.topology.channels[channel].signals.sorted(messages, offer.unrouted, undecodable);
    }

    /// Hands a batch to the store, with what was offered.
    pub(crate) fn enter(&self, channel: usize, batch: Batch, offer: Offer, leases: Vec<(LeaseId, usize)>) {
        let Offer { deliveries, candidates, dead, forward, unrouted } = offer;
        let entering = Entering { channel, leases, candidates, fed: sizes(&forward) };
        let batch = Batch { deliveries, dead, forward, unrouted, ..batch };
        let ports = self.ports.clone();
        self.ports.spawn(async move {
            let entered = ports.written(|store| store.enter(batch.clone())).await?;
            let resumed = resumed(&entered);
            // They come into memory together with what is new, so that each lane keeps its order.
            let resumed = if resumed.is_empty() {
                Vec::new()
            } else {
                let find = |store: &dyn StoreOwner| resumed.into_iter().map(|one| restore::find(store, one)).collect();
                ports.made(find).await?
            };
            Ok(Input::Entered(entering, entered, resumed))
        });
    }

    /// The store has entered a batch.
    pub(crate) fn entered(&mut self, batch: Entering, entered: Entered, resumed: Vec<Found>) {
        let Entering { channel, leases, candidates, fed } = batch;
        let intake = &mut self.topology.channels[channel];
        intake.admission = Admission::None;
        intake.cursor = entered.cursor;
        self.wake_readers(&fed);
        let now = self.ports.now();
        let mut answered = candidates.into_iter().zip(entered.answers);
        let mut resumed = resumed.into_iter();
        for ((lease, count), record) in leases.into_iter().zip(entered.records) {
            let mut awaited = Awaited::default();
            for (candidate, answer) in answered.by_ref().take(count) {
                let found = matches!(answer, Admitted::Resumed(_)).then(|| resumed.next()).flatten();
                awaited.resumed.extend(found);
                self.delivery_entered(candidate, answer, now, Some((&mut awaited, record)));
            }
            self.message_entered(lease, awaited);
        }
        for (candidate, answer) in answered {
            self.delivery_entered(candidate, answer, now, None);
        }
        if self.queues.pollers.iter().all(|poller| !self.topology.channels[poller.intake].is_entering()) {
            self.deliveries.nothing_is_received();
        }
    }

    /// The store has answered for a delivery. Of a message that was received under a lease, it may have to be awaited, and
    /// the message has this record.
    fn delivery_entered(
        &mut self,
        (mut candidate, place): (Candidate, Place),
        answer: Admitted,
        now: HostTime,
        message: Option<(&mut Awaited, Option<Offset>)>,
    ) {
        let reactor = self.topology.by_id[&candidate.reactor];
        match (answer, message) {
            (Admitted::New(id), message) => {
                let leased = message.is_some();
                if let Some((awaited, record)) = message {
                    candidate.origin.offset = record.unwrap_or_default();
                    awaited.record = record;
                    awaited.open.push(id);
                    awaited.held.extend((place == Place::Held).then_some(id));
                }
                self.admitted_one(reactor, id, candidate, place, now, leased);
            }
            (Admitted::Active(id), Some((awaited, _))) => {
                awaited.too_early |= self.deliveries.was_away(id);
                awaited.open.push(id);
            }
            (Admitted::Resumed(stored), Some((awaited, _))) => {
                awaited.open.push(stored.id);
            }
            // Of a record of the log, the ledger has it already, done or not.
            (Admitted::Duplicate | Admitted::Active(_) | Admitted::Resumed(_), _) => {
                self.topology.reactors[reactor].signals.duplicate(&candidate.event.event_type, &candidate.event.id);
            }
        }
    }

    /// A new delivery is in the store.
    fn admitted_one(
        &mut self,
        reactor: usize,
        id: DeliveryId,
        candidate: Candidate,
        place: Place,
        now: HostTime,
        leased: bool,
    ) {
        self.topology.reactors[reactor].signals.admitted();
        let lane = candidate.lane;
        if place == Place::Memory {
            self.deliveries.enter(Delivery::new(reactor, id, candidate, now, leased), Arrival::Fresh);
        } else {
            self.deliveries.stored(reactor, lane, place);
        }
    }
}

/// The deliveries that go on in memory.
fn resumed(entered: &Entered) -> Vec<StoredDelivery> {
    let resumed =
        |answer: &Admitted| if let Admitted::Resumed(stored) = answer { Some((**stored).clone()) } else { None };
    entered.answers.iter().filter_map(resumed).collect()
}

/// Where messages go, and how many bytes of bodies.
fn sizes(messages: &[(Target, Message)]) -> Vec<(Target, usize)> {
    messages.iter().map(|(to, message)| (*to, message.body.len())).collect()
}
