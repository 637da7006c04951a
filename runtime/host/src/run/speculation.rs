//! Speculative runs. One key's events run one after the other, and returning to the host between them takes longer than
//! a short run. So the thread that has run the head of a lane continues with those behind it, on the uncommitted writes
//! of the runs before, and reports these *speculative* runs together with the head.
//!
//! A speculative run is used only if the host starts that same attempt, on that same commit, in the same turn; it then
//! passes every check of an ordinary run. Otherwise it is discarded: a run has no effect before its commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use reactor_core::clock::Clock;
use reactor_core::event::{DeliveryId, Outcome, Version};
use reactor_core::guest::{Call, Guest, Run};
use reactor_core::store::{StoreError, StoreOwner};

use super::ahead::Ahead;
use crate::run::span::span;

/// A run that may be made speculatively.
pub(crate) struct Planned {
    pub(crate) delivery: DeliveryId,
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) call: Call,
    /// The number its commit will have.
    pub(crate) number: Version,
}

/// What follows a head, in the order of the lane.
pub(crate) struct Speculation {
    pub(crate) reactor: String,
    pub(crate) world: Arc<Ahead>,
    /// The number of the head's commit.
    pub(crate) head: Version,
    pub(crate) list: Vec<Planned>,
}

/// A speculative run that ended well.
pub(crate) struct SpeculativeRun {
    pub(crate) attempt: u32,
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) run: Run,
    pub(crate) took: Duration,
    pub(crate) number: Version,
    /// The commit that it builds on.
    pub(crate) after: Version,
}

/// The speculative runs of this turn.
pub(crate) type Table = HashMap<DeliveryId, SpeculativeRun>;

impl Speculation {
    /// Runs them, in the head's slot, until one does not complete at once.
    pub(crate) fn run(
        self,
        head: &Run,
        store: &dyn StoreOwner,
        clock: &dyn Clock,
        slot: usize,
    ) -> Result<Vec<(DeliveryId, SpeculativeRun)>, StoreError> {
        let Self { reactor, world, head: mut after, list } = self;
        let mut speculative = Vec::with_capacity(list.len());
        if head.outcome != Outcome::Done {
            return Ok(speculative);
        }
        world.show(head, after);
        for Planned { delivery, guest, call, number } in list {
            let attempt = call.attempt;
            let _span = span(&reactor, &call.event, attempt).entered();
            store.mark(&[(slot, Some((delivery, attempt)))])?;
            let start = clock.now();
            let Some(run) = guest.run(call).now_or_never().filter(|run| run.outcome == Outcome::Done) else { break };
            world.show(&run, number);
            let took = clock.now().since(start);
            speculative.push((delivery, SpeculativeRun { attempt, guest, run, took, number, after }));
            after = number;
        }
        Ok(speculative)
    }
}
