//! Runs that go ahead of their lane. One key's events run one after the other, and each time the host is asked in between,
//! which takes longer than a short run. So the thread that has run the head of a lane goes on with those behind it, on what
//! the ones before will have written, and reports these *guesses* together with the head.
//!
//! A guess counts only if the host comes to start just that attempt, on just that commit, in the same turn; everything
//! that holds for a run is checked for it then. What does not fit is dropped: nothing of a run happens before its commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::event::{DeliveryId, Outcome, Version};
use crate::store::{Store, StoreError};

use super::claim;
use super::host::Host;
use super::invoke::{Call, Guest, Run};
use super::state::Ahead;

/// Most guesses behind a head.
const MOST: usize = 32;

/// A run that may be guessed.
pub(super) struct Guess {
    delivery: DeliveryId,
    guest: Arc<dyn Guest>,
    call: Call,
    /// The number its commit will have.
    number: Version,
}

/// What follows a head, in the order of the lane.
pub(super) struct Guesses {
    reactor: String,
    state: Arc<Ahead>,
    /// The number of the head's commit.
    head: Version,
    list: Vec<Guess>,
}

/// A guess that ended well.
pub(super) struct Guessed {
    attempt: u32,
    guest: Arc<dyn Guest>,
    run: Run,
    took: Duration,
    number: Version,
    /// The commit that it builds on.
    after: Version,
}

/// The guesses of this turn.
pub(super) type Table = HashMap<DeliveryId, Guessed>;

impl Guesses {
    /// Runs them, in the slot of the head, until one does not end well at once.
    pub(super) fn run(
        self,
        head: &Run,
        store: &dyn Store,
        slot: usize,
    ) -> Result<Vec<(DeliveryId, Guessed)>, StoreError> {
        let Self { reactor, state, head: mut after, list } = self;
        let mut guessed = Vec::with_capacity(list.len());
        if head.outcome != Outcome::Done {
            return Ok(guessed);
        }
        state.show(head, after);
        for Guess { delivery, guest, call, number } in list {
            let attempt = call.attempt;
            let _span = claim::span(&reactor, &call.event, attempt).entered();
            store.mark(&[(slot, Some((delivery, attempt)))])?;
            let start = Instant::now();
            let Some(run) = guest.run(call).now_or_never().filter(|run| run.outcome == Outcome::Done) else { break };
            state.show(&run, number);
            guessed.push((delivery, Guessed { attempt, guest, run, took: start.elapsed(), number, after }));
            after = number;
        }
        Ok(guessed)
    }
}

impl Host {
    /// What may be guessed behind a head that is about to start; gives the head the number of its commit. Nothing where
    /// runs are long, or where they could be seen from outside, or must not come sooner than they are started.
    pub(super) fn guesses(&mut self, head: DeliveryId) -> Option<Guesses> {
        let active = self.active.get(&head)?;
        let (index, lane) = (active.reactor, active.lane?);
        let reactor = &self.reactors[index];
        let config = &reactor.config;
        let is_seen = !config.allow.http.is_empty() || self.signals.tracer().is_some();
        if is_seen || config.rate.is_some() || config.breaker.is_some() || !reactor.pace.is_short() {
            return None;
        }
        let followers = self.scheduler.next_in_lane(index, lane, MOST);
        if followers.is_empty() {
            return None;
        }
        let state = Arc::new(Ahead::new(Arc::clone(&self.reactors[index].state)));
        let number = self.next_number();
        self.active.get_mut(&head)?.number = Some(number);
        let mut list = Vec::with_capacity(followers.len());
        for delivery in followers {
            let number = self.next_number();
            let (Some(active), reactor) = (self.active.get(&delivery), &self.reactors[index]) else { break };
            let call = active.call(reactor, state.clone());
            list.push(Guess { delivery, guest: Arc::clone(&reactor.guest), call, number });
        }
        Some(Guesses { reactor: self.reactors[index].config.name.clone(), state, head: number, list })
    }

    /// Ends a delivery that was to be started with the guess that was made of it; whether there was one that fits.
    pub(super) fn was_guessed(&mut self, delivery: DeliveryId, after: Option<Version>) -> Result<bool, StoreError> {
        let Some(guessed) = self.guessed.remove(&delivery) else { return Ok(false) };
        let Some(active) = self.active.get_mut(&delivery) else { return Ok(false) };
        let reactor = &mut self.reactors[active.reactor];
        let fits = after == Some(guessed.after)
            && active.attempt() == guessed.attempt
            && Arc::ptr_eq(&reactor.guest, &guessed.guest);
        if !fits {
            return Ok(false);
        }
        active.number = Some(guessed.number);
        active.ran_by = Some(guessed.guest);
        reactor.pace.ran(Some(guessed.took));
        self.finish(delivery, guessed.run)?;
        Ok(true)
    }
}
