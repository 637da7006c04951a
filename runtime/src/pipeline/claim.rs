//! Step: begin an attempt. The note that it has begun survives the process, so that an event that kills the host is
//! counted; the permit is a slot, and a run that vanishes gives it back like any other.

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::event::{DeliveryId, Fault, Outcome};
use crate::store::{Store, StoreError};

use super::invoke::{Call, Run, Usage};
use super::reactor::Reactor;
use super::{Active, Input};

/// The permits of the host: one attempt each.
pub(super) struct Slots {
    free: Vec<usize>,
    running: Vec<Option<(DeliveryId, AbortHandle)>>,
    guests: Handle,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Slots {
    pub(super) fn new(count: usize, guests: Handle, inputs: mpsc::UnboundedSender<Input>) -> Self {
        Self { free: (0..count).rev().collect(), running: (0..count).map(|_| None).collect(), guests, inputs }
    }

    pub(super) fn guest_threads(&self) -> Handle {
        self.guests.clone()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len() - self.free.len()
    }

    /// Notes the attempt and starts it. The scheduler has as many permits as there are slots, so one is free.
    pub(super) fn start(
        &mut self,
        store: &dyn Store,
        id: DeliveryId,
        active: &Active,
        reactor: &Reactor,
    ) -> Result<(), StoreError> {
        let Some(slot) = self.free.pop() else {
            return Err(StoreError::Other("more attempts than permits were started".into()));
        };
        let attempt = active.attempt();
        store.mark_started(slot, id, attempt)?;
        let span = tracing::info_span!(
            "delivery",
            reactor = reactor.config.name,
            event = active.event.id,
            r#type = active.event.event_type,
            correlation = active.event.correlation_id,
            attempt,
        );
        reactor.signals.started();
        let run = reactor.guest.run(Call {
            event: active.event.clone(),
            identity: active.identity,
            attempt,
            max_attempts: reactor.config.retry.max_attempts,
            state: reactor.state.clone(),
        });
        let report = Report { delivery: id, slot, run: None, inputs: self.inputs.clone() };
        let task = self.guests.spawn(
            async move {
                // Moves the whole report into the task, so that it is dropped, and sent, when the task ends.
                let mut report = report;
                report.run = Some(run.await);
            }
            .instrument(span),
        );
        self.running[slot] = Some((id, task.abort_handle()));
        Ok(())
    }

    /// Takes a slot back.
    pub(super) fn ended(&mut self, store: &dyn Store, slot: usize) -> Result<(), StoreError> {
        self.running[slot] = None;
        self.free.push(slot);
        store.mark_ended(slot)
    }

    /// Gives up the run of a delivery, if there is one; it reports back without a result.
    pub(super) fn cancel(&self, delivery: DeliveryId) {
        let runs = self.running.iter().flatten().filter(|(running, _)| *running == delivery);
        runs.for_each(|(_, task)| task.abort());
    }

    /// Gives up all runs that are under way; each reports back without a result.
    pub(super) fn cancel_all(&self) {
        self.running.iter().flatten().for_each(|(_, task)| task.abort());
    }
}

/// Reports a run however its task ends: with a result, cancelled, or by a panic.
struct Report {
    delivery: DeliveryId,
    slot: usize,
    run: Option<Run>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Drop for Report {
    fn drop(&mut self) {
        // Fails only when the host's task is gone, and then nobody is left to tell.
        let _ = self.inputs.send(Input::RunEnded { delivery: self.delivery, slot: self.slot, run: self.run.take() });
    }
}

/// The run of a task that ended without a result.
pub(super) fn vanished() -> Run {
    Run {
        outcome: Outcome::Fault { fault: Fault::Host, detail: "the attempt's task panicked".into() },
        reads: Vec::new(),
        writes: Vec::new(),
        emits: Vec::new(),
        usage: Usage::default(),
    }
}
