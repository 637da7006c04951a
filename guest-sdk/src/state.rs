//! The reactor's own key-value state.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;

/// A reactor's state; see [`Context::state`].
///
/// Reads see committed values and the run's own writes. If a value that was read has changed by the time of the commit,
/// the host repeats the run, so that runs behave as if they were one after the other.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    pub(crate) cx: &'a Context,
}

/// Why the state could not be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// The host refused the key or the value.
    Refused(String),
    /// The value is not what was asked for.
    Unreadable {
        /// Whose.
        key: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The value cannot be written as JSON.
    Unwritable {
        /// Whose.
        key: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Unreadable { key, error } => write!(f, "the state of `{key}` is not what was asked for: {error}"),
            Self::Unwritable { key, error } => write!(f, "the new state of `{key}` cannot be written: {error}"),
        }
    }
}

impl Error for StateError {}

impl State<'_> {
    /// The value of a key, if it has one.
    pub fn get<T: DeserializeOwned>(&self, key: impl AsRef<str>) -> Result<Option<T>, StateError> {
        let key = key.as_ref();
        let Some(bytes) = self.get_bytes(key)? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes);
        value.map(Some).map_err(|error| StateError::Unreadable { key: key.to_owned(), error })
    }

    /// Sets a key, to be committed with the run.
    pub fn set<T: Serialize + ?Sized>(&self, key: impl AsRef<str>, value: &T) -> Result<(), StateError> {
        let key = key.as_ref();
        let bytes = serde_json::to_vec(value);
        self.set_bytes(key, bytes.map_err(|error| StateError::Unwritable { key: key.to_owned(), error })?)
    }

    /// The bytes of a key, if it has a value.
    pub fn get_bytes(&self, key: impl AsRef<str>) -> Result<Option<Vec<u8>>, StateError> {
        self.cx.host.state_get(key.as_ref()).map_err(StateError::Refused)
    }

    /// Sets a key to bytes that need not be JSON.
    pub fn set_bytes(&self, key: impl AsRef<str>, value: Vec<u8>) -> Result<(), StateError> {
        self.cx.host.state_set(key.as_ref(), value).map_err(StateError::Refused)
    }

    /// Removes a key; removing an absent one is no error.
    pub fn delete(&self, key: impl AsRef<str>) -> Result<(), StateError> {
        self.cx.host.state_delete(key.as_ref()).map_err(StateError::Refused)
    }
}
