//! A reactor's state as its runs see it: the committed values, overlaid with uncommitted writes.
//!
//! A run may build on writes whose commit is still on its way. It then carries their version, which the store compares
//! when the run itself commits: if the earlier commit was refused, so is the later one, and it runs again.
//!
//! A run whose reads are out of date when it ends is repeated before it is sent to the store. If its writes were shown
//! to later runs, all of these would be lost with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use reactor_core::event::{ReactorId, Version};
use reactor_core::store::{Effect, StoreClient};
use reactor_core::world::StateView;

use crate::memory::divide;

/// One reactor's state, with its uncommitted writes. This process is the only one that writes it.
pub(crate) struct ReactorState {
    store: Arc<dyn StoreClient>,
    reactor: ReactorId,
    room: Arc<Room>,
    values: Mutex<Values>,
}

/// Bytes of values kept in memory; uncommitted values are kept in any case.
#[derive(Debug)]
pub(crate) struct Room {
    /// Each reactor's own share.
    share: usize,
    /// While all reactors together use less than this, any of them may exceed its share.
    common: usize,
    used: AtomicUsize,
}

impl Room {
    pub(crate) fn new(memory: usize, reactors: usize) -> Self {
        let (share, common) = divide(memory, reactors);
        Self { share, common, used: AtomicUsize::new(0) }
    }

    fn changed(&self, before: usize, after: usize) {
        // Only a measure: no thread depends on seeing another's update at once.
        self.used.fetch_add(after.wrapping_sub(before), Relaxed);
    }
}

#[derive(Default)]
struct Values {
    entries: HashMap<String, Entry>,
    bytes: usize,
    /// Above this, committed values are evicted. Twice what could not be evicted last time, so that eviction is not
    /// tried at every write.
    evict_above: usize,
    /// Increases when entries are evicted: a value read from the store before may be older than the evicted one.
    generation: u64,
}

struct Entry {
    value: Option<Bytes>,
    version: Version,
    /// Its commit is in flight.
    pending: bool,
}

impl Entry {
    fn weight(key: &str, value: Option<&Bytes>) -> usize {
        key.len() + value.map_or(0, Bytes::len) + 64
    }

    /// The version that a reader records; absent keys have none.
    fn seen(&self) -> Version {
        if self.value.is_some() { self.version } else { Version(0) }
    }
}

impl Values {
    fn put(&mut self, key: &str, entry: Entry, room: &Room) {
        let before = self.bytes;
        self.bytes += Entry::weight(key, entry.value.as_ref());
        if let Some(old) = self.entries.insert(key.to_owned(), entry) {
            self.bytes -= Entry::weight(key, old.value.as_ref());
        }
        room.changed(before, self.bytes);
        if self.bytes > room.share.max(self.evict_above) && room.used.load(Relaxed) > room.common {
            let before = self.bytes;
            self.entries.retain(|_, entry| entry.pending);
            self.bytes = self.entries.iter().map(|(key, entry)| Entry::weight(key, entry.value.as_ref())).sum();
            self.evict_above = 2 * self.bytes;
            self.generation += 1;
            room.changed(before, self.bytes);
        }
    }
}

impl ReactorState {
    pub(crate) fn new(store: Arc<dyn StoreClient>, reactor: ReactorId, room: Arc<Room>) -> Self {
        Self { store, reactor, room, values: Mutex::default() }
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the values read are unchanged, including by uncommitted writes. A key that is not in memory counts as
    /// unchanged: the store compares it again.
    pub(crate) fn is_current(&self, reads: &[(String, Version)]) -> bool {
        let values = self.values();
        reads.iter().all(|(key, version)| values.entries.get(key).is_none_or(|entry| entry.seen() == *version))
    }

    /// Shows writes to later runs, before they are committed.
    pub(crate) fn publish(&self, effects: &[Effect], version: Version) {
        let mut writes = effects.iter().filter_map(Effect::write).peekable();
        if writes.peek().is_none() {
            return;
        }
        let mut values = self.values();
        for (key, value) in writes {
            values.put(key, Entry { value: value.cloned(), version, pending: true }, &self.room);
        }
    }

    /// Records that writes were committed or refused.
    pub(crate) fn answered<'a>(&self, keys: impl Iterator<Item = &'a String>, version: Version, applied: bool) {
        let mut values = self.values();
        for key in keys {
            let Some(entry) = values.entries.get_mut(key).filter(|entry| entry.version == version) else { continue };
            if applied {
                entry.pending = false;
            } else if let Some(old) = values.entries.remove(key) {
                let before = values.bytes;
                values.bytes -= Entry::weight(key, old.value.as_ref());
                self.room.changed(before, values.bytes);
                values.generation += 1;
            }
        }
    }
}

impl StateView for ReactorState {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        let values = self.values();
        if let Some(entry) = values.entries.get(key) {
            return Ok(entry.value.clone().map(|value| (value, entry.version)));
        }
        let generation = values.generation;
        drop(values);
        let found = self.store.state(self.reactor, key)?;
        let mut values = self.values();
        if let Some(entry) = values.entries.get(key) {
            // Another thread was faster, and may have written since.
            return Ok(entry.value.clone().map(|value| (value, entry.version)));
        }
        if values.generation == generation {
            let (value, version) = found.clone().map_or((None, Version(0)), |(value, version)| (Some(value), version));
            values.put(key, Entry { value, version, pending: false }, &self.room);
        }
        Ok(found)
    }
}
