//! What the scheduler asks for, carried out: starts, loads, and deliveries that leave memory.

use std::sync::Arc;

use crate::event::{DeliveryId, Version};
use crate::store::StoreError;

use super::Input;
use super::delivery::Running;
use super::host::Host;
use super::room::until_there_is_room;
use super::schedule::Action;
use super::signal::trace::{Attempt, Span};

impl Host {
    pub(super) fn act(&mut self, action: Action) -> Result<(), StoreError> {
        match action {
            Action::Start { delivery, after } => self.start(delivery, after)?,
            Action::Load(load) => self.load(load)?,
            Action::Hold { reactor, lane, delivery } => {
                self.deliveries.hold(delivery);
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
            Action::Forget(deliveries) => deliveries.into_iter().for_each(|id| self.deliveries.forget(id)),
        }
        Ok(())
    }

    /// Starts an attempt, or takes over the speculative run that was made of it.
    fn start(&mut self, id: DeliveryId, after: Option<Version>) -> Result<(), StoreError> {
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        if !self.holds_lease(delivery) {
            self.withdraw(id);
            return Ok(());
        }
        let (index, module) = (delivery.reactor(), Arc::clone(&self.reactors[delivery.reactor()].module));
        if let Some(guessed) = self.take_guess(id, after) {
            let number = Some(guessed.number);
            self.deliveries.started(id, Running { after, number, module, span: None, is_given_up: false });
            self.reactors[index].pace.ran(Some(guessed.took));
            return self.finish(id, guessed.run);
        }
        let span = self.begin_span(id);
        self.deliveries.started(id, Running { after, number: None, module, span, is_given_up: false });
        let guesses = self.guesses(id);
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        self.slots.start(delivery, &self.reactors[index], guesses)
    }

    fn begin_span(&self, id: DeliveryId) -> Option<Box<dyn Span>> {
        let (tracer, delivery) = (self.signals.tracer()?, self.deliveries.get(id)?);
        let reactor = &self.reactors[delivery.reactor()];
        let channel = self.channels.iter().find(|intake| intake.channel.id == delivery.origin.channel);
        Some(tracer.begin(&Attempt {
            reactor: &reactor.config.name,
            channel: channel.map_or("", |intake| &intake.channel.name),
            event: &delivery.event,
            number: delivery.attempt(),
            module: reactor.guest.digest(),
        }))
    }

    /// Takes a delivery that has been started, and has no lease, out of memory, until its message is received again.
    pub(super) fn withdraw(&mut self, id: DeliveryId) {
        if self.deliveries.withdraw(id) {
            self.put_away(id);
        }
    }
}
