//! What the formats hand back.

use std::collections::HashMap;

use bytes::Bytes;

use reactor_core::attribute::Attribute;
use reactor_core::event::Event;

use super::input::{Input, JSON};

/// Attributes that are compared one by one before a map takes over.
const FEW: usize = 16;

/// An event without its identity.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) event: Event,
    /// Whether the id comes from the envelope rather than the transport.
    pub(super) own_id: bool,
    /// The id of the SNS notification that carried it.
    pub(super) notification: Option<String>,
}

impl Draft {
    /// An event with an id from its envelope, what the message carries, and defaults for everything else.
    pub(super) fn new(input: &Input<'_>, id: String, event_type: String) -> Self {
        let mut draft = Self::bare(input, id, event_type);
        draft.event.attributes = input.attributes(|_| true);
        draft
    }

    /// The same without what the message carries.
    pub(super) fn bare(input: &Input<'_>, id: String, event_type: String) -> Self {
        let event = Event {
            correlation_id: id.clone(),
            id,
            event_type,
            version: 1,
            source: input.channel.to_owned(),
            time: None,
            subject: None,
            causation_id: None,
            partition_key: None,
            content_type: JSON.to_owned(),
            hop: 0,
            trace_parent: None,
            attributes: Vec::new(),
            data: Bytes::from_static(b"null"),
        };
        Self { event, own_id: true, notification: input.notification.map(str::to_owned) }
    }

    /// An event without an id in its envelope: the transport's is taken.
    pub(super) fn without_id(input: &Input<'_>, event_type: String) -> Self {
        let id = input.transport_id();
        Self { own_id: false, ..Self::new(input, id, event_type) }
    }

    /// Adds members of the envelope for which an event has no field; they take precedence over the message's
    /// attributes.
    pub(super) fn carry<'o>(&mut self, members: impl Iterator<Item = (&'o str, &'o str)>) {
        self.put(members.filter_map(|(name, text)| Attribute::of_json(name, text)));
    }

    /// The same for attributes, whose names are distinct.
    pub(super) fn put(&mut self, attributes: impl Iterator<Item = Attribute>) {
        let all = &mut self.event.attributes;
        let own = all.len();
        let place = |(at, attribute): (usize, &Attribute)| (attribute.name.clone(), at);
        let places: Option<HashMap<_, _>> = (own > FEW).then(|| all.iter().enumerate().map(place).collect());
        for attribute in attributes {
            let known = match &places {
                Some(places) => places.get(&attribute.name).copied(),
                None => all[..own].iter().position(|other| other.name == attribute.name),
            };
            match known {
                Some(at) => all[at] = attribute,
                None => all.push(attribute),
            }
        }
    }
}
