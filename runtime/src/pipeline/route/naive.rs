//! The same decision by trying every reactor on a whole document: what the index is compared with.

use serde_json::{Value as Json, json};

use crate::config::model::ReactorConfig;
use crate::event::{Event, ReactorId};
use crate::pipeline::view::is_json;
use crate::subscription::{Condition, NumericOp, Scalar};

pub(super) fn matching(channel: &str, reactors: &[(ReactorId, &ReactorConfig)], event: &Event) -> Vec<ReactorId> {
    let document = document(event);
    let wants = |config: &ReactorConfig| {
        config.from.iter().any(|from| from == channel)
            && config.on.iter().any(|pattern| pattern.matches(&event.event_type, event.version))
            && config.when.fields.iter().all(|(pointer, any)| {
                let value = document.pointer(&pointer.text);
                any.iter().any(|condition| holds(condition, value))
            })
    };
    reactors.iter().filter(|(_, config)| wants(config)).map(|(id, _)| *id).collect()
}

/// The native form, as far as it is there.
pub(super) fn document(event: &Event) -> Json {
    let mut document = json!({
        "eventId": event.id,
        "eventType": event.event_type,
        "eventVersion": event.version,
        "source": event.source,
        "correlationId": event.correlation_id,
        "contentType": event.content_type,
        "hop": event.hop,
    });
    if let Some(partition_key) = &event.partition_key {
        document["partitionKey"] = json!(partition_key);
    }
    if is_json(&event.content_type) {
        document["data"] = serde_json::from_slice(&event.data).expect("json");
    }
    document
}

fn holds(condition: &Condition, value: Option<&Json>) -> bool {
    match condition {
        Condition::Exists(wanted) => *wanted == value.is_some(),
        _ => match value {
            Some(Json::Array(elements)) => elements.iter().any(|element| holds_for_scalar(condition, element)),
            Some(value) => holds_for_scalar(condition, value),
            None => false,
        },
    }
}

fn holds_for_scalar(condition: &Condition, value: &Json) -> bool {
    if value.is_array() || value.is_object() {
        return false;
    }
    match condition {
        Condition::Equals(scalar) => *value == json_of(scalar, value),
        Condition::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
        Condition::AnythingBut(scalars) => scalars.iter().all(|scalar| *value != json_of(scalar, value)),
        Condition::Numeric(bounds) => value.as_f64().is_some_and(|number| {
            bounds.iter().all(|(op, bound)| match op {
                NumericOp::Equal => (number - bound).abs() < f64::EPSILON,
                NumericOp::Less => number < *bound,
                NumericOp::LessOrEqual => number <= *bound,
                NumericOp::Greater => number > *bound,
                NumericOp::GreaterOrEqual => number >= *bound,
            })
        }),
        Condition::Exists(wanted) => *wanted,
    }
}

/// A scalar as JSON, a number in the form that the value beside it has.
fn json_of(scalar: &Scalar, beside: &Json) -> Json {
    match scalar {
        Scalar::String(text) => json!(text),
        Scalar::Number(number) if beside.as_f64() == Some(*number) => beside.clone(),
        Scalar::Number(number) => json!(number),
        Scalar::Bool(value) => json!(value),
        Scalar::Null => Json::Null,
    }
}
