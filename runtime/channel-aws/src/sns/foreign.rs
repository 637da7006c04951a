//! A filter policy on a subscription that the host did not set: does it let through everything that the reactors want?

use serde_json::Value;

use reactor_config::model::ChannelConfig;
use reactor_core::subscription::{TypePattern, Wildcard};

use super::filter::{Part, Place};

/// Whether a policy certainly lets through every event of these types; it may let through more. If unsure, returns
/// `false`.
pub(super) fn lets_through<'p>(
    scope: &str,
    policy: &Value,
    channel: &ChannelConfig,
    on: impl IntoIterator<Item = &'p TypePattern>,
) -> bool {
    let Some(policy) = policy.as_object() else { return false };
    if policy.is_empty() {
        return true;
    }
    let Some(place) = Place::of_type(channel).filter(|place| place.scope == scope) else { return false };
    // All keys of a policy must match, so there must be no other key.
    let Some(conditions) = only(policy, &place.path).and_then(Value::as_array) else { return false };
    on.into_iter()
        .all(|pattern| conditions.iter().any(|condition| covers(condition, Part::of(pattern).as_ref(), scope)))
}

/// The value at a path, if it has no siblings.
fn only<'v>(policy: &'v serde_json::Map<String, Value>, path: &[String]) -> Option<&'v Value> {
    let (key, deeper) = path.split_first()?;
    let value = policy.get(key).filter(|_| policy.len() == 1)?;
    if deeper.is_empty() { Some(value) } else { only(value.as_object()?, deeper) }
}

/// Whether all types with this known part meet a condition; without a known part the type may be anything.
fn covers(condition: &Value, part: Option<&Part>, scope: &str) -> bool {
    let exists = condition["exists"] == Value::Bool(true);
    let Some(part) = part else {
        // SNS ignores attributes of bytes.
        return exists && scope == "MessageBody";
    };
    if part.may_be_no_string(scope) {
        return exists && scope == "MessageBody";
    }
    if part.text().contains(['"', '\\']) {
        return exists;
    }
    exists || covers_text(condition, part)
}

fn covers_text(condition: &Value, part: &Part) -> bool {
    if let Some(text) = condition.as_str() {
        return *part == Part::Whole(text.to_owned());
    }
    let Some((form, value)) = condition.as_object().filter(|form| form.len() == 1).and_then(|form| form.iter().next())
    else {
        return false;
    };
    match (form.as_str(), value.as_str()) {
        ("prefix", Some(prefix)) => matches!(part, Part::Whole(text) | Part::Start(text) if text.starts_with(prefix)),
        ("suffix", Some(suffix)) => matches!(part, Part::Whole(text) | Part::End(text) if text.ends_with(suffix)),
        ("equals-ignore-case", Some(other)) => {
            matches!(part, Part::Whole(text) if text.is_ascii() && text.eq_ignore_ascii_case(other))
        }
        ("wildcard", Some(wildcard)) => Wildcard::parse(wildcard).is_ok_and(|wildcard| match part {
            Part::Whole(text) => wildcard.matches(text),
            Part::Start(text) => wildcard.is_open_ended() && wildcard.matches(text),
            Part::End(text) => wildcard.is_open_fronted() && wildcard.matches(text),
        }),
        ("anything-but", _) => {
            let excluded = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            excluded.iter().all(|excluded| !excludes(excluded, part))
        }
        _ => false,
    }
}

/// Whether an excluded value may be one of the types.
fn excludes(excluded: &Value, part: &Part) -> bool {
    if let Some(excluded) = excluded.as_str() {
        return match part {
            Part::Whole(text) => excluded == text,
            Part::Start(text) => excluded.starts_with(text.as_str()),
            Part::End(text) => excluded.ends_with(text.as_str()),
        };
    }
    match (excluded["prefix"].as_str(), part) {
        (Some(prefix), Part::Whole(text)) => text.starts_with(prefix),
        (Some(prefix), Part::Start(text)) => text.starts_with(prefix) || prefix.starts_with(text.as_str()),
        // A number never equals a type here, which is a string.
        _ => !excluded.is_number(),
    }
}

#[cfg(test)]
mod tests;
