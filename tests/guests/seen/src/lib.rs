//! Keeps what it was given in its state, under the event's id, so that a test can compare it.

use reactor_guest::{Attribute, AttributeValue, Context, Event, Outcome, Raw, reactor, reject};
use serde_json::{Value, json};

/// Looks at everything. An event whose attribute `fate` is `reject` is rejected then.
#[reactor]
pub fn see(event: Event<Raw>, cx: &Context) -> Outcome {
    let attributes: Vec<Value> = cx.attributes().iter().map(shown).collect();
    let seen = json!({
        "id": event.id,
        "type": event.event_type,
        "version": event.version,
        "source": event.source,
        "time": event.time,
        "subject": event.subject,
        "correlation": event.correlation_id,
        "key": event.partition_key,
        "data": String::from_utf8_lossy(event.data.as_bytes()),
        "attributes": attributes,
    });
    cx.state().set(&event.id, &seen)?;
    match cx.attribute("fate").and_then(Attribute::as_str) {
        Some("reject") => Err(reject("as its attribute asks for")),
        _ => Ok(()),
    }
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
