//! The native envelope, written: the inverse of decoding it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::draft::JSON;
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
