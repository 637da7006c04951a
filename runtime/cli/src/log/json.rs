//! A log message as one JSON object. It contains an event's data as it was sent, digit by digit.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use reactor_core::attribute;
use reactor_core::json::compact;

use super::story::{Part, Story, Told};
use crate::hidden::name;

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    story: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<WithData>>,
}

#[derive(Serialize)]
struct WithData {
    #[serde(flatten)]
    event: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// A log message as one object on one line; `whole`: with the events' data.
pub(super) fn to_json(story: &Story, whole: bool) -> String {
    let mut object = json!({ "channel": story.channel, "offset": story.offset.0, "accepted": story.accepted });
    let invalid = match &story.events {
        Err(why) => Some(why),
        Ok(_) => story.broken.as_ref(),
    };
    if let Some(why) = invalid {
        object["invalid"] = why.as_str().into();
    }
    let with_data = |told: &Told| WithData { event: event(told), data: whole.then(|| data(told)).flatten() };
    let mut events: Option<Vec<_>> = story.events.as_ref().ok().map(|events| events.iter().map(with_data).collect());
    for unread in &story.unread {
        let event = json!({ "unread": true, "part": unread.part, "reactors": reactors(&unread.parts) });
        events.get_or_insert_default().push(WithData { event, data: None });
    }
    serde_json::to_string(&Whole { story: object, events }).unwrap_or_default()
}

fn reactors(parts: &[Part]) -> Vec<Value> {
    parts.iter().map(|part| part.outcome.to_json(&part.reactor, &part.attempts)).collect()
}

fn event(Told { event, parts, .. }: &Told) -> Value {
    let mut object = json!({
        "eventId": event.id,
        "eventType": name(&event.event_type),
        "eventVersion": event.version,
        "source": name(&event.source),
        "timestamp": event.time,
        "subject": event.subject,
        "correlationId": event.correlation_id,
        "causationId": event.causation_id,
        "partitionKey": event.partition_key,
        "traceparent": event.trace_parent,
        "contentType": event.content_type,
        "dataBytes": event.data.len(),
        "reactors": reactors(parts),
    });
    if !event.attributes.is_empty() {
        object["attributes"] = attribute::values(&event.attributes).into();
        object["attributeTypes"] = attribute::kinds(&event.attributes).into();
    }
    object
}

/// The data as JSON; as a JSON string if it is not JSON.
fn data(Told { event, .. }: &Told) -> Option<Box<RawValue>> {
    let json = std::str::from_utf8(&event.data).ok().map(compact);
    let as_sent = json.and_then(|json| RawValue::from_string(json).ok());
    as_sent.or_else(|| serde_json::value::to_raw_value(&String::from_utf8_lossy(&event.data)).ok())
}
