//! Step: what follows a durable commit. Nothing a producer or another reactor can see happens before it.

use reactor_core::event::DeliveryId;
use reactor_core::store::Committed;

use crate::host::Host;

impl Host {
    /// Takes the store's answers to commits, in the order in which they were sent.
    pub(crate) fn committed(&mut self, answers: Vec<(DeliveryId, Committed)>) {
        let now = self.ports.now();
        for (id, answer) in answers {
            let Some((delivery, committing)) = self.deliveries.answered(id) else {
                // It ended without having come into memory.
                self.acknowledge_messages(id);
                continue;
            };
            let (index, lane) = (delivery.reactor(), delivery.lane());
            let reactor = &mut self.topology.reactors[index];
            let applied = answer == Committed::Applied;
            reactor.world.state.answered(committing.written.iter(), committing.number, applied);
            match answer {
                Committed::Conflict => {
                    tracing::debug!(delivery = id.0, "another commit changed what the run had read; repeating the run");
                    self.runs.repeated += 1;
                    reactor.signals.repeated();
                    reactor.pace.repeated();
                    self.deliveries.refused(id);
                    continue;
                }
                Committed::Stale => {
                    tracing::error!(delivery = id.0, "the delivery has ended already; discarding this run's effects");
                }
                Committed::Applied => {
                    let (attempt, age) = (delivery.attempt(), now.since(delivery.since));
                    committing.report.announce(&delivery.event, attempt, &reactor.signals, age);
                    self.wake_readers(&committing.fed);
                }
            }
            self.deliveries.ended(id, committing.due);
            match committing.due.filter(|_| applied) {
                Some(due) => self.back_off_messages(id, lane, due),
                None => self.acknowledge_messages(id),
            }
        }
    }
}
