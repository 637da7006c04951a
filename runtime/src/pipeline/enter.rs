//! Step: make of a message what the store is asked to enter. This is the one way in: a record of a log and a message that
//! is received under a lease differ only in what moves the cursor, and in what has to be settled afterwards.

use jiff::Timestamp;

use crate::event::Message;
use crate::store::{DeadLetter, LogRecord, NewDelivery, Place, Target};

use super::host::Host;
use super::intake::Candidate;
use super::sizes;

/// How a message is taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It is a record of the channel's log, whose cursor passes it.
    Log,
    /// It is received, and settled when all that came of it has ended.
    Lease,
}

/// What messages turned into, for the store.
#[derive(Default)]
pub(super) struct Offer {
    /// The deliveries, and what each of them is made of, in the same order.
    pub(super) deliveries: Vec<NewDelivery>,
    pub(super) candidates: Vec<(Candidate, Place)>,
    /// What ends here, and its copies for other channels.
    pub(super) dead: Vec<DeadLetter>,
    pub(super) forward: Vec<(Target, Message)>,
    pub(super) unrouted: u64,
}

/// What is kept in memory while the store enters an offer.
pub(super) struct Entering {
    pub(super) candidates: Vec<(Candidate, Place)>,
    /// What other channels get of it.
    pub(super) fed: Vec<(Target, usize)>,
}

impl Offer {
    /// Takes out what is kept in memory meanwhile.
    pub(super) fn entering(&mut self) -> Entering {
        Entering { candidates: std::mem::take(&mut self.candidates), fed: sizes(&self.forward) }
    }
}

impl Host {
    /// Decodes, checks and routes a message of a channel, and adds to an offer what came of it. Returns whether it was
    /// decoded and no reactor wants any of it.
    pub(super) fn offer(&self, channel: usize, record: LogRecord, at: Timestamp, way: Way, offer: &mut Offer) -> bool {
        let sorted = self.channels[channel].channel.sort(record, at);
        for candidate in sorted.candidates {
            let reactor = self.by_id[&candidate.reactor];
            let place = self.deliveries.place(reactor, candidate.lane);
            let config = &self.reactors[reactor].config;
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
    pub(super) fn count_offer(&self, channel: usize, messages: usize, offer: &Offer) {
        let undecodable = offer.dead.iter().filter(|dead| dead.event_id.is_none()).count();
        self.channels[channel].signals.sorted(messages, offer.unrouted, undecodable);
    }
}
