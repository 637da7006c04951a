//! The native envelope, written: the inverse of decoding it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::draft::JSON;
use super::error::DecodeError;
use super::fields;
use super::payload::checked_json;
use crate::event::Event;
use crate::pipeline::view::is_json;

/// Writes an event as a native envelope, so that decoding it gives the same event.
///
/// Data that claims to be JSON but is not is kept as base64, and decoding refuses it then: a broken payload cannot
/// break, or add members to, the envelope around it. Space around JSON data is dropped.
pub fn encode_native(event: &Event) -> Bytes {
    let mut out = Vec::with_capacity(event.data.len() + 384);
    out.push(b'{');
    text(&mut out, "eventId", &event.id);
    text(&mut out, "eventType", &event.event_type);
    number(&mut out, "eventVersion", event.version);
    if let Some(time) = event.time {
        text(&mut out, "timestamp", &time.to_string());
    }
    text(&mut out, "source", &event.source);
    optional(&mut out, "subject", event.subject.as_deref());
    text(&mut out, "correlationId", &event.correlation_id);
    optional(&mut out, "causationId", event.causation_id.as_deref());
    optional(&mut out, "partitionKey", event.partition_key.as_deref());
    if event.hop > 0 {
        number(&mut out, "hop", event.hop);
    }
    optional(&mut out, "traceparent", event.trace_parent.as_deref());
    if event.content_type != JSON {
        text(&mut out, "contentType", &event.content_type);
    }
    data(&mut out, event);
    out.push(b'}');
    Bytes::from(out)
}

/// Checks that an event survives being encoded and decoded: for what a guest wants to emit.
///
/// # Errors
/// A text is empty where it must not be or has control characters, or the data claims to be JSON and is not.
pub fn check_event(event: &Event) -> Result<(), DecodeError> {
    let needed = [("eventId", &event.id), ("eventType", &event.event_type), ("source", &event.source)];
    for (name, value) in needed.into_iter().chain([("contentType", &event.content_type)]) {
        fields::check_text(name, value.into())?;
    }
    let optional = [
        ("correlationId", Some(&event.correlation_id)),
        ("subject", event.subject.as_ref()),
        ("causationId", event.causation_id.as_ref()),
        ("partitionKey", event.partition_key.as_ref()),
        ("traceparent", event.trace_parent.as_ref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields::check_text(name, value.into())?;
        }
    }
    if is_json(&event.content_type) { checked_json(&event.data).map(|_| ()) } else { Ok(()) }
}

fn data(out: &mut Vec<u8>, event: &Event) {
    if is_json(&event.content_type) {
        if let Ok(json) = checked_json(&event.data) {
            name(out, "data");
            out.extend_from_slice(json.as_bytes());
            return;
        }
    } else if let Ok(plain) = std::str::from_utf8(&event.data) {
        text(out, "data", plain);
        return;
    }
    text(out, "dataBase64", &STANDARD.encode(&event.data));
}

fn name(out: &mut Vec<u8>, name: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    name(out, key);
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

fn optional(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        text(out, key, value);
    }
}

fn number(out: &mut Vec<u8>, key: &str, value: u32) {
    name(out, key);
    out.extend_from_slice(value.to_string().as_bytes());
}
