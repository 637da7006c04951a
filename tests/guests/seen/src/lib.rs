//! Writes down what it was given, so that a test can compare all of it: the state keys `1`, `2` and so on.

use std::fmt::Write;

use reactor_guest::{Context, Event, Outcome, Raw, reactor};
use serde::Serialize;

/// An event, as a test reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    version: u32,
    source: String,
    time: Option<String>,
    subject: Option<String>,
    correlation_id: String,
    partition_key: Option<String>,
    content_type: String,
    /// Text, byte for byte.
    data: Option<String>,
    /// What is no text, in hexadecimal digits.
    hex: Option<String>,
}

/// Writes it down.
#[reactor]
pub fn seen(event: Event<Raw>, cx: &Context) -> Outcome {
    let count: u64 = cx.state().get("count")?.unwrap_or(0);
    let bytes = event.data.into_bytes();
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to memory cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let data = String::from_utf8(bytes).ok();
    let seen = Seen {
        id: event.id,
        event_type: event.event_type,
        version: event.version,
        source: event.source,
        time: event.time.map(|time| time.to_string()),
        subject: event.subject,
        correlation_id: event.correlation_id,
        partition_key: event.partition_key,
        content_type: event.content_type,
        hex: if data.is_none() { Some(hex) } else { None },
        data,
    };
    cx.state().set("count", &(count + 1))?;
    cx.state().set((count + 1).to_string(), &seen)?;
    Ok(())
}
