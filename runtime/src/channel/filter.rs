//! The filter policy of an SNS subscription, derived from what the reactors behind it want, so that what nobody wants
//! never leaves SNS. It may let through too much, and never too little: the host routes what comes.

use serde_json::{Value, json};

use crate::config::model::{ChannelConfig, Format, RawField, Unrouted};
use crate::subscription::{Segment, TypePattern};

/// SNS allows so many combinations of values in a policy; with one key, so many values.
const MAX_VALUES: usize = 150;

/// A filter policy and what it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterPolicy {
    /// `MessageBody` or `MessageAttributes`.
    pub scope: &'static str,
    /// The policy.
    pub policy: Value,
}

/// The policy for a channel whose reactors want these types; nothing where it cannot be expressed.
pub fn filter_policy<'p>(
    channel: &ChannelConfig,
    on: impl IntoIterator<Item = &'p TypePattern>,
) -> Option<FilterPolicy> {
    // Whoever wants dead letters of what nobody wants has to receive it.
    if channel.unrouted == Unrouted::DeadLetter {
        return None;
    }
    let mut values = Vec::new();
    for pattern in on {
        let value = condition(pattern)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() || values.len() > MAX_VALUES {
        return None;
    }
    let values = Value::Array(values);
    let body = |policy| Some(FilterPolicy { scope: "MessageBody", policy });
    match &channel.format {
        Format::Native => body(json!({ "eventType": values })),
        Format::EventBridge => body(json!({ "detail-type": values })),
        Format::Raw(raw) => match &raw.event_type {
            RawField::Attribute(name) => {
                Some(FilterPolicy { scope: "MessageAttributes", policy: json!({ name.meaning(): values }) })
            }
            // Five levels are as deep as SNS looks.
            // A value at `/attributes/...` may stand in an attribute instead of the body.
            RawField::Pointer(pointer) if pointer.tokens[0] == "attributes" => None,
            RawField::Pointer(pointer) if (1..=5).contains(&pointer.tokens.len()) => {
                let nest = |inner, token: &String| json!({ token.as_str(): inner });
                body(pointer.tokens.iter().rev().fold(values, nest))
            }
            RawField::Pointer(_) | RawField::Constant(_) => None,
        },
        // The type may stand in one of several places.
        Format::Auto | Format::CloudEvents | Format::Sns | Format::S3 => None,
    }
}

/// What a type has to be like; nothing if it may be anything.
fn condition(pattern: &TypePattern) -> Option<Value> {
    let words = |segments: &[Segment]| -> Vec<String> {
        let exact = segments.iter().map_while(|segment| match segment {
            Segment::Exact(word) => Some(word.clone()),
            Segment::Any | Segment::Rest => None,
        });
        exact.collect()
    };
    let start = words(&pattern.segments);
    if start.len() == pattern.segments.len() {
        return Some(json!(start.join(".")));
    }
    if !start.is_empty() {
        return Some(json!({ "prefix": format!("{}.", start.join(".")) }));
    }
    let backwards: Vec<Segment> = pattern.segments.iter().rev().cloned().collect();
    let mut end = words(&backwards);
    end.reverse();
    (!end.is_empty()).then(|| json!({ "suffix": format!(".{}", end.join(".")) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(policy: &Value, event_type: &str) -> bool {
        policy["eventType"].as_array().expect("a list").iter().any(|value| match value {
            Value::String(exact) => exact == event_type,
            other => {
                other["prefix"].as_str().is_some_and(|prefix| event_type.starts_with(prefix))
                    || other["suffix"].as_str().is_some_and(|suffix| event_type.ends_with(suffix))
            }
        })
    }

    fn policy(extra: &str, on: &[&str]) -> Option<FilterPolicy> {
        let text = format!("[channels.c]\nkind = \"sns\"\ntopic = \"t\"\nqueue = \"q\"\n{extra}\n");
        let loaded = crate::config::parse(&text, std::path::Path::new("reactors.toml"), &|_| None);
        let config = loaded.map_err(|problems| problems.render(false)).expect("a configuration").config;
        let on: Vec<_> = on.iter().map(|text| TypePattern::parse(text).expect("a pattern")).collect();
        filter_policy(&config.channels["c"], &on)
    }

    #[test]
    fn each_format_has_its_place() {
        let native = "format = \"native\"";
        let found = policy(native, &["order.placed@2", "order.**", "a.*.c", "*.paid", "order.**"]).expect("a policy");
        let types = json!(["order.placed", { "prefix": "order." }, { "prefix": "a." }, { "suffix": ".paid" }]);
        assert_eq!((found.scope, &found.policy), ("MessageBody", &json!({ "eventType": types })));
        let eventbridge = policy("format = \"eventbridge\"", &["a.b"]).expect("a policy");
        assert_eq!(eventbridge.policy, json!({ "detail-type": ["a.b"] }));
        let by_attribute = "format = { raw = { type = { attribute = \"kind\" } } }";
        let found = policy(by_attribute, &["a"]).expect("a policy");
        assert_eq!((found.scope, found.policy), ("MessageAttributes", json!({ "kind": ["a"] })));
        let nested = policy("format = { raw = { type = { pointer = \"/meta/type\" } } }", &["a"]).expect("a policy");
        assert_eq!(nested.policy, json!({ "meta": { "type": ["a"] } }));
        for (extra, on) in [
            ("", "a"),
            ("format = \"cloudevents\"", "a"),
            ("format = \"native\"\nunrouted = \"dead-letter\"", "a"),
            (native, "**"),
            (native, "*.*"),
            ("format = { raw = { type = \"a\" } }", "a"),
        ] {
            assert_eq!(policy(extra, &[on]), None, "{extra} {on}");
        }
        assert_eq!(policy(native, &["a", "**"]), None, "one that wants all wants all");
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("c".to_owned())]
    }

    proptest! {
        #[test]
        fn whatever_is_wanted_comes_through(
            patterns in prop::collection::vec(prop::collection::vec(prop_oneof![3 => word(), 1 => Just("*".to_owned())], 1..4), 1..4),
            rest in any::<bool>(),
            event in prop::collection::vec(word(), 1..5),
        ) {
            let texts: Vec<String> = patterns.iter().map(|p| p.join(".") + if rest { ".**" } else { "" }).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let event = event.join(".");
            let wanted = texts.iter().any(|t| TypePattern::parse(t).expect("a pattern").matches(&event, 1));
            if let Some(found) = policy("format = \"native\"", &texts) {
                prop_assert!(!wanted || accepts(&found.policy, &event), "{} {event}", found.policy);
            }
        }
    }
}
