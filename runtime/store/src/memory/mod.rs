//! The model store: plain maps behind one lock, to compare other stores with and to run tests on.

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

mod client;
mod fates;
mod history;
mod inner;
mod owner;
mod past;
mod rows;
mod upkeep;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use reactor_core::event::HostTime;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::rejected::Rejected;
use reactor_core::store::{Result, StoreError};

use self::inner::Inner;

/// A store that lives as long as its last handle. Each handle is its owner.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    epoch: u64,
    slots: usize,
    rejected: Mutex<Rejected>,
    next_commit: AtomicU64,
    bell: Arc<Notify>,
}

impl MemoryStore {
    /// An empty store for up to `slots` attempts at once.
    pub fn new(slots: usize) -> Self {
        Self::at(slots, HostTime(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)))
    }

    /// An empty store whose own clock begins at this time.
    pub fn at(slots: usize, host: HostTime) -> Self {
        let inner = Inner { epoch: 1, host, ..Inner::default() };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            epoch: 1,
            slots,
            rejected: Mutex::default(),
            next_commit: AtomicU64::new(1),
            bell: Arc::default(),
        }
    }

    /// The same store as the next owner finds it; this handle is fenced off.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.epoch += 1;
        let (epoch, next_commit) = (inner.epoch, AtomicU64::new(inner.last_commit + 1));
        drop(inner);
        Self {
            inner: self.inner.clone(),
            epoch,
            slots: self.slots,
            rejected: Mutex::default(),
            next_commit,
            bell: self.bell.clone(),
        }
    }

    /// A copy that is a store of its own, as it would be opened from a copy of its files by the same owner.
    #[must_use]
    pub fn copy(&self) -> Self {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next_commit = AtomicU64::new(inner.last_commit + 1);
        Self {
            inner: Arc::new(Mutex::new(inner)),
            epoch: self.epoch,
            slots: self.slots,
            rejected: Mutex::default(),
            next_commit,
            bell: Arc::clone(&self.bell),
        }
    }

    fn read(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Result<MutexGuard<'_, Inner>> {
        let inner = self.read();
        if inner.epoch == self.epoch || is_planted(Bug::NoFencing) { Ok(inner) } else { Err(StoreError::Fenced) }
    }
}
