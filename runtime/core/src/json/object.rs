//! The members of an object and the elements of an array, as slices of the text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Value;

/// The members of one object, in order, each with the text of its value.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Reads one level; `None` if the text is not an object.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(Members).ok()
    }

    /// The text of a member's value, `null` included.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, text)| *text)
    }

    /// A member's value; `None` if it is absent or null.
    pub fn value(&self, name: &str) -> Option<Value<'a>> {
        self.text(name).map(Value::of).filter(|value| *value != Value::Null)
    }

    /// The value of a string member.
    pub fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.value(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of an object member.
    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        self.text(name).and_then(Object::read)
    }

    /// Whether the member exists, even if it is null.
    pub fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// Names and the texts of their values, in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(key, text)| (key.as_ref(), *text))
    }
}

/// The texts of an array's elements; empty if the text is not an array.
pub fn elements(text: &str) -> Vec<&str> {
    let raw: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    raw.into_iter().map(RawValue::get).collect()
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        // Envelopes of all formats have fewer members than this.
        let mut members = Vec::with_capacity(16);
        while let Some(key) = map.next_key_seed(Key)? {
            members.push((key, map.next_value::<&RawValue>()?.get()));
        }
        Ok(Object { members })
    }
}

/// Reads a key without copying it, unless it has escapes.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_slices_of_the_text() {
        let text = r#" {"a": {"x": 1} , "b\n":null,"c":"d"} "#;
        let object = Object::read(text).expect("object");
        assert_eq!(object.text("a"), Some(r#"{"x": 1}"#));
        assert_eq!(object.text("b\n"), Some("null"));
        assert!(object.has("b\n") && object.value("b\n").is_none());
        assert_eq!(object.string("c").as_deref(), Some("d"));
        assert_eq!(object.string("a"), None);
        assert_eq!(object.object("a").and_then(|a| a.text("x")), Some("1"));
        assert_eq!(object.members().count(), 3);
    }

    #[test]
    fn other_text_has_none() {
        for text in ["", "[1]", "\"a\"", "{\"a\":", "null"] {
            assert!(Object::read(text).is_none(), "{text}");
        }
        assert_eq!(elements(r#"[1, "a" ,[2]]"#), ["1", "\"a\"", "[2]"]);
        assert!(elements("{}").is_empty());
    }
}
