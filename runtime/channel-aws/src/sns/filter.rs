//! The filter policy of an SNS subscription, derived from the types that its reactors want, so that unwanted events
//! never leave SNS. It may let through too much but never too little: the host routes what arrives. If SNS and the host
//! would see different values, there is no policy.
//!
//! SNS's behaviour is documented under "Amazon SNS message filtering".

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use reactor_config::model::{ChannelConfig, Format, RawField, Unrouted};
use reactor_core::subscription::{Segment, TypePattern};

/// Most values of a policy, each multiplied by the nesting depth of its key.
const MAX_COMBINATIONS: usize = 150;
/// Most bytes of a policy: SNS allows 256 KB.
const MAX_BYTES: usize = 256_000;
/// Deepest nesting of a key.
const MAX_DEPTH: usize = 5;

/// A filter policy and its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterPolicy {
    /// `MessageBody` or `MessageAttributes`.
    pub(super) scope: &'static str,
    /// The policy.
    pub(super) policy: Value,
}

/// The policy for a channel whose reactors want these types; `None` if it cannot be expressed.
pub(crate) fn filter_policy<'p>(
    channel: &ChannelConfig,
    on: impl IntoIterator<Item = &'p TypePattern>,
) -> Option<FilterPolicy> {
    let place = Place::of_type(channel)?;
    let mut values = Vec::new();
    for pattern in on {
        let part = Part::of(pattern)?;
        if part.may_be_no_string(place.scope) || part.needs_escapes() {
            return None;
        }
        let value = part.condition();
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() || values.len() * place.path.len() > MAX_COMBINATIONS {
        return None;
    }
    let policy = place.path.iter().rev().fold(Value::Array(values), |inner, key| json!({ key.as_str(): inner }));
    (policy.to_string().len() <= MAX_BYTES).then_some(FilterPolicy { scope: place.scope, policy })
}

/// Where SNS finds the type of a channel's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `MessageBody` or `MessageAttributes`.
    pub(super) scope: &'static str,
    /// The keys that lead to it; at least one.
    pub(super) path: Vec<String>,
}

impl Place {
    /// `None` if the type may be in several places or in one that SNS cannot address, or if all messages are needed.
    pub(super) fn of_type(channel: &ChannelConfig) -> Option<Self> {
        // To keep unrouted events as dead letters, the host must receive them.
        if channel.unrouted == Unrouted::DeadLetter {
            return None;
        }
        let body = |path| Self { scope: "MessageBody", path };
        let place = match &channel.format {
            Format::Native => body(vec!["eventType".to_owned()]),
            Format::EventBridge => body(vec!["detail-type".to_owned()]),
            Format::Raw(raw) => match &raw.event_type {
                RawField::Attribute(name) => Self { scope: "MessageAttributes", path: vec![name.meaning().to_owned()] },
                // `/attributes/...` may refer to an attribute instead of the body.
                RawField::Pointer(pointer) if pointer.tokens.first().is_some_and(|token| token == "attributes") => {
                    return None;
                }
                RawField::Pointer(pointer) => body(pointer.tokens.clone()),
                RawField::Constant(_) => return None,
            },
            // The type may be in one of several places.
            Format::Auto | Format::CloudEvents | Format::Sns | Format::S3 => return None,
        };
        let is_in_body = place.scope == "MessageBody";
        let is_deep_enough = (1..=MAX_DEPTH).contains(&place.path.len());
        (is_deep_enough && place.path.iter().all(|key| is_plain_key(key, is_in_body))).then_some(place)
    }
}

/// Whether SNS and the host read a key in the same way, as nothing but a key.
fn is_plain_key(key: &str, is_in_body: bool) -> bool {
    // In a list, the host treats digits as an index; SNS has no indices. SNS joins nested keys with dots, and gives
    // keys that begin with a dollar sign a meaning of its own.
    let is_index = key.bytes().all(|byte| byte.is_ascii_digit());
    let is_odd = |c: char| c.is_control() || matches!(c, '"' | '\\') || (is_in_body && c == '.');
    let means_something_else = key.starts_with('$') || key.contains(is_odd) || (is_in_body && is_index);
    !key.is_empty() && !means_something_else
}

/// The known part of the text of all types that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole(String),
    Start(String),
    End(String),
}

impl Part {
    /// `None` if the type may be anything.
    pub(super) fn of(pattern: &TypePattern) -> Option<Self> {
        let words = |segments: &mut dyn Iterator<Item = &Segment>| -> Vec<String> {
            let exact = segments.map_while(|segment| match segment {
                Segment::Exact(word) => Some(word.clone()),
                Segment::Any | Segment::Rest => None,
            });
            exact.collect()
        };
        let start = words(&mut pattern.segments.iter());
        if start.len() == pattern.segments.len() {
            return Some(Self::Whole(start.join(".")));
        }
        if !start.is_empty() {
            return Some(Self::Start(format!("{}.", start.join("."))));
        }
        let mut end = words(&mut pattern.segments.iter().rev());
        end.reverse();
        (!end.is_empty()).then(|| Self::End(format!(".{}", end.join("."))))
    }

    pub(super) fn text(&self) -> &str {
        let (Self::Whole(text) | Self::Start(text) | Self::End(text)) = self;
        text
    }

    fn condition(&self) -> Value {
        match self {
            Self::Whole(text) => json!(text),
            Self::Start(text) => json!({ "prefix": text }),
            Self::End(text) => json!({ "suffix": text }),
        }
    }

    /// Whether a type may arrive as a value that SNS does not compare as a string. The host also accepts as a type the
    /// digits of a number and, in attributes, the text of a `String.Array` (SNS compares only its members) and the
    /// base64 of bytes (SNS ignores them).
    pub(super) fn may_be_no_string(&self, scope: &str) -> bool {
        let text = self.text();
        let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let may_be_number = text.chars().all(is_of_number) && text.contains(|c: char| c.is_ascii_digit());
        if scope == "MessageBody" {
            return may_be_number;
        }
        let may_be_list = match self {
            Self::Whole(text) | Self::Start(text) => text.starts_with('['),
            Self::End(text) => text.ends_with(']'),
        };
        // Text with a dot is not base64.
        let may_be_bytes = matches!(self, Self::Whole(text) if BASE64_STANDARD.decode(text).is_ok());
        may_be_number || may_be_list || may_be_bytes
    }

    /// SNS requires these to be escaped twice in attributes.
    fn needs_escapes(&self) -> bool {
        self.text().contains(['"', '\\'])
    }
}

#[cfg(test)]
mod tests;
