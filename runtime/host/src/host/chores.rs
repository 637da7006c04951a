//! What a host does now and then, beside the walk.

use tokio::task::JoinHandle;

use reactor_core::clock::Moment;

/// See the module.
#[derive(Default)]
pub(crate) struct Chores {
    /// What the store said last of other processes' writes.
    pub(crate) foreign_seen: Option<u64>,
    /// It is being asked.
    pub(crate) looking: bool,
    /// When the gauges were set last.
    pub(crate) shown: Option<Moment>,
    /// Housekeeping of the store that is under way.
    pub(crate) tidying: Option<JoinHandle<()>>,
}
