//! A reactor's state as its runs see it: what is committed, and on top what is about to be.
//!
//! A run may build on writes whose commit is still on its way. It then carries their version, which the store compares
//! when the run itself commits: if the earlier commit was refused, so is the later one, and it runs again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::event::{ReactorId, Version};
use crate::store::Store;

use super::invoke::StateView;

/// One reactor's state, with its uncommitted writes.
pub(super) struct ReactorState {
    store: Arc<dyn Store>,
    reactor: ReactorId,
    pending: Mutex<HashMap<String, Pending>>,
}

struct Pending {
    value: Option<Bytes>,
    version: Version,
}

impl ReactorState {
    pub(super) fn new(store: Arc<dyn Store>, reactor: ReactorId) -> Self {
        Self { store, reactor, pending: Mutex::default() }
    }

    /// Shows writes to later runs, before they are committed.
    pub(super) fn publish(&self, writes: &[(String, Option<Bytes>)], version: Version) {
        if writes.is_empty() {
            return;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            pending.insert(key.clone(), Pending { value: value.clone(), version });
        }
    }

    /// Whether a younger write has been shown since one of these was read, so that the store is going to refuse the run.
    pub(super) fn is_overtaken(&self, reads: &[(String, Version)]) -> bool {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().any(|(key, read)| pending.get(key).is_some_and(|entry| entry.version != *read))
    }

    /// Forgets what was refused, and all that has been built on it since.
    pub(super) fn refuse<'a>(&self, keys: impl Iterator<Item = &'a String>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            pending.remove(key);
        }
    }

    /// Forgets writes that have been committed.
    pub(super) fn settle<'a>(&self, keys: impl Iterator<Item = &'a String>, version: Version) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if pending.get(key).is_some_and(|entry| entry.version == version) {
                pending.remove(key);
            }
        }
    }
}

impl StateView for ReactorState {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = pending.get(key) {
            return Ok(entry.value.clone().map(|value| (value, entry.version)));
        }
        drop(pending);
        Ok(self.store.state(self.reactor, key)?)
    }
}
