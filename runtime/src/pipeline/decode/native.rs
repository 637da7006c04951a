//! Format `native`: `eventId`, `eventType`, `eventVersion`, `timestamp`, `source`, `correlationId`, `data` and a few more.

use super::draft::{Draft, Input};
use super::error::DecodeError;
use super::fields;
use super::payload::{self, Names};
use crate::json::Object;

const ENVELOPE: &str = "native";

/// Where the data is.
const DATA: Names = Names { data: "data", base64: "dataBase64", content_type: "contentType" };

/// Whether an object is this envelope; both members are asked for, because other systems use one of the names.
pub(super) fn is(object: &Object<'_>) -> bool {
    object.has("eventId") && object.has("eventType")
}

pub(super) fn decode(input: &Input<'_>, object: &Object<'_>) -> Result<Draft, DecodeError> {
    let id = fields::required(object, ENVELOPE, "eventId")?;
    let event_type = fields::required(object, ENVELOPE, "eventType")?;
    let mut draft = Draft::new(input, id, event_type);
    let event = &mut draft.event;
    event.version = fields::version(object, "eventVersion")?;
    event.time = fields::time(object, "timestamp")?;
    event.subject = fields::text(object, "subject")?;
    event.causation_id = fields::text(object, "causationId")?;
    event.partition_key = fields::key(object, "partitionKey")?;
    event.trace_parent = fields::text(object, "traceparent")?;
    event.hop = fields::hop(object)?;
    if let Some(source) = fields::text(object, "source")? {
        event.source = source;
    }
    if let Some(correlation) = fields::text(object, "correlationId")? {
        event.correlation_id = correlation;
    }
    (event.content_type, event.data) = payload::of_envelope(input, object, &DATA)?;
    Ok(draft)
}
