//! The two envelopes of the sample events.

use reactor_guest::testing::Value;
use reactor_guest::{Event, Raw};

/// A line as an event, if it is one.
pub(crate) fn decode(line: &str) -> Option<Event<Raw>> {
    let body: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| body[key].as_str().map(str::to_owned);
    let (id, event_type, correlation_id) = match body["specversion"].as_str() {
        Some("1.0") => (text("id")?, text("type")?, text("correlationid")),
        _ => (text("eventId")?, text("eventType")?, text("correlationId")),
    };
    Some(Event {
        version: u32::try_from(body["eventVersion"].as_u64().unwrap_or(1)).ok()?,
        source: text("source")?,
        time: None,
        subject: text("subject"),
        correlation_id: correlation_id.unwrap_or_else(|| id.clone()),
        causation_id: None,
        partition_key: text("partitionKey"),
        content_type: "application/json".to_owned(),
        data: Raw::new(body["data"].to_string()),
        id,
        event_type,
    })
}
