//! What is emitted: the event that an emit becomes, and the channel that it goes to.

pub mod forward;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use reactor_config::model::{ChannelConfig, Format};
use reactor_core::event::{ChannelId, Event, Message};
use reactor_core::guest::Emit;
use reactor_core::store::Target;

use super::decode::{encode_cloudevents, encode_native};

/// The channels that a reactor can emit to, by name.
pub(super) type Destinations = Arc<BTreeMap<String, Destination>>;

/// A channel, as something to write to.
pub(super) struct Destination {
    pub(super) target: Target,
    /// Largest message, body and attributes, in bytes.
    pub(super) max_event: usize,
    /// Events are written as `CloudEvents`, not in the native envelope.
    pub(super) cloudevents: bool,
}

impl Destination {
    pub(super) fn of(channel: &ChannelConfig, id: ChannelId) -> Self {
        let target = if channel.is_remote() { Target::Outbox(id) } else { Target::Log(id) };
        Self { target, max_event: channel.max_event, cloudevents: channel.format == Format::CloudEvents }
    }

    /// An event as a message. On a remote channel, its id identifies it and its key orders it.
    pub(super) fn message(&self, event: &Event) -> Message {
        let mut message =
            if self.cloudevents { encode_cloudevents(event) } else { Message::from_body(encode_native(event)) };
        if matches!(self.target, Target::Outbox(_)) {
            message.system.dedup_id = Some(event.id.clone());
            message.system.group_id.clone_from(&event.partition_key);
        }
        message
    }
}

/// An emitted event: the parent's flow goes on, one hop further.
pub(super) fn emitted(
    parent: &Event,
    source: &str,
    id: String,
    emit: Emit,
    at: Timestamp,
    trace_parent: Option<String>,
) -> Event {
    Event {
        id,
        event_type: emit.event_type,
        version: emit.version,
        source: source.to_owned(),
        time: Some(at),
        subject: emit.subject,
        correlation_id: parent.correlation_id.clone(),
        causation_id: Some(parent.id.clone()),
        partition_key: emit.partition_key,
        content_type: emit.content_type,
        hop: parent.hop + 1,
        trace_parent,
        attributes: Vec::new(),
        data: emit.data,
    }
}
