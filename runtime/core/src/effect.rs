//! What a run wants to happen. None of it happens until its commit is applied.

use bytes::Bytes;

/// One thing that a run wants to happen.
///
/// `T` is the destination of a message and `M` the message: a guest names a channel and describes an event
/// ([`pipeline::invoke::Effect`](crate::guest::Effect)), and a store gets a target and the encoded message
/// ([`store::Effect`](crate::store::Effect)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T, M> {
    /// Set a key of the reactor's state.
    Set {
        /// The key.
        key: String,
        /// Its new value.
        value: Bytes,
    },
    /// Remove a key of the reactor's state.
    Delete {
        /// The key.
        key: String,
    },
    /// Send a message to a channel.
    Put {
        /// Its destination.
        target: T,
        /// The message.
        message: M,
    },
}

impl<T, M> Effect<T, M> {
    /// The key of the state that this writes and its new value; the value is `None` for a deletion.
    pub fn write(&self) -> Option<(&String, Option<&Bytes>)> {
        match self {
            Self::Set { key, value } => Some((key, Some(value))),
            Self::Delete { key } => Some((key, None)),
            Self::Put { .. } => None,
        }
    }

    /// The message that this sends, and its destination.
    pub fn put(&self) -> Option<(&T, &M)> {
        match self {
            Self::Put { target, message } => Some((target, message)),
            Self::Set { .. } | Self::Delete { .. } => None,
        }
    }
}
