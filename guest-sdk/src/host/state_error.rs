//! Why the state could not be used.

use std::fmt;

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
