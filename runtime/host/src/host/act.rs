//! What the scheduler asks for, carried out: starts, loads, and deliveries that leave memory.

use std::sync::Arc;

use reactor_core::event::{DeliveryId, Version};
use reactor_core::store::StoreError;
use reactor_signal::trace::{Attempt, Span};

use crate::Input;
use crate::delivery::Running;
use crate::host::Host;
use crate::schedule::Action;

impl Host {
    pub(crate) fn act(&mut self, action: Action) -> Result<(), StoreError> {
        match action {
            Action::Start { delivery, after } => self.start(delivery, after)?,
            Action::Load(load) => self.loads.ask(load),
            Action::Hold { reactor, lane, delivery } => {
                self.deliveries.hold(delivery);
                self.ports
                    .write(move |store| store.hold(vec![delivery]), move |()| Input::HeldWritten { reactor, lane });
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
        let (index, module) = (delivery.reactor(), Arc::clone(&self.topology.reactors[delivery.reactor()].module));
        if let Some(speculative) = self.take_speculative(id, after) {
            let number = Some(speculative.number);
            self.deliveries.started(id, Running { after, number, module, span: None, is_given_up: false });
            self.topology.reactors[index].pace.ran(Some(speculative.took));
            return self.finish(id, speculative.run);
        }
        let span = self.begin_span(id);
        self.deliveries.started(id, Running { after, number: None, module, span, is_given_up: false });
        let speculation = self.speculation(id);
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        self.runs.slots.start(delivery, &self.topology.reactors[index], speculation)
    }

    fn begin_span(&self, id: DeliveryId) -> Option<Box<dyn Span>> {
        let (tracer, delivery) = (self.ports.signals.tracer()?, self.deliveries.get(id)?);
        let reactor = &self.topology.reactors[delivery.reactor()];
        let channel = self.topology.channels.iter().find(|intake| intake.channel.id == delivery.origin.channel);
        Some(tracer.begin(&Attempt {
            reactor: &reactor.config.name,
            channel: channel.map_or("", |intake| &intake.channel.name),
            event: &delivery.event,
            number: delivery.attempt(),
            module: reactor.guest.digest(),
        }))
    }

    /// Takes a delivery that has been started, and has no lease, out of memory, until its message is received again.
    pub(crate) fn withdraw(&mut self, id: DeliveryId) {
        if self.deliveries.withdraw(id) {
            self.note_away(id);
        }
    }
}
