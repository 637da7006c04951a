//! One configured reactor, ready to run.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::config::model::ReactorConfig;
use crate::event::{Message, ReactorId};
use crate::store::{DeadLetter, Target};
use crate::world::Live;

use super::decode::check_event;
use super::delivery::Delivery;
use super::emit::{Destinations, emitted};
use super::forward;
use super::invoke::{Emit, Guest, emitted_id};
use super::pace::Pace;
use super::signal::ReactorSignals;
use super::state::ReactorState;

/// The index of an id that no guest can emit at: forwarded dead letters have one of their own.
const FORWARD_INDEX: u32 = u32::MAX;

/// What its runs can learn.
pub(super) type ReactorWorld = Live<Arc<ReactorState>>;

pub(super) struct Reactor {
    pub(super) id: ReactorId,
    pub(super) config: ReactorConfig,
    pub(super) guest: Arc<dyn Guest>,
    /// The digest of its module.
    pub(super) module: Arc<str>,
    pub(super) state: Arc<ReactorState>,
    pub(super) world: Arc<ReactorWorld>,
    pub(super) signals: ReactorSignals,
    pub(super) pace: Pace,
    /// Lets as many runs through at once as may run.
    pub(super) gate: Arc<Semaphore>,
    /// How many reactors may emit or forward, one after the other.
    hop_limit: u32,
    destinations: Destinations,
}

impl Reactor {
    pub(super) fn new(
        id: ReactorId,
        (config, hop_limit): (ReactorConfig, u32),
        guest: Arc<dyn Guest>,
        world: ReactorWorld,
        signals: ReactorSignals,
        destinations: Destinations,
    ) -> Self {
        let gate = Arc::new(Semaphore::new(config.concurrency));
        Self {
            id,
            config,
            module: guest.digest().into(),
            guest,
            state: Arc::clone(&world.state),
            world: Arc::new(world),
            signals,
            pace: Pace::default(),
            gate,
            hop_limit,
            destinations,
        }
    }

    /// Takes over a new policy. Where it lets through more or fewer, what has been started by the old one passes the old
    /// gate.
    pub(super) fn adopt(&mut self, config: ReactorConfig, hop_limit: u32) {
        self.hop_limit = hop_limit;
        if config.concurrency != self.config.concurrency {
            self.gate = Arc::new(Semaphore::new(config.concurrency));
        }
        self.world = Arc::new(Live { config: config.values(), ..(*self.world).clone() });
        self.config = config;
    }

    /// The messages of what a run emitted; an error says why one of them cannot be.
    ///
    /// The sandbox lets only channels of the `emit` table through, and the configuration only known ones into it.
    pub(super) fn messages(
        &self,
        delivery: &Delivery,
        emits: &[Emit],
        at: Timestamp,
    ) -> Result<Vec<(Target, Message)>, String> {
        let mut messages = Vec::with_capacity(emits.len());
        for (index, emit) in (0..).zip(emits) {
            let destination = self.destinations.get(&emit.channel).ok_or("its channel is gone")?;
            let id = emitted_id(delivery.identity, &self.config.name, index);
            // With a span of its own, the attempt is the parent of what it emits.
            let trace_parent = match delivery.running().and_then(|running| running.span.as_ref()) {
                Some(span) => Some(span.trace_parent()),
                None => delivery.event.trace_parent.clone(),
            };
            let event = emitted(&delivery.event, &self.config.name, id, emit, at, trace_parent);
            check_event(&event)
                .map_err(|error| format!("the emitted `{}` is no valid event: {error}", emit.event_type))?;
            let message = destination.message(&event);
            if message.size() > destination.max_event {
                let (size, name, limit) = (message.size(), &emit.channel, destination.max_event);
                return Err(format!("the emitted `{}` has {size} bytes, and `{name}` takes {limit}", emit.event_type));
            }
            messages.push((destination.target, message));
        }
        Ok(messages)
    }

    /// The copy of a dead letter that the policy wants in a channel. `from` is the channel it was received from. A letter
    /// that has come as far as a chain of events may is not forwarded, and says so: two reactors can send each other what
    /// neither can deal with.
    pub(super) fn forward(
        &self,
        delivery: &Delivery,
        letter: &mut DeadLetter,
        from: &str,
    ) -> Option<(Target, Message)> {
        let name = self.config.dead_letter.channel.as_ref()?;
        let destination = self.destinations.get(name)?;
        if delivery.event.hop >= self.hop_limit {
            let hops = delivery.event.hop;
            let note = forward::not_forwarded(name, hops);
            tracing::warn!(
                reactor = self.config.name,
                event = delivery.event.id,
                code = "hop-limit",
                "dead letter {note}"
            );
            letter.detail = format!("{} ({note})", letter.detail);
            return None;
        }
        let (reactor, id) = (&self.config.name, emitted_id(delivery.identity, &self.config.name, FORWARD_INDEX));
        let message = match destination.target {
            Target::Log(_) => forward::as_event(&delivery.event, reactor, id, letter, destination.max_event),
            Target::Outbox(_) => {
                // A FIFO queue must not take the second death of a redriven event for the first.
                let id = format!("{id}-{}", letter.at.as_millisecond());
                let (hops, limit) = (delivery.event.hop + 1, destination.max_event);
                forward::as_message(&forward::Way { reactor, from, hops, limit }, id, letter)
            }
        };
        Some((destination.target, message))
    }
}
