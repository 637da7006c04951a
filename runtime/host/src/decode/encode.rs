//! The native envelope, written: the inverse of decoding it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use reactor_core::event::{Event, Message};

use super::error::DecodeError;
use super::input::JSON;
use super::text::checked_json;
use super::{cloudevents, fields, native};
use crate::view::is_json;

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
        number(&mut out, native::HOPS, event.hop);
    }
    optional(&mut out, "traceparent", event.trace_parent.as_deref());
    if event.content_type != JSON {
        text(&mut out, "contentType", &event.content_type);
    }
    data(&mut out, event);
    out.push(b'}');
    Bytes::from(out)
}

/// What begins the names of the message attributes in which `CloudEvents` binary mode keeps the envelope.
const PREFIX: &str = "ce-";
/// Most attributes that a message on SQS or SNS can have.
pub const MAX_ATTRIBUTES: usize = 10;

/// Writes an event as `CloudEvents` 1.0, so that decoding it gives the same event: in binary mode, with the envelope in
/// message attributes; in structured mode if there would be too many attributes or the data is not text.
pub fn encode_cloudevents(event: &Event) -> Message {
    let attributes = cloud_attributes(event);
    // Control characters are text, but SQS does not accept them; JSON can escape them.
    let plain = |text: &&str| !text.is_empty() && !text.contains(|c: char| c.is_control() && !"\t\n\r".contains(c));
    let body = std::str::from_utf8(&event.data).ok().filter(plain);
    if attributes.len() <= MAX_ATTRIBUTES && body.is_some() {
        let named = attributes.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value));
        return Message { body: event.data.clone(), attributes: named.map(Into::into).collect(), ..Message::default() };
    }
    let mut out = vec![b'{'];
    for (name, value) in &attributes {
        text(&mut out, name, value);
    }
    match std::str::from_utf8(&event.data) {
        Ok(json) if is_json(&event.content_type) && checked_json(&event.data).is_ok() => {
            name(&mut out, "data");
            out.extend_from_slice(json.trim_ascii().as_bytes());
        }
        Ok(plain) if !is_json(&event.content_type) => text(&mut out, "data", plain),
        _ => text(&mut out, "data_base64", &STANDARD.encode(&event.data)),
    }
    out.push(b'}');
    Message::from_body(out)
}

fn cloud_attributes(event: &Event) -> Vec<(&'static str, String)> {
    let mut attributes = vec![
        ("specversion", "1.0".to_owned()),
        ("id", event.id.clone()),
        ("type", event.event_type.clone()),
        ("source", event.source.clone()),
        ("correlationid", event.correlation_id.clone()),
    ];
    attributes.extend(event.time.map(|time| ("time", time.to_string())));
    let content_type = (event.content_type != JSON).then(|| event.content_type.clone());
    let version = (event.version != 1).then(|| event.version.to_string());
    let hop = (event.hop > 0).then(|| event.hop.to_string());
    let optional = [
        ("subject", event.subject.clone()),
        ("causationid", event.causation_id.clone()),
        ("partitionkey", event.partition_key.clone()),
        ("traceparent", event.trace_parent.clone()),
        ("datacontenttype", content_type),
        ("dataversion", version),
        (cloudevents::HOPS, hop),
    ];
    attributes.extend(optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    attributes
}

/// Checks that an event that a guest wants to emit survives encoding and decoding.
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
