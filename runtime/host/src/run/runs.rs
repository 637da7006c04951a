//! Attempts: the slots that they run in, the speculative ones of this turn, and the way of their commits.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::mpsc;

use reactor_core::store::Commit;

use super::claim::Slots;
use super::speculation;

/// See the module.
pub(crate) struct Runs {
    pub(crate) slots: Slots,
    pub(crate) speculative: speculation::Table,
    pub(crate) commits: mpsc::UnboundedSender<Commit>,
    /// How many deliveries are in memory, for the committer.
    pub(crate) in_memory: Arc<AtomicUsize>,
    /// How many have ended.
    pub(crate) ended: u64,
    /// How many were repeated because what they had read changed.
    pub(crate) repeated: u64,
}

impl Runs {
    /// Hands a commit to the committer, which only ever ends by reporting a fatal error.
    pub(crate) fn commit(&self, commit: Commit) {
        let _ = self.commits.send(commit);
    }
}
