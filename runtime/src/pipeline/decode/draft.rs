//! What the formats work on, and what they hand back.

use std::collections::HashMap;

use bytes::Bytes;

use super::error::{DecodeError, Reason};
use super::payload::checked_json;
use super::{Decoded, Settings, fields, identity};
use crate::attribute::Attribute;
use crate::event::{Event, Message};
use crate::json::{Object, Value};

/// Media type of data where an envelope names none.
pub(super) const JSON: &str = "application/json";

/// Attributes that are compared one by one before a map takes over.
const FEW: usize = 16;

/// A message being decoded.
#[derive(Clone, Copy)]
pub(super) struct Input<'m> {
    /// The message, or what an SNS notification carried.
    pub(super) message: &'m Message,
    /// The channel's name.
    pub(super) channel: &'m str,
    /// The id of the SNS notification that carried the message.
    pub(super) notification: Option<&'m str>,
    /// The message that the SNS notification came in.
    pub(super) around: Option<&'m Message>,
}

impl<'m> Input<'m> {
    /// What the message carries, as far as it is wanted, and what the message around it does.
    pub(super) fn attributes(&self, wanted: impl Fn(&Attribute) -> bool) -> Vec<Attribute> {
        let own = &self.message.attributes;
        let mut all: Vec<_> = own.iter().filter(|attribute| wanted(attribute)).cloned().collect();
        let outer = self.around.map_or(&[][..], |message| &message.attributes).iter();
        all.extend(outer.filter(|attribute| own.iter().all(|other| other.name != attribute.name)).cloned());
        all
    }

    /// The body as checked JSON text.
    pub(super) fn json(&self) -> Result<&'m str, DecodeError> {
        checked_json(&self.message.body)
    }

    /// The body as a JSON object.
    pub(super) fn object(&self, envelope: &str) -> Result<Object<'m>, DecodeError> {
        let text = self.json()?;
        Object::read(text).ok_or_else(|| {
            let one = if text.starts_with('[') { "publish one event a line, or " } else { "" };
            let detail = format!(
                "the body is {}, no JSON object, so it has no {envelope} envelope; {one}see the channel's `format`",
                Value::of(text).kind()
            );
            DecodeError::new(Reason::UnknownEnvelope, detail)
        })
    }

    /// A piece of the body, without a copy. `text` must come from the body.
    pub(super) fn slice(&self, text: &str) -> Bytes {
        self.message.body.slice_ref(text.as_bytes())
    }
}

/// An event without its identity.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) event: Event,
    /// Whether the envelope gave the id, and not the transport.
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
        let id = identity::transport_id(input.message, input.notification);
        Self { own_id: false, ..Self::new(input, id, event_type) }
    }

    /// Adds members of the envelope that an event has no place of its own for; they count more than what the message says.
    pub(super) fn carry<'o>(&mut self, members: impl Iterator<Item = (&'o str, &'o str)>) {
        self.put(members.filter_map(|(name, text)| Attribute::of_json(name, text)));
    }

    /// The same for attributes, whose names differ.
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

    /// Adds what the transport says where the envelope is silent, and the identity.
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
