//! Step: prepares a run's effects for the store: names of channels become targets, and events become messages. Pure.

use std::time::Duration;

use jiff::Timestamp;

use reactor_core::event::{Fault, Outcome, Version};
use reactor_core::guest::{self, Emit, Run, emitted_id};
use reactor_core::store::Effect;

use crate::decode::check_event;
use crate::delivery::Delivery;
use crate::emit::emitted;
use crate::reactor::Reactor;

/// A run, with effects that the store can apply.
pub(crate) struct Resolved {
    pub(crate) outcome: Outcome,
    pub(crate) reads: Vec<(String, Version)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) took: Duration,
}

// Lets the run's list become the commit's list in place, without a new allocation.
const _: () = assert!(size_of::<Effect>() <= size_of::<guest::Effect>());

impl Reactor {
    /// Resolves a run. If one of its events cannot be sent, the run fails and has no effects.
    pub(crate) fn resolve(&self, delivery: &Delivery, run: Run, at: Timestamp) -> Resolved {
        let Run { outcome, reads, effects, usage } = run;
        let (outcome, effects) = match self.effects(delivery, effects, at) {
            Ok(effects) => (outcome, effects),
            Err(detail) => (Outcome::Fault { fault: Fault::EmitInvalid, detail }, Vec::new()),
        };
        Resolved { outcome, reads, effects, took: usage.wall }
    }

    fn effects(&self, delivery: &Delivery, effects: Vec<guest::Effect>, at: Timestamp) -> Result<Vec<Effect>, String> {
        // The ids that the guest knows count only events.
        let mut indices = 0..;
        let resolve = |effect| match effect {
            guest::Effect::Set { key, value } => Ok(Effect::Set { key, value }),
            guest::Effect::Delete { key } => Ok(Effect::Delete { key }),
            guest::Effect::Put { target, message } => {
                self.message(delivery, &target, message, indices.next().unwrap_or(u32::MAX), at)
            }
        };
        effects.into_iter().map(resolve).collect()
    }

    /// The message of the `index`th event that a run emitted to a channel; an error says why it is invalid.
    ///
    /// The sandbox lets only channels of the `emit` table through, and the configuration only known ones into it.
    fn message(&self, delivery: &Delivery, to: &str, emit: Emit, index: u32, at: Timestamp) -> Result<Effect, String> {
        let destination = self.destinations.get(to).ok_or("its channel is gone")?;
        let id = emitted_id(delivery.identity, &self.config.name, index);
        // With a span of its own, the attempt is the parent of what it emits.
        let trace_parent = match delivery.running().and_then(|running| running.span.as_ref()) {
            Some(span) => Some(span.trace_parent()),
            None => delivery.event.trace_parent.clone(),
        };
        let event = emitted(&delivery.event, &self.config.name, id, emit, at, trace_parent);
        check_event(&event)
            .map_err(|error| format!("the emitted `{}` is not a valid event: {error}", event.event_type))?;
        let message = destination.message(&event);
        if message.size() > destination.max_event {
            let (size, limit) = (message.size(), destination.max_event);
            return Err(format!(
                "the emitted `{}` has {size} bytes, and `{to}` accepts at most {limit}",
                event.event_type
            ));
        }
        Ok(Effect::Put { target: destination.target, message })
    }
}
