//! What a run wants to happen. Nothing of it has happened until the commit that carries it is applied.

use bytes::Bytes;

/// One thing that a run wants to happen.
///
/// `T` says where a message goes and `M` what it is: a guest names a channel and describes an event
/// ([`pipeline::invoke::Effect`](crate::guest::Effect)), and a store is given a target and the encoded message
/// ([`store::Effect`](crate::store::Effect)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T, M> {
    /// Give a key of the reactor's state a value.
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
        /// Where it goes.
        target: T,
        /// What is sent.
        message: M,
    },
}

impl<T, M> Effect<T, M> {
    /// The key of the state that this writes, and its new value; `None` as the value deletes.
    pub fn write(&self) -> Option<(&String, Option<&Bytes>)> {
        match self {
            Self::Set { key, value } => Some((key, Some(value))),
            Self::Delete { key } => Some((key, None)),
            Self::Put { .. } => None,
        }
    }

    /// The message that this sends, and where to.
    pub fn put(&self) -> Option<(&T, &M)> {
        match self {
            Self::Put { target, message } => Some((target, message)),
            Self::Set { .. } | Self::Delete { .. } => None,
        }
    }
}
