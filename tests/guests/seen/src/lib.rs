//! Writes down what it was given, so that a test can compare all of it: the state keys `1`, `2` and so on.

use std::fmt::Write;

use reactor_guest::{Attribute, AttributeValue, Context, Event, Outcome, Raw, reactor, reject};
use serde_json::{Value, json};

/// Writes it down. An event whose attribute `fate` is `reject` is rejected then.
#[reactor]
pub fn seen(event: Event<Raw>, cx: &Context) -> Outcome {
    let attributes: Vec<Value> = cx.attributes().iter().map(shown).collect();
    let bytes = event.data.into_bytes();
    let (data, hex) = match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(digits(error.as_bytes()))),
    };
    let count = cx.state().get::<u64>("count")?.unwrap_or(0) + 1;
    let seen = json!({
        "id": event.id,
        "type": event.event_type,
        "version": event.version,
        "source": event.source,
        "time": event.time.map(|time| time.to_string()),
        "subject": event.subject,
        "correlationId": event.correlation_id,
        "partitionKey": event.partition_key,
        "contentType": event.content_type,
        "data": data,
        "hex": hex,
        "attributes": attributes,
    });
    cx.state().set("count", &count)?;
    cx.state().set(count.to_string(), &seen)?;
    match cx.attribute("fate").and_then(Attribute::as_str) {
        Some("reject") => Err(reject("as its attribute asks for")),
        _ => Ok(()),
    }
}

/// Bytes as hexadecimal digits.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to memory cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Name, type, which kind of value it is, and the value.
fn shown(attribute: &Attribute) -> Value {
    let (kind, value) = match &attribute.value {
        AttributeValue::Text(text) => ("text", json!(text)),
        AttributeValue::Number(digits) => ("number", json!(digits)),
        AttributeValue::Boolean(value) => ("boolean", json!(value)),
        AttributeValue::Bytes(bytes) => ("bytes", json!(bytes)),
    };
    json!([attribute.name, attribute.type_name, kind, value])
}
