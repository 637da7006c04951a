//! Attempts: the slots that they run in, the speculative ones of this turn, and the way of their commits.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::mpsc;

use crate::store::Commit;

use super::claim::Slots;
use super::speculation;

/// See the module.
pub(super) struct Runs {
    pub(super) slots: Slots,
    pub(super) speculative: speculation::Table,
    pub(super) commits: mpsc::UnboundedSender<Commit>,
    /// How many deliveries are in memory, for the committer.
    pub(super) in_memory: Arc<AtomicUsize>,
    /// How many have ended.
    pub(super) ended: u64,
    /// How many had to be repeated, because what they read had changed.
    pub(super) repeated: u64,
}

impl Runs {
    /// Hands a commit to the committer, which only ever ends by reporting a fatal error.
    pub(super) fn commit(&self, commit: Commit) {
        let _ = self.commits.send(commit);
    }
}
