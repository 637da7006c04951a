//! What SNS lets through according to its documentation: evaluates filter policies for the tests of the code that
//! creates and judges them.

use serde_json::Value;

use reactor_core::json::Decimal;

/// A message attribute: its name, its type, and its text or base64-encoded bytes.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// The types of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    StringArray,
    Binary,
}

/// Whether a message passes a policy.
pub(super) fn passes(scope: &str, policy: &Value, body: &str, attributes: &[Attribute]) -> bool {
    let policy = policy.as_object().expect("an object");
    if policy.is_empty() {
        return true;
    }
    if scope == "MessageAttributes" {
        return policy.iter().all(|(key, conditions)| {
            let found = attributes.iter().find(|attribute| attribute.name == *key);
            meets(conditions, &found.map(Attribute::values).unwrap_or_default())
        });
    }
    // Only a JSON object can pass.
    let Ok(body @ Value::Object(_)) = serde_json::from_str(body) else { return false };
    inside(policy, &[body])
}

impl Attribute {
    fn values(&self) -> Vec<Value> {
        match self.kind {
            Kind::String => vec![Value::String(self.text.clone())],
            Kind::Number | Kind::StringArray => match serde_json::from_str(&self.text).expect("JSON") {
                Value::Array(members) => members,
                number => vec![number],
            },
            Kind::Binary => Vec::new(),
        }
    }
}

/// A list on the path to a value matches if any of its members does.
fn inside(policy: &serde_json::Map<String, Value>, found: &[Value]) -> bool {
    policy.iter().all(|(key, deeper)| {
        let mut below = Vec::new();
        found.iter().filter_map(|value| value.get(key)).for_each(|value| spread(value, &mut below));
        match deeper {
            Value::Object(policy) => inside(policy, &below),
            conditions => meets(conditions, &below),
        }
    })
}

fn spread(value: &Value, out: &mut Vec<Value>) {
    match value {
        Value::Array(members) => members.iter().for_each(|member| spread(member, out)),
        other => out.push(other.clone()),
    }
}

fn meets(conditions: &Value, values: &[Value]) -> bool {
    let leaves: Vec<&Value> = values.iter().filter(|value| !value.is_object()).collect();
    conditions.as_array().expect("a list of conditions").iter().any(|condition| {
        let is_absence = condition["exists"] == Value::Bool(false);
        if is_absence { leaves.is_empty() } else { leaves.iter().any(|leaf| holds(condition, leaf)) }
    })
}

fn holds(condition: &Value, leaf: &Value) -> bool {
    let Some(form) = condition.as_object() else { return equal(condition, leaf) };
    assert_eq!(form.len(), 1, "{condition} has one form");
    let (form, value) = form.iter().next().expect("a form");
    let text = |judge: &dyn Fn(&str, &str) -> bool| {
        leaf.as_str().is_some_and(|leaf| judge(leaf, value.as_str().expect("a string")))
    };
    match form.as_str() {
        "prefix" => text(&|leaf, prefix| leaf.starts_with(prefix)),
        "suffix" => text(&|leaf, suffix| leaf.ends_with(suffix)),
        "equals-ignore-case" => text(&|leaf, other| leaf.to_lowercase() == other.to_lowercase()),
        "wildcard" => text(&|leaf, pattern| slowly(pattern.as_bytes(), leaf.as_bytes())),
        "exists" => !leaf.is_null() && leaf.as_str() != Some(""),
        "anything-but" => {
            let excluded = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            !leaf.is_null() && !excluded.iter().any(|excluded| holds(excluded, leaf))
        }
        other => panic!("{other} is no form that is tested"),
    }
}

fn equal(wanted: &Value, leaf: &Value) -> bool {
    match (wanted, leaf) {
        (Value::Number(wanted), Value::Number(leaf)) => {
            Decimal::of(&wanted.to_string()) == Decimal::of(&leaf.to_string())
        }
        (wanted, leaf) => wanted == leaf,
    }
}

/// Matches a wildcard by trying every length for every star.
fn slowly(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| slowly(rest, &text[skipped..])),
        Some((first, rest)) => text.first() == Some(first) && slowly(rest, &text[1..]),
    }
}

/// Panics if SNS would reject the policy.
pub(super) fn assert_allowed(scope: &str, policy: &Value) {
    fn combinations(value: &Value, depth: usize) -> usize {
        match value {
            Value::Object(keys) => keys.values().map(|value| combinations(value, depth + 1)).product(),
            Value::Array(values) => values.len() * depth,
            other => panic!("{other} is no list"),
        }
    }
    fn depth(value: &Value) -> usize {
        value.as_object().map_or(0, |keys| 1 + keys.values().map(depth).max().unwrap_or(0))
    }
    let keys = policy.as_object().expect("an object");
    assert!((1..=5).contains(&keys.len()), "{policy} has up to five keys");
    assert!(depth(policy) <= if scope == "MessageBody" { 5 } else { 1 }, "{policy} is not too deep");
    assert!(combinations(policy, 0) <= 150, "{policy} has up to 150 combinations");
    assert!(policy.to_string().len() <= 256_000, "a policy has up to 256 KB");
}
