//! What a host does now and then, beside the walk.

use tokio::task::JoinHandle;

use crate::clock::Moment;

/// See the module.
#[derive(Default)]
pub(super) struct Chores {
    /// What the store said last of other processes' writes.
    pub(super) foreign_seen: Option<u64>,
    /// When the gauges were set last.
    pub(super) shown: Option<Moment>,
    /// Housekeeping of the store that is under way.
    pub(super) tidying: Option<JoinHandle<()>>,
}
