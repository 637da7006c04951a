//! Format `native`: `eventId`, `eventType`, `eventVersion`, `timestamp`, `source`, `correlationId`, `data` and some
//! more.
//!
//! Without `data`, the members that are not part of the envelope are the data; otherwise they are attributes.

use bytes::Bytes;

use reactor_core::json::Object;

use super::draft::Draft;
use super::error::DecodeError;
use super::fields;
use super::input::Input;
use super::payload::{self, Names};
use crate::view::is_json;

const ENVELOPE: &str = "native";

/// How many reactors precede an event; written by the host and trusted only from its own reactors.
pub(super) const HOPS: &str = "reactorHops";

/// What belongs to the envelope.
const MEMBERS: [&str; 14] = [
    "eventId",
    "eventType",
    "eventVersion",
    "timestamp",
    "source",
    "subject",
    "correlationId",
    "causationId",
    "partitionKey",
    "traceparent",
    HOPS,
    "contentType",
    "data",
    "dataBase64",
];

/// Where the data is.
const DATA: Names = Names { data: "data", base64: "dataBase64", content_type: "contentType" };

/// Whether an object is this envelope; both members are required, because other systems use one of the names.
pub(super) fn is(object: &Object<'_>) -> bool {
    object.has("eventId") && object.has("eventType")
}

pub(super) fn decode(input: &Input<'_>, object: &Object<'_>) -> Result<Draft, DecodeError> {
    let id = fields::id(object, ENVELOPE, "eventId")?;
    let event_type = fields::required(object, ENVELOPE, "eventType")?;
    let mut draft = Draft::new(input, id, event_type);
    let event = &mut draft.event;
    event.version = fields::version(object, "eventVersion")?;
    event.time = fields::time(object, "timestamp")?;
    event.subject = fields::text(object, "subject")?;
    event.causation_id = fields::text(object, "causationId")?;
    event.partition_key = fields::key(object, "partitionKey")?;
    event.trace_parent = fields::text(object, "traceparent")?;
    event.hop = fields::extension(object, HOPS).and_then(|hops| hops.parse().ok()).unwrap_or(0);
    if let Some(source) = fields::text(object, "source")? {
        event.source = source;
    }
    if let Some(correlation) = fields::text(object, "correlationId")? {
        event.correlation_id = correlation;
    }
    (event.content_type, event.data) = payload::of_envelope(input, object, &DATA)?;
    if object.has(DATA.data) || object.value(DATA.base64).is_some() {
        draft.carry(object.members().filter(|(name, _)| !MEMBERS.contains(name)));
    } else if let Some(data) = flat(object) {
        if !is_json(&event.content_type) {
            let problem = "says that the data is no JSON, but there is no `data`, and other members than the envelope's \
                           are JSON; put the text into `data`, or leave `contentType` out";
            return Err(DecodeError::bad(DATA.content_type, problem));
        }
        event.data = data;
    }
    Ok(draft)
}

/// The members that are not part of the envelope, as one object. Many producers write events flat, and a consumer must
/// not get `null` for them.
fn flat(object: &Object<'_>) -> Option<Bytes> {
    let own = object.members().filter(|(name, _)| !MEMBERS.contains(name));
    let mut text = String::new();
    for (name, value) in own {
        text.push(if text.is_empty() { '{' } else { ',' });
        // Writing a string to memory cannot fail.
        text.push_str(&serde_json::to_string(name).unwrap_or_default());
        text.push(':');
        text.push_str(value);
    }
    if text.is_empty() {
        return None;
    }
    text.push('}');
    Some(Bytes::from(text))
}
