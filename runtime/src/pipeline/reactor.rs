//! One configured reactor, ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::model::ReactorConfig;
use crate::event::{ChannelId, Message, ReactorId};
use crate::store::{DeadLetter, Store};

use super::invoke::{Emit, Guest, emitted_id};
use super::state::ReactorState;
use super::{Active, commit};

/// The index of an id that no guest can emit at: forwarded dead letters have one of their own.
const FORWARD_INDEX: u32 = u32::MAX;

pub(super) struct Reactor {
    pub(super) id: ReactorId,
    pub(super) config: ReactorConfig,
    pub(super) guest: Arc<dyn Guest>,
    pub(super) state: Arc<ReactorState>,
    channels: BTreeMap<String, ChannelId>,
}

impl Reactor {
    pub(super) fn new(
        id: ReactorId,
        config: ReactorConfig,
        guest: Arc<dyn Guest>,
        store: Arc<dyn Store>,
        channels: BTreeMap<String, ChannelId>,
    ) -> Self {
        Self { id, config, guest, state: Arc::new(ReactorState::new(store, id)), channels }
    }

    /// The message of the `index`th event that a run emitted.
    ///
    /// The sandbox lets only channels of the `emit` table through, and the configuration only known ones into it.
    pub(super) fn message(&self, active: &Active, emit: &Emit, index: u32, at: Timestamp) -> (ChannelId, Message) {
        let id = emitted_id(active.identity, &self.config.name, index);
        let channel = self.channels.get(&emit.channel).copied().unwrap_or_default();
        (channel, commit::emitted(&active.event, &self.config.name, id, emit, at))
    }

    /// The copy of a dead letter that the policy wants in a channel.
    pub(super) fn forward(&self, active: &Active, letter: &DeadLetter) -> Option<(ChannelId, Message)> {
        let channel = *self.channels.get(self.config.dead_letter.channel.as_ref()?)?;
        let id = emitted_id(active.identity, &self.config.name, FORWARD_INDEX);
        Some(commit::forwarded(&active.event, &self.config.name, id, letter, channel))
    }
}
