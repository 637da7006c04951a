//! Format `raw`: the whole body is data; the channel's configuration says where type, id, source and the rest come
//! from.

use std::borrow::Cow;

use bytes::Bytes;

use reactor_config::Written;
use reactor_config::model::{RawField, RawFormat};
use reactor_core::json::{PointerSet, Value};

use super::draft::Draft;
use super::error::{DecodeError, Reason};
use super::input::Input;
use super::{fields, payload, sns};

/// A channel's raw format, with its pointers compiled.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pointers: PointerSet,
    event_type: Place,
    id: Option<Place>,
    source: Option<Place>,
    time: Option<Place>,
    subject: Option<Place>,
    key: Option<Place>,
    version: Option<Place>,
    correlation_id: Option<Place>,
}

#[derive(Clone, Debug)]
enum Place {
    Constant(Written),
    Pointer {
        slot: usize,
        text: String,
        /// The attribute that `/attributes/NAME` refers to if the body has no such value.
        attribute: Option<String>,
    },
    Attribute(Written),
}

impl Plan {
    pub(super) fn new(format: &RawFormat) -> Self {
        let mut pointers = PointerSet::default();
        let mut place = |field: &RawField| match field {
            RawField::Constant(value) => Place::Constant(value.clone()),
            RawField::Attribute(name) => Place::Attribute(name.clone()),
            RawField::Pointer(pointer) => Place::Pointer {
                slot: pointers.insert(&pointer.tokens),
                text: pointer.text.clone(),
                attribute: match pointer.tokens.as_slice() {
                    [root, name] if root == "attributes" => Some(name.clone()),
                    _ => None,
                },
            },
        };
        let event_type = place(&format.event_type);
        let [id, source, time, subject, key, version, correlation_id] = [
            &format.id,
            &format.source,
            &format.time,
            &format.subject,
            &format.key,
            &format.version,
            &format.correlation_id,
        ]
        .map(|field| field.as_ref().map(&mut place));
        Self { pointers, event_type, id, source, time, subject, key, version, correlation_id }
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        let optional =
            [&self.id, &self.source, &self.time, &self.subject, &self.key, &self.version, &self.correlation_id];
        std::iter::once(&self.event_type).chain(optional.into_iter().flatten())
    }

    /// Whether it reads the body; a pointer that may refer to an attribute reads it only if the body is JSON.
    fn needs_json(&self) -> bool {
        self.places().any(|place| matches!(place, Place::Pointer { attribute: None, .. }))
    }

    /// The names of the attributes that it looks at.
    fn attributes(&self) -> impl Iterator<Item = &str> {
        self.places().filter_map(|place| match place {
            Place::Attribute(name) => Some(name.meaning()),
            Place::Pointer { attribute, .. } => attribute.as_deref(),
            Place::Constant(_) => None,
        })
    }
}

/// Decodes a message. If a required attribute is missing and the message is an SNS notification that has it, the
/// wrapper is removed first.
pub(super) fn decode(input: &Input<'_>, plan: &Plan) -> Result<Draft, DecodeError> {
    if input.message.body.is_empty() {
        return Err(DecodeError::new(Reason::Empty, "the message has no body; send the data in it"));
    }
    let has = |name: &str| input.message.attributes.iter().any(|attribute| attribute.name == name);
    if plan.attributes().any(|name| !has(name))
        && let Some((id, carried)) = sns::opened(input.message)
        && plan.attributes().any(|name| !has(name) && carried.attribute(name).is_some())
    {
        return decode_body(&sns::inside(input, &carried, &id), plan);
    }
    decode_body(input, plan)
}

fn decode_body(input: &Input<'_>, plan: &Plan) -> Result<Draft, DecodeError> {
    let found = match input.json() {
        _ if plan.pointers.is_empty() => Vec::new(),
        Ok(text) => plan.pointers.find(text),
        Err(error) if plan.needs_json() => return Err(error),
        Err(_) => Vec::new(),
    };
    let from = Values { input, found: &found };
    let event_type = from.required("type", &plan.event_type)?;
    let mut draft = match &plan.id {
        Some(place) => Draft::new(input, from.required("id", place)?, event_type),
        None => Draft::without_id(input, event_type),
    };
    let event = &mut draft.event;
    if let Some(place) = &plan.source {
        event.source = from.required("source", place)?;
    }
    event.subject = from.optional(plan.subject.as_ref())?;
    event.partition_key = from.optional(plan.key.as_ref())?;
    event.time = from.optional(plan.time.as_ref())?.map(|text| fields::written_time("time", &text)).transpose()?;
    if let Some(text) = from.optional(plan.version.as_ref())? {
        event.version = fields::parse_version("version", &text)?;
    }
    if let Some(correlation) = from.optional(plan.correlation_id.as_ref())? {
        event.correlation_id = correlation;
    }
    let (content_type, data): (String, Bytes) = payload::of_body(input, payload::declared_type(input))?;
    event.content_type = content_type;
    event.data = data;
    Ok(draft)
}

/// Where the parts of an event are looked for.
struct Values<'a, 'm> {
    input: &'a Input<'m>,
    /// The numbers of pointers and what they lead to.
    found: &'a [(usize, &'m str)],
}

impl<'m> Values<'_, 'm> {
    /// A part that the event has to have.
    fn required(&self, field: &str, place: &Place) -> Result<String, DecodeError> {
        self.value(place)?.ok_or_else(|| {
            let from = match place {
                Place::Attribute(name) => format!("the attribute `{name}`"),
                Place::Pointer { text, .. } => format!("`{text}`"),
                Place::Constant(_) => "the configuration".to_owned(),
            };
            let detail = format!(
                "the event's {field} should come from {from}, which the message does not have; send it, or change the \
                 channel's `{field}`"
            );
            DecodeError::new(Reason::MissingField, detail)
        })
    }

    /// A part that is absent where the message has none.
    fn optional(&self, place: Option<&Place>) -> Result<Option<String>, DecodeError> {
        place.map_or(Ok(None), |place| self.value(place))
    }

    fn value(&self, place: &Place) -> Result<Option<String>, DecodeError> {
        let (name, value) = match place {
            Place::Constant(value) => return Ok(Some(value.meaning().to_owned())),
            Place::Attribute(name) => (name.shown(), self.attribute(name.meaning())),
            Place::Pointer { slot, text, attribute } => {
                let in_body = self.found.iter().find(|(other, _)| other == slot).map(|(_, raw)| Value::of(raw));
                let value = in_body.filter(|value| *value != Value::Null);
                (text.as_str(), value.or_else(|| self.attribute(attribute.as_deref()?)))
            }
        };
        match value {
            None => Ok(None),
            Some(Value::String(value) | Value::Number(value)) => fields::check_text(name, value).map(Some),
            Some(other) => Err(DecodeError::bad(name, format_args!("is {}, not a string or a number", other.kind()))),
        }
    }

    /// An attribute of the message, or of the message around it.
    fn attribute(&self, name: &str) -> Option<Value<'m>> {
        let around = self.input.around.and_then(|around| around.attribute(name));
        Some(Value::String(Cow::Borrowed(self.input.message.attribute(name).or(around)?)))
    }
}
