//! One configured reactor, ready to run.

pub(crate) mod pace;
pub(crate) mod state;

use std::sync::Arc;

use tokio::sync::Semaphore;

use reactor_config::model::ReactorConfig;
use reactor_core::event::ReactorId;
use reactor_core::guest::{Guest, emitted_id};
use reactor_core::store::{DeadLetter, Effect, Target};
use reactor_core::world::Live;
use reactor_signal::ReactorSignals;

use super::delivery::Delivery;
use super::emit::Destinations;
use crate::emit::forward;
use crate::reactor::pace::Pace;
use crate::reactor::state::ReactorState;

/// An index at which no guest can emit, used for the ids of forwarded dead letters.
const FORWARD_INDEX: u32 = u32::MAX;

/// What its runs can learn.
pub(super) type ReactorWorld = Live<Arc<ReactorState>>;

pub(super) struct Reactor {
    pub(super) id: ReactorId,
    pub(super) config: ReactorConfig,
    pub(super) guest: Arc<dyn Guest>,
    /// The digest of its module.
    pub(super) module: Arc<str>,
    pub(super) world: Arc<ReactorWorld>,
    pub(super) signals: ReactorSignals,
    pub(super) pace: Pace,
    /// Limits how many runs execute at once.
    pub(super) gate: Arc<Semaphore>,
    /// Most reactors that may emit or forward in a chain.
    hop_limit: u32,
    pub(super) destinations: Destinations,
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
            world: Arc::new(world),
            signals,
            pace: Pace::default(),
            gate,
            hop_limit,
            destinations,
        }
    }

    /// Adopts a new policy. If the concurrency changes, runs started under the old policy pass the old gate.
    pub(super) fn adopt(&mut self, config: ReactorConfig, hop_limit: u32) {
        self.hop_limit = hop_limit;
        if config.concurrency != self.config.concurrency {
            self.gate = Arc::new(Semaphore::new(config.concurrency));
        }
        self.world = Arc::new(Live { config: config.values(), ..(*self.world).clone() });
        self.config = config;
    }

    /// The copy of a dead letter that the policy forwards to a channel. `from` is the channel it was received from. A
    /// letter at the hop limit is not forwarded, and says so: otherwise two reactors could exchange letters that
    /// neither can handle.
    pub(super) fn forward(&self, delivery: &Delivery, letter: &mut DeadLetter, from: &str) -> Option<Effect> {
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
                // A FIFO queue must not drop a redriven event's second dead letter as a duplicate of its first.
                let id = format!("{id}-{}", letter.at.as_millisecond());
                let (hops, limit) = (delivery.event.hop + 1, destination.max_event);
                forward::as_message(&forward::Way { reactor, from, hops, limit }, id, letter)
            }
        };
        Some(Effect::Put { target: destination.target, message })
    }
}
