//! Values of the reactor's `config` table.

use std::fmt;

use serde::de::value::{Error as StrError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::place;

/// A value of the `config` table that does not have the requested type.
///
/// The value itself is omitted: it may be a secret, and errors end up in logs and dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: String,
    expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config `{}` is not {}", self.key, self.expected)
    }
}

impl std::error::Error for ConfigError {}

/// Parses a value as JSON, or else takes it as a plain string, since strings arrive without quotes.
pub(crate) fn parse<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, ConfigError> {
    serde_json::from_str(text).or_else(|_| {
        let plain: StrDeserializer<'_, StrError> = text.into_deserializer();
        T::deserialize(plain).map_err(|_| ConfigError { key: key.to_owned(), expected: place::type_name::<T>() })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn numbers_tables_and_strings_are_read() {
        assert_eq!(parse::<u32>("k", "100"), Ok(100));
        assert_eq!(parse::<f64>("k", "0.5"), Ok(0.5));
        assert_eq!(parse::<bool>("k", "true"), Ok(true));
        assert_eq!(parse::<String>("k", "eu-1"), Ok("eu-1".to_owned()));
        assert_eq!(parse::<String>("k", "100"), Ok("100".to_owned()));
        assert_eq!(parse::<BTreeMap<String, u8>>("k", r#"{"mug":3}"#), Ok([("mug".to_owned(), 3)].into()));
    }

    #[test]
    fn the_error_names_key_and_type_but_not_the_value() {
        let said = parse::<u32>("limit", "s3cret").unwrap_err().to_string();
        assert_eq!(said, "config `limit` is not u32");
    }
}
