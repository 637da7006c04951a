//! Runs that go ahead of their lane. One key's events run one after the other, and each time the host is asked in between,
//! which takes longer than a short run. So the thread that has run the head of a lane goes on with those behind it, on what
//! the ones before will have written, and reports these *guesses* together with the head.
//!
//! A guess counts only if the host comes to start just that attempt, on just that commit, in the same turn; everything
//! that holds for a run is checked for it then. What does not fit is dropped: nothing of a run happens before its commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::Clock;
use crate::event::{DeliveryId, Outcome, Version};
use crate::store::{StoreError, StoreOwner};

use super::ahead::Ahead;
use super::invoke::{Call, Guest, Run, span};

/// A run that may be guessed.
pub(super) struct Guess {
    pub(super) delivery: DeliveryId,
    pub(super) guest: Arc<dyn Guest>,
    pub(super) call: Call,
    /// The number its commit will have.
    pub(super) number: Version,
}

/// What follows a head, in the order of the lane.
pub(super) struct Guesses {
    pub(super) reactor: String,
    pub(super) world: Arc<Ahead>,
    /// The number of the head's commit.
    pub(super) head: Version,
    pub(super) list: Vec<Guess>,
}

/// A guess that ended well.
pub(super) struct Guessed {
    pub(super) attempt: u32,
    pub(super) guest: Arc<dyn Guest>,
    pub(super) run: Run,
    pub(super) took: Duration,
    pub(super) number: Version,
    /// The commit that it builds on.
    pub(super) after: Version,
}

/// The guesses of this turn.
pub(super) type Table = HashMap<DeliveryId, Guessed>;

impl Guesses {
    /// Runs them, in the slot of the head, until one does not end well at once.
    pub(super) fn run(
        self,
        head: &Run,
        store: &dyn StoreOwner,
        clock: &dyn Clock,
        slot: usize,
    ) -> Result<Vec<(DeliveryId, Guessed)>, StoreError> {
        let Self { reactor, world, head: mut after, list } = self;
        let mut guessed = Vec::with_capacity(list.len());
        if head.outcome != Outcome::Done {
            return Ok(guessed);
        }
        world.show(head, after);
        for Guess { delivery, guest, call, number } in list {
            let attempt = call.attempt;
            let _span = span(&reactor, &call.event, attempt).entered();
            store.mark(&[(slot, Some((delivery, attempt)))])?;
            let start = clock.now();
            let Some(run) = guest.run(call).now_or_never().filter(|run| run.outcome == Outcome::Done) else { break };
            world.show(&run, number);
            let took = clock.now().since(start);
            guessed.push((delivery, Guessed { attempt, guest, run, took, number, after }));
            after = number;
        }
        Ok(guessed)
    }
}
