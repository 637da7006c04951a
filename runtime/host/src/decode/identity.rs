//! Which events count as the same.

use reactor_core::event::{Identity, Message};
use reactor_core::json::Value;

use super::Settings;
use super::draft::Draft;
use crate::view::View;

/// The identity of an event; see [`super::Decoded::identity`] for the order.
///
/// A configured value and a FIFO deduplication id mean something only within their channel, so its name is part of
/// the identity. An envelope's id and a message id do not: the same event may come through two queues.
pub(super) fn of(draft: &Draft, message: &Message, settings: &Settings) -> Identity {
    let event = &draft.event;
    let channel = settings.channel.as_bytes();
    if let Some((wanted, slot)) = &settings.identity
        && let Some(value) = View::new(event, wanted).get(*slot)
        && value != Value::Null
    {
        return value.identity(&[b"pointer", channel]);
    }
    let system = &message.system;
    if draft.own_id {
        Identity::of(&[b"envelope", event.source.as_bytes(), event.id.as_bytes()])
    } else if let Some(id) = &draft.notification {
        Identity::of(&[b"sns", id.as_bytes()])
    } else if let Some(id) = &system.dedup_id {
        Identity::of(&[b"fifo", channel, id.as_bytes()])
    } else {
        Identity::of(&[b"message", event.id.as_bytes()])
    }
}
