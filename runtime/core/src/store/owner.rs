//! What only the owner of a store may do.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{
    Batch, Commit, Committed, DeadLetter, Entered, Mark, OutboxRecord, Recovered, Result, StoreClient, StoredDelivery,
    Upkeep,
};
use crate::event::{ChannelId, DeliveryId, HostTime, LaneKey, Message, ReactorId, Version};

/// Work on a store that may block.
pub type Work = Box<dyn FnOnce(&dyn StoreOwner) + Send>;

/// A store as seen by its owner: the one process that runs reactors on it. Opening a store as its owner returns one. If
/// another process opens it later, that fences this one: its writes then fail with
/// [`StoreError::Fenced`](super::StoreError::Fenced).
///
/// Methods that change the store are async; a write is queued at the call, in the order of calls over all threads, and
/// is executed even if the future is dropped. Each call's writes form one transaction, which several calls may share. A
/// call completes once applied or, where the method says *durable*, after an fsync. Other writes survive the process; a
/// power cut may undo them, but never one without all later ones. Methods that read block, as in [`StoreClient`].
pub trait StoreOwner: StoreClient {
    // --- intake ------------------------------------------------------------------------------------------------

    /// Enters messages taken in from a channel and moves its cursor. A delivery whose (reactor, key) is in the ledger
    /// within its window is a duplicate; all others are entered as in progress, those of received messages together
    /// with the record of their message. Not durable, since after a power cut log records are read again and messages
    /// are redelivered; *durable* if a received message ends here other than as a duplicate. One batch per channel at a
    /// time.
    fn enter(&self, batch: Batch) -> BoxFuture<'_, Result<Entered>>;

    // --- runs --------------------------------------------------------------------------------------------------

    /// Notes which attempts begin, before their guests run, and which slots are free again. Survives the process, but
    /// not a power cut. Waits for neither a transaction nor an fsync: called for every attempt, on the threads of the
    /// guests and of the host. Slots are `0..slots` as given at open; each holds one attempt at a time.
    fn mark(&self, marks: &[Mark]) -> Result<()>;
    /// The number of the next commit: greater than all numbers handed out since the store was opened or used before.
    /// Never waits.
    fn next_commit(&self) -> Version;
    /// Applies the results of ended attempts in order, in one transaction. *Durable*. Called by one task, with numbers
    /// that ascend across calls. See [`Commit`].
    fn commit(&self, commits: Arc<[Commit]>) -> BoxFuture<'_, Result<Vec<Committed>>>;

    // --- deliveries that are not in memory ---------------------------------------------------------------------

    /// Makes deliveries that were in memory when the last owner stopped loadable again: as spilled or, if something
    /// blocks their lane or the lane has held deliveries, as held, so that each lane is in one place and in order.
    /// Returns what that owner left. Deliveries received under a lease from a channel in `leased` become away; those
    /// from other channels no longer need a lease. *Durable*. Called once by each host, before anything is entered.
    fn recover(&self, leased: &[ChannelId]) -> BoxFuture<'_, Result<Recovered>>;
    /// Turns in-memory deliveries into held ones when the head of their lane begins to wait; skips those that have
    /// ended.
    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;
    /// Notes that this host no longer has a lease on the messages of these deliveries; skips those that have ended.
    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;
    /// When the first waiting delivery of a reactor after `after` is due. Reads and blocks.
    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>>;

    // --- outbox: one task per destination channel --------------------------------------------------------------

    /// Messages to be sent to a channel, with a number above `after`, in order, until either limit is reached (at least
    /// one, if there is one). Reads and blocks.
    fn outbox(&self, channel: ChannelId, after: u64, max_records: usize, max_bytes: usize)
    -> Result<Vec<OutboxRecord>>;
    /// Adds messages to the outbox. *Durable*. Called when a person resends undeliverable messages; messages that runs
    /// emit arrive with their commits.
    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>>;
    /// Removes sent messages; after a power cut they may be sent again.
    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>>;
    /// Turns messages that cannot be sent into dead letters. *Durable*.
    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>>;

    // --- requests: see StoreClient::request --------------------------------------------------------------------

    /// Executes a redrive: the dead letter becomes a delivery with no attempts, in progress in the ledger, and the
    /// request is removed. `None` if there is no such dead letter or it is already being redriven. *Durable*.
    fn redrive(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<StoredDelivery>>>;
    /// Executes a drop: removes the dead letter and the request, and returns the lane that it had parked. Events with
    /// its key count as new from then on. *Durable*.
    fn drop_dead(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<(ReactorId, LaneKey)>>>;

    // --- housekeeping ------------------------------------------------------------------------------------------

    /// Persists the clock, expires whole ledger segments older than `ledger_window`, unneeded log records older than
    /// their channel's retention, and ended attempts older than `history`, and checkpoints. Blocks for all of that,
    /// perhaps many transactions: called every few seconds, on its own thread.
    fn maintain(&self, upkeep: &Upkeep) -> Result<()>;

    // --- work that blocks --------------------------------------------------------------------------------------

    /// Does work where it may block: on a thread of its own for a store on a disk, at once for one in memory. The future
    /// ends with the work, which is done even if the future is dropped.
    fn apart(self: Arc<Self>, work: Work) -> BoxFuture<'static, ()>;
}
