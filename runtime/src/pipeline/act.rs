//! What the scheduler asks for, carried out: starts, loads, and deliveries that leave memory.

use std::sync::Arc;

use crate::event::DeliveryId;
use crate::store::StoreError;

use super::Input;
use super::host::Host;
use super::room::until_there_is_room;
use super::schedule::Action;
use super::signal::trace;

impl Host {
    pub(super) fn act(&mut self, action: Action) -> Result<(), StoreError> {
        match action {
            Action::Start { delivery, after } => {
                let Some(active) = self.active.get(&delivery) else { return Ok(()) };
                if !self.holds_lease(delivery, active) {
                    self.withdraw(delivery);
                    return Ok(());
                }
                let Some(active) = self.active.get_mut(&delivery) else { return Ok(()) };
                active.after = after;
                active.cancelled = false;
                active.number = None;
                if self.was_guessed(delivery, after)? {
                    return Ok(());
                }
                let guesses = self.guesses(delivery);
                let Some(active) = self.active.get_mut(&delivery) else { return Ok(()) };
                let reactor = &self.reactors[active.reactor];
                active.ran_by = Some(Arc::clone(&reactor.guest));
                active.span = self.signals.tracer().map(|tracer| {
                    let channel = self.channels.iter().find(|intake| intake.channel.id == active.origin.channel);
                    tracer.begin(&trace::Attempt {
                        reactor: &reactor.config.name,
                        channel: channel.map_or("", |intake| &intake.channel.name),
                        event: &active.event,
                        number: active.attempt(),
                        module: reactor.guest.digest(),
                    })
                });
                self.slots.start(delivery, active, reactor, guesses)?;
            }
            Action::Load(load) => self.load(load)?,
            Action::Hold { reactor, lane, delivery } => {
                self.forget(delivery);
                self.leases.rests(delivery);
                self.holding += 1;
                let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
                let (signals, clock) = (Arc::clone(&self.signals), Arc::clone(&self.clock));
                tokio::spawn(async move {
                    let written = until_there_is_room(&signals, &*clock, || store.hold(vec![delivery])).await;
                    let _ = inputs.send(match written {
                        Ok(()) => Input::HeldWritten { reactor, lane },
                        Err(error) => Input::Fatal(error),
                    });
                });
            }
            Action::Forget(deliveries) => deliveries.into_iter().for_each(|delivery| {
                self.forget(delivery);
                self.leases.rests(delivery);
            }),
        }
        Ok(())
    }

    /// Takes a delivery that has been started, and has no lease, out of memory, until its message is received again.
    pub(super) fn withdraw(&mut self, delivery: DeliveryId) {
        if let Some(active) = self.active.remove(&delivery) {
            self.scheduler.withdrawn(active.reactor, delivery, active.lane, active.weight);
            self.put_away(delivery);
        }
    }

    /// Gives up the run of a delivery, if there is one.
    pub(super) fn cancel(&self, delivery: DeliveryId) {
        self.slots.cancel(delivery);
    }

    fn forget(&mut self, delivery: DeliveryId) {
        if let Some(active) = self.active.remove(&delivery) {
            self.scheduler.forgotten(active.reactor, active.weight);
        }
    }
}
