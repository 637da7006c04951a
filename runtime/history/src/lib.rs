//! The read side: the fate of an event, a correlation id or an attempt, as the store noted it at the time. It does not
//! use the configuration: no event is decoded or routed again to find out what happened.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

mod attempt;
mod past;

use std::collections::BTreeMap;

pub use self::attempt::Attempt;
pub use self::past::Past;

use reactor_core::event::{ChannelId, DeliveryId, Offset, Origin, ReactorId};
use reactor_core::store::{AttemptsOf, KeptAttempt, Result, StoreClient, StoredDead};

/// Queries a store's history.
#[derive(Clone, Copy)]
pub struct History<'s> {
    store: &'s dyn StoreClient,
}

/// An event that a reactor was given, with the attempts at it that are still kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// The origin of the event.
    pub origin: Origin,
    /// The reactor that was given the event.
    pub reactor: ReactorId,
    /// Oldest first; not empty.
    pub attempts: Vec<KeptAttempt>,
}

impl<'s> History<'s> {
    /// The history of this store.
    pub fn new(store: &'s dyn StoreClient) -> Self {
        Self { store }
    }

    /// The fates of the records of a channel from `first` to `last`, for every reactor.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of_records(&self, channel: ChannelId, first: Offset, last: Offset) -> Result<Past> {
        // Read first, so that everything that counts as admitted is included.
        let cursor = self.store.cursor(channel)?;
        Ok(Past::new(cursor, self.store.traces(channel, first, last)?))
    }

    /// The attempts at the events of a record, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of_record(&self, channel: ChannelId, offset: Offset) -> Result<Vec<KeptAttempt>> {
        self.store.attempts(&AttemptsOf::Records([(channel, offset)].into()))
    }

    /// The attempts at these dead letters of events, by event and reactor, oldest first; read together, because every
    /// read looks through all attempts that are kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of_letters(&self, letters: &[StoredDead]) -> Result<Vec<Handled>> {
        let of_events = letters.iter().filter(|dead| dead.letter.reactor.is_some());
        let records = of_events.map(|dead| (dead.letter.origin.channel, dead.letter.origin.offset)).collect();
        self.handled(&AttemptsOf::Records(records))
    }

    /// The attempts at a delivery, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn attempts(&self, delivery: DeliveryId) -> Result<Vec<KeptAttempt>> {
        self.store.attempts(&AttemptsOf::Delivery(delivery))
    }

    /// The reactors that were given an event with this id; empty if none attempted it within the retention of attempts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of_event(&self, id: &str) -> Result<Vec<Handled>> {
        self.handled(&AttemptsOf::Event(id.to_owned()))
    }

    /// The same for every event of a flow, in the order of their first attempts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of_correlation(&self, id: &str) -> Result<Vec<Handled>> {
        self.handled(&AttemptsOf::Correlation(id.to_owned()))
    }

    fn handled(&self, of: &AttemptsOf) -> Result<Vec<Handled>> {
        let mut places = BTreeMap::new();
        let mut all: Vec<Handled> = Vec::new();
        for kept in self.store.attempts(of)? {
            let place = *places.entry((kept.origin, kept.reactor)).or_insert_with(|| {
                all.push(Handled { origin: kept.origin, reactor: kept.reactor, attempts: Vec::new() });
                all.len() - 1
            });
            all[place].attempts.push(kept);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;

    use reactor_core::event::Event;
    use reactor_core::store::{Admitted, AttemptNote, Batch, Commit, Fate, NewDelivery, Place, StoreOwner};
    use reactor_store::conformance::{Fixture, at, wait};
    use reactor_store::memory::MemoryStore;

    use super::*;

    #[test]
    fn a_flow_is_told_by_its_attempts_and_a_record_by_what_was_noted() {
        let store = MemoryStore::new(4);
        let channel = store.channel_id("shop").expect("a channel");
        let reactor = store.reactor_id("inventory").expect("a reactor");
        let f = Fixture { store: &store, channel, reactor };
        f.publish(&["{}"; 4]);
        let origin = |offset| Origin { channel, offset: Offset(offset), part: 0 };
        let new = |offset| NewDelivery { origin: origin(offset), ..f.new_delivery(offset, Place::Memory) };
        let batch = Batch { cursor: Some(Offset(4)), ..f.batch(vec![new(1), new(2)], at(0)) };
        let admitted = wait(store.enter(batch)).expect("entered").answers;
        let ids = admitted.into_iter().map(|answer| match answer {
            Admitted::New(id) => id,
            other => panic!("{other:?}"),
        });
        let ids: Vec<_> = ids.collect();
        let noted = |commit: Commit, offset: u64, code| {
            let mut event = Event::bare(format!("e{offset}"), "shop".into());
            event.correlation_id = "flow".into();
            let (at, took) = (Timestamp::UNIX_EPOCH, Duration::from_millis(1));
            let note =
                AttemptNote { event: Arc::new(event), origin: origin(offset), code, at, took, module: "ab".into() };
            Commit { note: Some(note), ..commit }
        };
        f.commit(noted(f.failed(1, ids[1], 1, at(5)), 2, "retry"));
        f.commit(noted(f.done(2, ids[0]), 1, "done"));
        f.commit(noted(Commit { attempt: 2, ..f.done(3, ids[1]) }, 2, "done"));

        let history = History::new(&store);
        let told = |handled: Vec<Handled>| -> Vec<(u64, Vec<String>)> {
            let codes = |handled: Handled| handled.attempts.into_iter().map(|one| one.code).collect();
            handled.into_iter().map(|one| (one.origin.offset.0, codes(one))).collect()
        };
        let both = [(2, vec!["retry".to_owned(), "done".to_owned()]), (1, vec!["done".to_owned()])];
        assert_eq!(told(history.of_correlation("flow").expect("told")), both);
        assert_eq!(told(history.of_event("e2").expect("told")), both[..1]);
        assert_eq!(history.attempts(ids[0]).expect("told"), history.of_record(channel, Offset(1)).expect("told"));

        let past = history.of_records(channel, Offset(1), Offset(4)).expect("told");
        assert_eq!(past.of(origin(1)), [(reactor, Fate::Done)]);
        assert!(past.knows(origin(2), reactor) && !past.knows(origin(2), ReactorId(9)));
        assert!(past.is_complete(Offset(3)) && past.of(origin(3)).is_empty(), "no reactor wanted it");
        assert!(!past.is_admitted(Offset(4)) && !past.is_complete(Offset(4)), "it is to come");
        assert_eq!((past.parts(Offset(1)).len(), past.parts(Offset(3)).len(), past.refused(Offset(1))), (1, 0, None));
    }
}
