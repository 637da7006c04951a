//! Compiled code in memory: reactors whose modules have the same content share it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasmtime::component::Component;

/// What modules with the same content share.
pub(super) struct Code {
    pub(super) component: Component,
    /// Whether it was found on disk.
    pub(super) from_cache: bool,
}

/// One content: the thread that loads it holds the lock, and others with the same content wait for it.
type Place = Arc<Mutex<Weak<Code>>>;

/// Code by content, kept as long as it is used.
#[derive(Default)]
pub(super) struct Compiled {
    places: Mutex<HashMap<blake3::Hash, Place>>,
}

impl Compiled {
    /// The code of a content; loads it if it is not in use yet.
    pub(super) fn get<E>(&self, content: blake3::Hash, load: impl FnOnce() -> Result<Code, E>) -> Result<Arc<Code>, E> {
        let place = self.place(content);
        let mut known = hold(&place);
        if let Some(code) = known.upgrade() {
            return Ok(code);
        }
        let code = Arc::new(load()?);
        *known = Arc::downgrade(&code);
        Ok(code)
    }

    fn place(&self, content: blake3::Hash) -> Place {
        let mut places = hold(&self.places);
        // Occasional cleanup, so that months of reloads leave nothing behind.
        if places.len() == places.capacity() {
            // An entry held by another thread is being loaded.
            places.retain(|_, place| Arc::strong_count(place) > 1 || hold(place).strong_count() > 0);
        }
        Arc::clone(places.entry(content).or_default())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        hold(&self.places).values().filter(|place| hold(place).strong_count() > 0).count()
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
