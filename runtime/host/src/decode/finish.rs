//! The last step of every format: what the transport adds to a draft, and its identity.

use reactor_core::event::Message;

use super::draft::Draft;
use super::{Decoded, Settings, fields, identity};

impl Draft {
    /// Adds what the transport says if the envelope does not, and the identity.
    pub(super) fn finish(mut self, part: u32, message: &Message, settings: &Settings) -> Decoded {
        let event = &mut self.event;
        if event.partition_key.is_none() {
            event.partition_key.clone_from(&message.system.group_id);
        }
        if event.trace_parent.is_none() {
            let attribute = message.attribute("traceparent");
            event.trace_parent = attribute.and_then(|text| fields::check_text("traceparent", text.into()).ok());
        }
        if event.hop > 0 && !settings.emitters.contains(&event.source) {
            event.hop = 0;
        }
        let identity = identity::of(&self, message, settings);
        Decoded { part, event: self.event, identity }
    }
}
