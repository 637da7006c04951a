//! The required settings of a subscription, and which of them are missing: judged without I/O.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::filter::FilterPolicy;

/// The filter policy that filters nothing.
const NO_POLICY: &str = "{}";

/// The statement of a queue's policy that lets a topic send to the queue.
pub(super) fn permission(topic: &str, queue: &str) -> Value {
    json!({
        "Sid": format!("reactor-{}", topic.rsplit(':').next().unwrap_or_default()),
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
    })
}

/// The queue's policy with a permission for the topic added; `None` if it already has one.
pub(super) fn with_permission(policy: &str, topic: &str, queue: &str) -> Option<Value> {
    if allows(policy, topic) {
        return None;
    }
    let mut policy: Value = serde_json::from_str(policy).unwrap_or_else(|_| json!({ "Version": "2012-10-17" }));
    // A single statement may appear without a list around it.
    let mut statements = match policy["Statement"].take() {
        Value::Array(statements) => statements,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    statements.push(permission(topic, queue));
    policy["Statement"] = statements.into();
    Some(policy)
}

/// Whether a queue's policy has an `Allow` statement that names the topic.
pub(super) fn allows(policy: &str, topic: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    statements(&policy).iter().any(|statement| statement["Effect"] == "Allow" && names(statement, topic))
}

/// Whether a value contains exactly this text.
fn names(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(values) => values.iter().any(|value| names(value, text)),
        Value::Object(fields) => fields.values().any(|value| names(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The statements of a policy. A single one may appear without a list around it.
pub(super) fn statements(policy: &Value) -> &[Value] {
    match &policy["Statement"] {
        Value::Array(statements) => statements,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// The changes needed, in this order, for a subscription with these attributes.
pub(super) fn changes(found: &HashMap<String, String>, filter: Option<&FilterPolicy>) -> Vec<(&'static str, String)> {
    let has = |name: &str| found.get(name).map(String::as_str);
    let mut changes = Vec::new();
    if has("RawMessageDelivery") != Some("true") {
        changes.push(("RawMessageDelivery", "true".to_owned()));
    }
    let policy = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let present = policy(has("FilterPolicy").unwrap_or(NO_POLICY));
    match filter {
        Some(filter) => {
            let moves = has("FilterPolicyScope").unwrap_or("MessageAttributes") != filter.scope;
            if moves {
                // In the new scope, the old policy would let nothing through or be invalid.
                if present != policy(NO_POLICY) {
                    changes.push(("FilterPolicy", NO_POLICY.to_owned()));
                }
                changes.push(("FilterPolicyScope", filter.scope.to_owned()));
            }
            if moves || present != filter.policy {
                changes.push(("FilterPolicy", filter.policy.to_string()));
            }
        }
        None if present != policy(NO_POLICY) => changes.push(("FilterPolicy", NO_POLICY.to_owned())),
        None => {}
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:news";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:inbox";

    #[test]
    fn a_permission_is_added_once_and_nothing_else_is_touched() {
        let first = with_permission("", TOPIC, QUEUE).expect("a policy");
        assert!(allows(&first.to_string(), TOPIC) && !allows(&first.to_string(), QUEUE.replace("sqs", "sns").as_str()));
        assert_eq!(with_permission(&first.to_string(), TOPIC, QUEUE), None);
        assert!(!allows(&first.to_string(), &TOPIC[..TOPIC.len() - 1]), "the name of another one begins so");
        let theirs = json!({ "Version": "2012-10-17", "Statement": { "Sid": "theirs", "Effect": "Deny" } });
        let both = with_permission(&theirs.to_string(), TOPIC, QUEUE).expect("a policy");
        assert_eq!(
            (&both["Statement"][0]["Sid"], &both["Statement"][1]["Effect"]),
            (&json!("theirs"), &json!("Allow"))
        );
    }

    #[test]
    fn a_subscription_is_changed_only_where_it_differs() {
        let filter = FilterPolicy { scope: "MessageBody", policy: json!({ "eventType": ["a"] }) };
        let names = |found: &[(&str, &str)], filter: Option<&FilterPolicy>| -> Vec<&str> {
            let found = found.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            changes(&found, filter).into_iter().map(|(name, _)| name).collect()
        };
        let raw = ("RawMessageDelivery", "true");
        let body = ("FilterPolicyScope", "MessageBody");
        assert_eq!(names(&[], Some(&filter)), ["RawMessageDelivery", "FilterPolicyScope", "FilterPolicy"]);
        assert_eq!(names(&[raw, body, ("FilterPolicy", r#"{ "eventType": [ "a" ] }"#)], Some(&filter)), [""; 0]);
        assert_eq!(names(&[raw, body, ("FilterPolicy", r#"{"eventType":["b"]}"#)], Some(&filter)), ["FilterPolicy"]);
        let old = ("FilterPolicy", r#"{"kind":["b"]}"#);
        assert_eq!(names(&[raw, old], Some(&filter)), ["FilterPolicy", "FilterPolicyScope", "FilterPolicy"]);
        assert_eq!(names(&[raw, ("FilterPolicy", r#"{"a":["b"]}"#)], None), ["FilterPolicy"]);
        assert_eq!(names(&[raw], None), [""; 0]);
    }
}
