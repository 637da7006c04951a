//! What the formats work on.

use bytes::Bytes;

use reactor_core::attribute::Attribute;
use reactor_core::event::{Identity, Message};
use reactor_core::json::{Object, Value};

use super::error::{DecodeError, Reason};
use super::text::checked_json;

/// Media type of data where an envelope names none.
pub(super) const JSON: &str = "application/json";

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
            let one = if text.starts_with('[') { "publish one event per line, or " } else { "" };
            let detail = format!(
                "the body is {}, not a JSON object, so it has no {envelope} envelope; {one}see the channel's `format`",
                Value::of(text).kind()
            );
            DecodeError::new(Reason::UnknownEnvelope, detail)
        })
    }

    /// A piece of the body, without a copy. `text` must come from the body.
    pub(super) fn slice(&self, text: &str) -> Bytes {
        self.message.body.slice_ref(text.as_bytes())
    }

    /// The id of an event whose envelope has none: the transport's id of the message, or else a hash of its bytes.
    pub(super) fn transport_id(&self) -> String {
        let system = &self.message.system;
        let named = self.notification.or(system.message_id.as_deref()).or(system.dedup_id.as_deref());
        named.map_or_else(|| Identity::of(&[b"body", &self.message.body]).to_string(), str::to_owned)
    }
}
