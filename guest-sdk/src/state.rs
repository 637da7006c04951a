//! The reactor's own key-value state.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::Host;
use crate::place;

/// The reactor's own key-value state; needs `allow = { state = true }` in `reactors.toml`.
///
/// Values are JSON unless the `_bytes` methods are used. Reads see committed data and this run's own writes. Writes
/// take effect together with all other effects of the run, or not at all. Runs of one reactor are serializable: if a
/// value that was read has changed by the time of the commit, the host repeats the run.
///
/// A key has 1 to 1,024 bytes, a value at most 1 MiB.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    pub(crate) host: &'a Host,
}

impl State<'_> {
    /// The value of a key; `None` if it has none.
    ///
    /// ```
    /// # use reactor_guest::prelude::*;
    /// # fn f(cx: &Context) -> Outcome {
    /// let stock: u32 = cx.state().get("stock")?.unwrap_or(100);
    /// # Ok(()) }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: impl AsRef<str>) -> Result<Option<T>, StateError> {
        let key = key.as_ref();
        let Some(bytes) = self.host.state_get(key)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| StateError::Decode {
            key: key.to_owned(),
            reason: format!("not {}: {}", place::type_name::<T>(), place::describe(&bytes, &error)),
        })
    }

    /// Sets a key.
    pub fn set<T: Serialize + ?Sized>(&self, key: impl AsRef<str>, value: &T) -> Result<(), StateError> {
        let key = key.as_ref();
        let bytes = serde_json::to_vec(value)
            .map_err(|error| StateError::Encode { key: key.to_owned(), reason: error.to_string() })?;
        self.host.state_set(key, bytes)
    }

    /// Replaces the value of a key with the result of `change`, and returns the new value.
    ///
    /// ```
    /// # use reactor_guest::prelude::*;
    /// # fn f(cx: &Context) -> Outcome {
    /// let seen: u64 = cx.state().update("seen", |count: Option<u64>| count.unwrap_or(0) + 1)?;
    /// # Ok(()) }
    /// ```
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: impl AsRef<str>,
        change: impl FnOnce(Option<T>) -> T,
    ) -> Result<T, StateError> {
        let key = key.as_ref();
        let value = change(self.get(key)?);
        self.set(key, &value)?;
        Ok(value)
    }

    /// Removes a key; it may be absent.
    pub fn delete(&self, key: impl AsRef<str>) -> Result<(), StateError> {
        self.host.state_delete(key.as_ref())
    }

    /// The value of a key as the stored bytes.
    pub fn get_bytes(&self, key: impl AsRef<str>) -> Result<Option<Vec<u8>>, StateError> {
        self.host.state_get(key.as_ref())
    }

    /// Sets a key to exactly these bytes.
    pub fn set_bytes(&self, key: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Result<(), StateError> {
        self.host.state_set(key.as_ref(), value.into())
    }
}

/// Why the state could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The key is empty or too long; says which key, and why.
    InvalidKey(String),
    /// The value has this many bytes, which is too many.
    ValueTooLarge(u64),
    /// The stored value does not have the requested type.
    Decode {
        /// The key.
        key: String,
        /// What is wrong, and where in the value.
        reason: String,
    },
    /// The value has no JSON form.
    Encode {
        /// The key.
        key: String,
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidKey(reason) => write!(f, "invalid state key: {reason}"),
            Self::ValueTooLarge(bytes) => write!(f, "state value of {bytes} bytes is too large"),
            Self::Decode { key, reason } => write!(f, "state `{key}` is {reason}"),
            Self::Encode { key, reason } => write!(f, "state `{key}` cannot be written as JSON: {reason}"),
        }
    }
}

impl std::error::Error for StateError {}
