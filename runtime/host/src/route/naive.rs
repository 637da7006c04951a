//! The reference for the index: the same decision, made by trying every reactor on a whole document.

use serde_json::{Value as Json, json};

use reactor_config::model::ReactorConfig;
use reactor_core::event::{Event, ReactorId};
use reactor_core::subscription::{Condition, NumericOp, Scalar};

use crate::view::is_json;

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
        Condition::Equals(scalar) => equals(scalar, value),
        Condition::EqualsIgnoreCase(lower) => value.as_str().is_some_and(|text| text.to_lowercase() == *lower),
        Condition::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
        Condition::Suffix(suffix) => value.as_str().is_some_and(|text| text.ends_with(suffix)),
        Condition::Wildcard(wildcard) => value.as_str().is_some_and(|text| wildcard.matches(text)),
        Condition::AnythingBut(conditions) => !conditions.iter().any(|condition| holds_for_scalar(condition, value)),
        Condition::Numeric(bounds) => value.as_number().is_some_and(|number| {
            let number = thousandths(&number.to_string());
            bounds.iter().all(|(op, bound)| {
                let bound = thousandths(&bound.to_string());
                match op {
                    NumericOp::Equal => number == bound,
                    NumericOp::Less => number < bound,
                    NumericOp::LessOrEqual => number <= bound,
                    NumericOp::Greater => number > bound,
                    NumericOp::GreaterOrEqual => number >= bound,
                }
            })
        }),
        Condition::Exists(wanted) => *wanted,
    }
}

fn equals(scalar: &Scalar, value: &Json) -> bool {
    match (scalar, value) {
        (Scalar::String(text), value) => *value == json!(text),
        (Scalar::Number(left), Json::Number(right)) => {
            thousandths(&left.to_string()) == thousandths(&right.to_string())
        }
        (Scalar::Bool(truth), value) => *value == json!(truth),
        (Scalar::Null, value) => value.is_null(),
        (Scalar::Number(_), _) => false,
    }
}

/// A number of the tests, which have at most three digits behind the point, as an integer.
fn thousandths(text: &str) -> i128 {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().expect("digits");
    let shift = exponent.parse::<i32>().expect("an exponent") - fraction.len() as i32 + 3;
    let scaled = 10_i128.pow(shift.unsigned_abs());
    if shift < 0 { digits / scaled } else { digits * scaled }
}
