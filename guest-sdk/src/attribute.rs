//! What a message carries besides the event's own fields.

use std::fmt;

/// A name with a typed value that came with an event: a message attribute of SQS or SNS, an extension of a
/// `CloudEvent`, or the account or region of an EventBridge event. [`Context::attribute`](crate::Context::attribute)
/// finds one by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name, as it was sent.
    pub name: String,
    /// Its full type, as SQS and SNS write it, such as `String`, `Number.float`, `Binary` or `String.Array`; or
    /// `Boolean`.
    pub type_name: String,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of an [`Attribute`].
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Text. A `String.Array` is the text of a JSON array.
    Text(String),
    /// The digits of a number as they were sent: `1.50` stays `1.50`.
    Number(String),
    /// true or false.
    Boolean(bool),
    /// Bytes of any kind.
    Bytes(Vec<u8>),
}

impl Attribute {
    /// Creates an attribute whose type follows from its value.
    pub fn new(name: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        let value = value.into();
        let type_name = match &value {
            AttributeValue::Text(_) => "String",
            AttributeValue::Number(_) => "Number",
            AttributeValue::Boolean(_) => "Boolean",
            AttributeValue::Bytes(_) => "Binary",
        };
        Self { name: name.into(), type_name: type_name.to_owned(), value }
    }

    /// Sets a custom type: `Attribute::new("policy", "{}").of_type("String.Json")`.
    #[must_use]
    pub fn of_type(mut self, type_name: impl Into<String>) -> Self {
        self.type_name = type_name.into();
        self
    }

    /// Its text, or the digits of a number.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) | AttributeValue::Number(text) => Some(text),
            AttributeValue::Boolean(_) | AttributeValue::Bytes(_) => None,
        }
    }

    /// Its text or digits, parsed: `attribute.parse::<u32>()`.
    pub fn parse<T: std::str::FromStr>(&self) -> Option<T> {
        self.as_str()?.parse().ok()
    }

    /// Its value, if it is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let AttributeValue::Boolean(value) = self.value { Some(value) } else { None }
    }

    /// Its bytes, if it is `Binary`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let AttributeValue::Bytes(bytes) = &self.value { Some(bytes) } else { None }
    }
}

impl fmt::Display for Attribute {
    /// Shows its value; for bytes, only their number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            AttributeValue::Text(text) | AttributeValue::Number(text) => f.write_str(text),
            AttributeValue::Boolean(value) => value.fmt(f),
            AttributeValue::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Vec<u8>> for AttributeValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}
