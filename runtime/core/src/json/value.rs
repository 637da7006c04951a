//! One JSON value, in place in its text, and its canonical form.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::MAX_DEPTH;
use super::decimal::Decimal;
use super::object::{Object, elements};
use crate::identity::Identity;

/// One value. Containers stay text and are parsed only on demand.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// The digits as written: no precision is lost.
    Number(Cow<'a, str>),
    /// Unescaped.
    String(Cow<'a, str>),
    /// The text of an array.
    Array(&'a str),
    /// The text of an object.
    Object(&'a str),
}

impl<'a> Value<'a> {
    /// Reads the value of a text without surrounding white space.
    pub fn of(text: &'a str) -> Self {
        match text.as_bytes().first() {
            Some(b'"') => Self::String(unescape(text)),
            Some(b'{') => Self::Object(text),
            Some(b'[') => Self::Array(text),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'-' | b'0'..=b'9') => Self::Number(Cow::Borrowed(text)),
            _ => Self::Null,
        }
    }

    /// The number by its exact value.
    pub fn as_decimal(&self) -> Option<Decimal<'_>> {
        match self {
            Self::Number(text) => Some(Decimal::of(text)),
            _ => None,
        }
    }

    /// The kind of value, for messages: `a number`, `an array`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Hashes a purpose and the value's canonical form. Equal values have equal identities: `1`, `1.0` and `10e-1`, or
    /// objects that differ only in the order of their members. `1` and `"1"` differ, and so do any two different
    /// integers.
    pub fn identity(&self, purpose: &[&[u8]]) -> Identity {
        let canonical = match self {
            Self::String(text) => Cow::Borrowed(text.as_bytes()),
            other => {
                let mut out = String::new();
                other.write_canonical(MAX_DEPTH, &mut out);
                Cow::Owned(out.into_bytes())
            }
        };
        let tag: &[u8] = if matches!(self, Self::String(_)) { b"string" } else { b"json" };
        let parts: Vec<&[u8]> = purpose.iter().copied().chain([tag, canonical.as_ref()]).collect();
        Identity::of(&parts)
    }

    /// `depth` is how many more levels may be opened; checked text never exceeds it.
    fn write_canonical(&self, depth: usize, out: &mut String) {
        match self {
            Self::Array(text) | Self::Object(text) if depth == 0 => out.push_str(text),
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(&Decimal::of(text).to_string()),
            Self::String(text) => write_string(text, out),
            Self::Array(text) => {
                out.push('[');
                for element in elements(text) {
                    Value::of(element).write_canonical(depth - 1, out);
                    out.push(',');
                }
                out.push(']');
            }
            Self::Object(text) => {
                let object = Object::read(text).unwrap_or_default();
                let sorted: BTreeMap<&str, &str> = object.members().collect();
                out.push('{');
                for (key, value) in sorted {
                    write_string(key, out);
                    out.push(':');
                    Value::of(value).write_canonical(depth - 1, out);
                    out.push(',');
                }
                out.push('}');
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    // Writing a string to memory cannot fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn unescape(text: &str) -> Cow<'_, str> {
    let inner = text.get(1..text.len() - 1).unwrap_or_default();
    if inner.contains('\\') {
        // Checked text has no invalid escape; anything else is left unchanged.
        serde_json::from_str(text).map_or(Cow::Borrowed(inner), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> Identity {
        Value::of(text).identity(&[b"test"])
    }

    #[test]
    fn equal_values_have_equal_identities() {
        for (left, right) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("1200", "1.2E+3"),
            ("0", "-0.0"),
            ("0", "0e5"),
            (r#""a""#, r#""\u0061""#),
            (r#"{"a":1,"b":[2]}"#, r#"{ "b": [2.0], "a": 1 }"#),
        ] {
            assert_eq!(id(left), id(right), "{left} and {right}");
        }
    }

    #[test]
    fn different_values_have_different_identities() {
        let all = [
            "1",
            "-1",
            "10",
            "\"1\"",
            "\"\"",
            "null",
            "\"null\"",
            "true",
            "false",
            "[]",
            "{}",
            "[1]",
            "[[1]]",
            "[1,1]",
            "[\"1\"]",
            "\"[1]\"",
            "{\"a\":1}",
            "{\"a\":\"1\"}",
            "18446744073709551616",
            "18446744073709551617",
            "0.1",
            "1e400",
            "1e401",
        ];
        for (index, left) in all.iter().enumerate() {
            for right in &all[index + 1..] {
                assert_ne!(id(left), id(right), "{left} and {right}");
            }
        }
        assert_ne!(Value::of("1").identity(&[b"a"]), Value::of("1").identity(&[b"b"]), "the purpose counts");
    }

    #[test]
    fn odd_text_is_survived() {
        for text in ["", "\"", "\"\\", "\"\\\"", "x", "-", "{", "[", "1e", "é"] {
            let _ = id(text);
        }
        let _ = id(&"[".repeat(100_000));
        let _ = id(&("[".repeat(10_000) + &"]".repeat(10_000)));
    }

    proptest! {
        #[test]
        fn numbers_are_equal_when_their_values_are(whole in -1_000_000i64..1_000_000, shift in 0usize..6) {
            let shifted = format!("{whole}{}e-{shift}", "0".repeat(shift));
            prop_assert_eq!(id(&whole.to_string()), id(&shifted));
            prop_assert_ne!(id(&whole.to_string()), id(&(whole + 1).to_string()));
        }

        #[test]
        fn strings_come_back_unescaped(text in any::<String>()) {
            let json = serde_json::to_string(&text).expect("string");
            prop_assert_eq!(Value::of(&json), Value::String(Cow::Owned(text)));
        }
    }
}
