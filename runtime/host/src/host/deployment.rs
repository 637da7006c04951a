//! What is deployed: a configuration with its modules, and what a new one asks of a running host.

use std::collections::BTreeMap;
use std::sync::Arc;

use reactor_config::model::Config;
use reactor_core::channel::Remote;
use reactor_core::guest::Guest;

/// A configuration that has been checked, and what belongs to it. The modules are loaded already.
pub struct Deployment {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// One guest per configured reactor, by name.
    pub guests: BTreeMap<String, Arc<dyn Guest>>,
    /// The remote channels, by name.
    pub remotes: BTreeMap<String, Remote>,
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment").field("reactors", &self.guests.keys()).finish_non_exhaustive()
    }
}

/// What a new configuration asks of a running host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Reactors do something else, or do it otherwise, but get what they got; the list may be empty.
    InPlace,
    /// Channels, reactors or subscriptions are others.
    Connections,
    /// Something that only a new process can take over; this key.
    Process(&'static str),
}

/// Why a host has ended.
pub(crate) enum End {
    /// It was told to, or there was nothing left to do.
    Stop,
    /// This is to run instead.
    Restart(Box<Deployment>),
}
