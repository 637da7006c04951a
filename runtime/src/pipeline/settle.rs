//! Step: what follows a durable commit. Nothing a producer or another reactor can see happens before it.

use crate::event::DeliveryId;
use crate::store::Committed;

use super::host::Host;

/// After so many conflicts a delivery runs alone, so that runs on hot keys all get done.
const PATIENCE: u32 = 3;

impl Host {
    /// Takes the store's answers to commits, in the order in which they were sent.
    pub(super) fn settle(&mut self, answers: Vec<(DeliveryId, Committed)>) {
        for (id, answer) in answers {
            let Some(active) = self.active.get_mut(&id) else { continue };
            let Some(committing) = active.committing.take() else { continue };
            let (reactor, lane, weight) = (active.reactor, active.lane, active.weight);
            let state = &self.reactors[reactor].state;
            match answer {
                Committed::Conflict => state.refuse(committing.written.iter()),
                Committed::Applied | Committed::Stale => state.settle(committing.written.iter(), committing.number),
            }
            match answer {
                Committed::Conflict => {
                    tracing::debug!(delivery = id.0, "another commit came between; the run is repeated");
                    active.conflicts += 1;
                    let alone = active.conflicts >= PATIENCE;
                    self.conflicts += 1;
                    self.scheduler.conflicted(reactor, id, lane, alone);
                    continue;
                }
                Committed::Stale => {
                    tracing::error!(delivery = id.0, "the delivery had ended already; this run's effects are void");
                }
                Committed::Applied => {
                    committing.news.announce(active, &self.reactors[reactor].config.name);
                    self.wake(&committing.fed);
                }
            }
            self.active.remove(&id);
            self.scheduler.committed(reactor, id, lane, weight, committing.due);
        }
    }
}
