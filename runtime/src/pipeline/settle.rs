//! Step: what follows a durable commit. Nothing a producer or another reactor can see happens before it.

use crate::event::DeliveryId;
use crate::store::Committed;

use super::host::Host;

impl Host {
    /// Takes the store's answers to commits, in the order in which they were sent.
    pub(super) fn settle(&mut self, answers: Vec<(DeliveryId, Committed)>) {
        let now = self.now();
        for (id, answer) in answers {
            let Some(active) = self.active.get_mut(&id) else {
                // It ended without having come into memory.
                self.settle_messages(id);
                continue;
            };
            let Some(committing) = active.committing.take() else { continue };
            let (reactor, lane, weight) = (active.reactor, active.lane, active.weight);
            let applied = answer == Committed::Applied;
            self.reactors[reactor].state.settle(committing.written.iter(), committing.number, applied);
            match answer {
                Committed::Conflict => {
                    tracing::debug!(delivery = id.0, "another commit came between; the run is repeated");
                    let alone = active.must_run_alone();
                    self.conflicts += 1;
                    self.reactors[reactor].signals.repeated();
                    self.reactors[reactor].pace.repeated();
                    self.scheduler.conflicted(reactor, id, lane, alone);
                    continue;
                }
                Committed::Stale => {
                    tracing::error!(delivery = id.0, "the delivery had ended already; this run's effects are void");
                }
                Committed::Applied => {
                    let age = now.since(active.since);
                    committing.news.announce(active, &self.reactors[reactor].signals, age);
                    self.feed(&committing.fed);
                }
            }
            self.active.remove(&id);
            self.scheduler.committed(reactor, id, lane, weight, committing.due);
            match committing.due.filter(|_| answer == Committed::Applied) {
                Some(due) => self.lend_messages(id, lane, due),
                None => self.settle_messages(id),
            }
        }
    }
}
