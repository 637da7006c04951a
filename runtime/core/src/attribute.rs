//! What a message carries besides its body: names with typed values. No I/O.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::{self, Value, elements};

/// The type of plain text. An attribute has this type unless it says otherwise.
pub const TEXT: &str = "String";
/// The type of a list, written as a JSON array.
pub const LIST: &str = "String.Array";
const NUMBER: &str = "Number";
const BOOLEAN: &str = "Boolean";
const BINARY: &str = "Binary";
const JSON: &str = "String.Json";

/// A name with a typed value: a message attribute of SQS or SNS, an extension of a `CloudEvent`, or an envelope field
/// that has no field of its own in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name; names are compared exactly, as SQS does.
    pub name: String,
    /// Its type in full, as SQS and SNS write it: `String`, `Number.float`, `Binary`, `String.Array`; or `Boolean`.
    pub kind: Cow<'static, str>,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Text, including a number that JSON could not hold.
    Text(String),
    /// The digits as they were sent: no precision is lost.
    Number(String),
    /// true or false.
    Boolean(bool),
    /// Bytes of any kind.
    Binary(Bytes),
}

impl Attribute {
    /// A text attribute.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), kind: TEXT.into(), value: AttributeValue::Text(value.into()) }
    }

    /// An attribute of the given full type, whose value is written as text. It is a number only if JSON can hold its
    /// digits.
    pub fn typed(name: impl Into<String>, kind: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        let (kind, value) = (kind.into(), value.into());
        let value = match base(&kind) {
            NUMBER if is_number(&value) => AttributeValue::Number(value),
            BOOLEAN if value == "true" || value == "false" => AttributeValue::Boolean(value == "true"),
            _ => AttributeValue::Text(value),
        };
        Self { name: name.into(), kind, value }
    }

    /// An attribute that holds bytes.
    pub fn binary(name: impl Into<String>, kind: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), kind: kind.into(), value: AttributeValue::Binary(value.into()) }
    }

    /// The same for bytes written as base64; invalid base64 is kept as text.
    pub fn base64(name: impl Into<String>, kind: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        let value = value.into();
        match BASE64_STANDARD.decode(&value) {
            Ok(bytes) => Self::binary(name, kind, bytes),
            Err(_) => Self { name: name.into(), kind: kind.into(), value: AttributeValue::Text(value) },
        }
    }

    /// Turns a member of a checked JSON object into an attribute. As in SNS, a list of scalars has the type
    /// `String.Array`; null counts as absent.
    pub fn of_json(name: &str, text: &str) -> Option<Self> {
        let (kind, value) = match Value::of(text) {
            Value::Null => return None,
            Value::Bool(value) => (BOOLEAN, AttributeValue::Boolean(value)),
            Value::Number(digits) => (NUMBER, AttributeValue::Number(digits.into_owned())),
            Value::String(text) => (TEXT, AttributeValue::Text(text.into_owned())),
            Value::Array(text) => {
                let nested = elements(text).into_iter().any(|one| one.starts_with(['[', '{']));
                (if nested { JSON } else { LIST }, AttributeValue::Text(text.to_owned()))
            }
            Value::Object(text) => (JSON, AttributeValue::Text(text.to_owned())),
        };
        Some(Self { name: name.to_owned(), kind: kind.into(), value })
    }

    /// Whether its type is plain text.
    pub fn is_plain(&self) -> bool {
        self.kind == TEXT
    }

    /// Its text, or the digits of a number.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) | AttributeValue::Number(text) => Some(text),
            AttributeValue::Boolean(_) | AttributeValue::Binary(_) => None,
        }
    }

    /// The size of its name and value in bytes.
    pub fn size(&self) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) | AttributeValue::Number(text) => text.len(),
            AttributeValue::Boolean(_) => 1,
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        self.name.len() + value
    }

    /// Its value as JSON pointers see it: bytes become base64, and a `String.Array` becomes the list that its text
    /// holds.
    pub fn view(&self) -> Value<'_> {
        match &self.value {
            AttributeValue::Text(text) if self.kind == LIST && text.starts_with('[') && json::check(text).is_ok() => {
                Value::Array(text.trim_ascii_end())
            }
            AttributeValue::Text(text) => Value::String(Cow::Borrowed(text)),
            AttributeValue::Number(digits) => Value::Number(Cow::Borrowed(digits)),
            AttributeValue::Boolean(value) => Value::Bool(*value),
            AttributeValue::Binary(bytes) => Value::String(Cow::Owned(BASE64_STANDARD.encode(bytes))),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self.view() {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::String(text) => text.into_owned().into(),
            // Digits that a double would change stay text.
            Value::Number(digits) => {
                let number: Option<serde_json::Number> = digits.parse().ok();
                number.filter(|number| number.to_string() == *digits).map_or_else(|| (&*digits).into(), Into::into)
            }
            Value::Array(text) | Value::Object(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        }
    }
}

/// Attributes as a JSON object of their values. If several share a name, the first counts, as everywhere here.
pub fn values(attributes: &[Attribute]) -> serde_json::Map<String, serde_json::Value> {
    // A map keeps the last value of a name, so insert in reverse.
    attributes.iter().rev().map(|attribute| (attribute.name.clone(), attribute.to_json())).collect()
}

/// The types of the attributes that are not plain text, as a JSON object.
pub fn kinds(attributes: &[Attribute]) -> serde_json::Map<String, serde_json::Value> {
    let all = attributes.iter().rev().map(|attribute| (attribute.name.clone(), (*attribute.kind).into()));
    let mut kinds: serde_json::Map<String, serde_json::Value> = all.collect();
    kinds.retain(|_, kind| kind != TEXT);
    kinds
}

/// A type without its custom suffix.
fn base(kind: &str) -> &str {
    kind.split('.').next().unwrap_or_default()
}

/// Whether a text is exactly one JSON number.
fn is_number(text: &str) -> bool {
    let ends =
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    ends && json::check(text).is_ok()
}

impl From<(String, String)> for Attribute {
    fn from((name, value): (String, String)) -> Self {
        Self::text(name, value)
    }
}

impl From<(&str, &str)> for Attribute {
    fn from((name, value): (&str, &str)) -> Self {
        Self::text(name, value)
    }
}

impl fmt::Display for Attribute {
    /// For display: its value, and its type if that is not plain text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            AttributeValue::Text(text) | AttributeValue::Number(text) => write!(f, "{}: {text}", self.name)?,
            AttributeValue::Boolean(value) => write!(f, "{}: {value}", self.name)?,
            AttributeValue::Binary(bytes) => write!(f, "{}: {}", self.name, BASE64_STANDARD.encode(bytes))?,
        }
        if self.is_plain() { Ok(()) } else { write!(f, " ({})", self.kind) }
    }
}

/// The form kept in the store and in notes: `["name", "text"]` for plain text, the only form of early versions, and
/// `["name", "value", "type"]` with bytes in base64 for everything else.
impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: Cow<'_, str> = match &self.value {
            AttributeValue::Text(text) if self.is_plain() => return (&self.name, text).serialize(serializer),
            AttributeValue::Text(text) | AttributeValue::Number(text) => text.into(),
            AttributeValue::Boolean(value) => if *value { "true" } else { "false" }.into(),
            AttributeValue::Binary(bytes) => BASE64_STANDARD.encode(bytes).into(),
        };
        (&self.name, value, &self.kind).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Vec::<String>::deserialize(deserializer)?.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(value), None, None) => Ok(Self::text(name, value)),
            (Some(name), Some(value), Some(kind), None) if base(&kind) == BINARY => Ok(Self::base64(name, kind, value)),
            (Some(name), Some(value), Some(kind), None) => Ok(Self::typed(name, kind, value)),
            _ => Err(D::Error::custom("an attribute is a name, a value and perhaps a type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        prop_oneof![
            (".{0,8}", ".{0,8}").prop_map(|(name, value)| Attribute::text(name, value)),
            (".{0,8}", "(String|Number|Boolean)(\\.[a-z]{1,4})?", "(.{0,6}|-?[0-9]{1,30}(\\.[0-9]{1,3})?|true)")
                .prop_map(|(name, kind, value)| Attribute::typed(name, kind, value)),
            (".{0,8}", "Binary(\\.[a-z]{1,4})?", proptest::collection::vec(any::<u8>(), 0..6))
                .prop_map(|(name, kind, bytes)| Attribute::binary(name, kind, bytes)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_it_was(attribute in any_attribute()) {
            let text = serde_json::to_string(&attribute).expect("text");
            prop_assert_eq!(serde_json::from_str::<Attribute>(&text).expect("an attribute"), attribute);
        }
    }

    #[test]
    fn attributes_of_earlier_versions_are_text() {
        let old: Vec<Attribute> = serde_json::from_str(r#"[["a","1"],["b","AAH/"]]"#).expect("attributes");
        assert_eq!(old, [Attribute::text("a", "1"), Attribute::text("b", "AAH/")]);
        assert_eq!(serde_json::to_string(&old).expect("text"), r#"[["a","1"],["b","AAH/"]]"#);
        for bad in [r#"["a"]"#, r#"["a","b","c","d"]"#, r#"{"a":"b"}"#] {
            assert!(serde_json::from_str::<Attribute>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_other_text_is_none() {
        for digits in ["1.50", "-0", "123456789012345678901234567890", "10e2"] {
            assert_eq!(Attribute::typed("n", "Number.x", digits).value, AttributeValue::Number(digits.into()));
        }
        for text in ["", "abc", "+1", ".5", "1 ", "1e999", "0x1", "NaN", "01"] {
            assert_eq!(Attribute::typed("n", "Number", text).value, AttributeValue::Text(text.into()), "{text}");
        }
    }

    #[test]
    fn values_are_shown_as_json_without_a_change_of_digits() {
        let all = [
            Attribute::text("t", "acme"),
            Attribute::typed("w", "Number", "1.50"),
            Attribute::typed("n", "Number", "12"),
            Attribute::binary("k", "Binary", vec![0, 1, 255]),
            Attribute::typed("l", "String.Array", r#"["a",1]"#),
            Attribute::typed("x", "String.Array", "[broken"),
            Attribute::typed("t", "Number", "2"),
        ];
        let expected = serde_json::json!({"t":"acme","w":"1.50","n":12,"k":"AAH/","l":["a",1],"x":"[broken"});
        assert_eq!(serde_json::Value::Object(values(&all)), expected);
        let types = serde_json::json!({"w":"Number","n":"Number","k":"Binary","l":"String.Array","x":"String.Array"});
        assert_eq!(serde_json::Value::Object(kinds(&all)), types);
        assert_eq!((all[0].to_string(), all[3].to_string()), ("t: acme".into(), "k: AAH/ (Binary)".into()));
    }
}
