//! One configured reactor, ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::model::ReactorConfig;
use crate::event::{ChannelId, Message, ReactorId};
use crate::store::DeadLetter;

use super::decode::{check_event, encode_native};
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
    channels: Targets,
}

/// The channels that a reactor can emit to, by name: number and largest message.
pub(super) type Targets = BTreeMap<String, (ChannelId, usize)>;

impl Reactor {
    pub(super) fn new(
        id: ReactorId,
        config: ReactorConfig,
        guest: Arc<dyn Guest>,
        state: ReactorState,
        channels: Targets,
    ) -> Self {
        Self { id, config, guest, state: Arc::new(state), channels }
    }

    /// The messages of what a run emitted; an error says why one of them cannot be.
    ///
    /// The sandbox lets only channels of the `emit` table through, and the configuration only known ones into it.
    pub(super) fn messages(
        &self,
        active: &Active,
        emits: &[Emit],
        at: Timestamp,
    ) -> Result<Vec<(ChannelId, Message)>, String> {
        let mut messages = Vec::with_capacity(emits.len());
        for (index, emit) in (0..).zip(emits) {
            let (channel, limit) = *self.channels.get(&emit.channel).ok_or("its channel is gone")?;
            let id = emitted_id(active.identity, &self.config.name, index);
            let event = commit::emitted(&active.event, &self.config.name, id, emit, at);
            check_event(&event)
                .map_err(|error| format!("the emitted `{}` is no valid event: {error}", emit.event_type))?;
            let message = Message::from_body(encode_native(&event));
            if message.size() > limit {
                let (size, name) = (message.size(), &emit.channel);
                return Err(format!("the emitted `{}` has {size} bytes, and `{name}` takes {limit}", emit.event_type));
            }
            messages.push((channel, message));
        }
        Ok(messages)
    }

    /// The copy of a dead letter that the policy wants in a channel.
    pub(super) fn forward(&self, active: &Active, letter: &DeadLetter) -> Option<(ChannelId, Message)> {
        let (channel, _) = *self.channels.get(self.config.dead_letter.channel.as_ref()?)?;
        let id = emitted_id(active.identity, &self.config.name, FORWARD_INDEX);
        Some(commit::forwarded(&active.event, &self.config.name, id, letter, channel))
    }
}
