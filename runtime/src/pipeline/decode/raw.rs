//! Format `raw`: the whole body is data; type, id and source come from where the channel's config says.

use bytes::Bytes;

use super::draft::{Draft, Input};
use super::error::{DecodeError, Reason};
use super::{fields, payload};
use crate::config::Written;
use crate::config::model::{RawField, RawFormat};
use crate::json::{PointerSet, Value};

/// A channel's raw format, with its pointers compiled.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pointers: PointerSet,
    event_type: Place,
    id: Option<Place>,
    source: Option<Place>,
}

#[derive(Clone, Debug)]
enum Place {
    Constant(Written),
    Pointer { slot: usize, text: String },
    Attribute(Written),
}

impl Plan {
    pub(super) fn new(format: &RawFormat) -> Self {
        let mut pointers = PointerSet::default();
        let mut place = |field: &RawField| match field {
            RawField::Constant(value) => Place::Constant(value.clone()),
            RawField::Attribute(name) => Place::Attribute(name.clone()),
            RawField::Pointer(pointer) => {
                Place::Pointer { slot: pointers.insert(&pointer.tokens), text: pointer.text.clone() }
            }
        };
        let event_type = place(&format.event_type);
        let id = format.id.as_ref().map(&mut place);
        let source = format.source.as_ref().map(&mut place);
        Self { pointers, event_type, id, source }
    }

    fn needs_json(&self) -> bool {
        let places = [Some(&self.event_type), self.id.as_ref(), self.source.as_ref()];
        places.into_iter().flatten().any(|place| matches!(place, Place::Pointer { .. }))
    }
}

pub(super) fn decode(input: &Input<'_>, plan: &Plan) -> Result<Draft, DecodeError> {
    if input.message.body.is_empty() {
        return Err(DecodeError::new(Reason::Empty, "the message has no body; send the data in it"));
    }
    let found = if plan.needs_json() { plan.pointers.find(input.json()?) } else { Vec::new() };
    let read = |field: &str, place: &Place| value(input, &found, field, place);
    let event_type = read("type", &plan.event_type)?;
    let mut draft = match &plan.id {
        Some(place) => Draft::new(input, read("id", place)?, event_type),
        None => Draft::without_id(input, event_type),
    };
    if let Some(place) = &plan.source {
        draft.event.source = read("source", place)?;
    }
    let (content_type, data): (String, Bytes) = payload::of_body(input, payload::declared_type(input))?;
    draft.event.content_type = content_type;
    draft.event.data = data;
    Ok(draft)
}

fn value(input: &Input<'_>, found: &[(usize, &str)], field: &str, place: &Place) -> Result<String, DecodeError> {
    let missing = |from: String| {
        let detail = format!(
            "the event's {field} should come from {from}, which the message does not have; send it, or change the channel's `{field}`"
        );
        DecodeError::new(Reason::MissingField, detail)
    };
    match place {
        Place::Constant(value) => Ok(value.meaning().to_owned()),
        Place::Attribute(name) => {
            let value =
                input.message.attribute(name.meaning()).ok_or_else(|| missing(format!("the attribute `{name}`")))?;
            fields::check_text(name.shown(), value.into())
        }
        Place::Pointer { slot, text } => match found.iter().find(|(other, _)| other == slot) {
            None => Err(missing(format!("`{text}`"))),
            Some((_, raw)) => match Value::of(raw) {
                Value::String(value) | Value::Number(value) => fields::check_text(text, value),
                Value::Null => Err(missing(format!("`{text}`"))),
                other => Err(DecodeError::bad(text, format_args!("is {}, not a string or a number", other.kind()))),
            },
        },
    }
}
