//! What only the owner of a store may do to it.

use futures_util::future::BoxFuture;

use super::{
    Batch, Commit, Committed, DeadLetter, Entered, Mark, OutboxRecord, Recovered, Result, StoreClient, StoredDelivery,
    Upkeep,
};
use crate::event::{ChannelId, DeliveryId, HostTime, LaneKey, Message, ReactorId, Version};

/// A store as its owner has it: the one process that runs reactors on it. Opening a store as its owner returns one; another
/// process that does so later fences this one off, and what it writes from then on answers
/// [`StoreError::Fenced`](super::StoreError::Fenced).
///
/// What changes the store is async; it is queued when it is called, in the order of the calls of all its threads, and is
/// written even if the future is dropped. What one call writes is one transaction, and several calls may share one. It
/// answers when it is applied, and, where the method says *durable*, after an fsync; the rest survives the process, and of
/// what a power cut may undo, nothing stays that came later. What reads blocks, as in [`StoreClient`].
pub trait StoreOwner: StoreClient {
    // --- intake ------------------------------------------------------------------------------------------------

    /// Enters what was taken in from a channel, and moves its cursor. Each delivery whose (reactor, key) is in the ledger
    /// within its window is a duplicate, the others are entered as in progress; those of received messages with the record
    /// of their message. Not durable, since after a power cut records of a log are read again and messages come again;
    /// *durable* where a received message ends here otherwise than as a duplicate. One batch of a channel at a time.
    fn enter(&self, batch: Batch) -> BoxFuture<'_, Result<Entered>>;

    // --- runs --------------------------------------------------------------------------------------------------

    /// Notes which attempts begin, before their guests run, and which slots are free again. Survives the process, not a
    /// power cut. Neither waits for a transaction nor for an fsync: called for every attempt, on the threads of the guests
    /// and of the host. Slots are `0..slots` as given at open; one holds one attempt at a time.
    fn mark(&self, marks: &[Mark]) -> Result<()>;
    /// The number of the next commit: greater than any that was handed out since the store was opened, and than any that
    /// was used before. Never waits.
    fn next_commit(&self) -> Version;
    /// Applies what ended attempts did, each in order, all in one transaction. *Durable*. Called by one task, with numbers
    /// that ascend from call to call. See [`Commit`].
    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<Vec<Committed>>>;

    // --- deliveries that are not in memory ---------------------------------------------------------------------

    /// Makes deliveries that were in memory when the last owner stopped loadable again: as spilled ones or, in a lane that
    /// something blocks or that has held deliveries, as held ones, so that each lane is in one place and in its order. Says
    /// what that owner left. Deliveries that were received under a lease, from one of the channels in `leased`, are away from
    /// then on; from another, they need none any more. *Durable*. Called once by each host, before anything is entered.
    fn recover(&self, leased: &[ChannelId]) -> BoxFuture<'_, Result<Recovered>>;
    /// Turns in-memory deliveries into held ones, when their lane's head begins to wait; passes over what has ended.
    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;
    /// Notes that the messages of these deliveries are not leased to this host any more; passes over what has ended.
    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;
    /// When the first waiting delivery of a reactor above `after` is due. Reads, and blocks.
    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>>;

    // --- outbox: a task for each channel that is sent to -------------------------------------------------------

    /// Messages to be sent to a channel, with a number above `after`, in order, until either limit is reached (at
    /// least one, if there is one). Reads, and blocks.
    fn outbox(&self, channel: ChannelId, after: u64, max_records: usize, max_bytes: usize)
    -> Result<Vec<OutboxRecord>>;
    /// Puts messages into the outbox. *Durable*. Called where a person sends again what could not be sent; what runs emit
    /// comes with their commits.
    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>>;
    /// Takes sent messages out; after a power cut they may be sent again.
    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>>;
    /// Turns messages that cannot be sent into dead letters. *Durable*.
    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>>;

    // --- requests: see StoreClient::request --------------------------------------------------------------------

    /// Carries out a redrive: the dead letter becomes a delivery with no attempts, in progress in the ledger, and
    /// the request is removed. `None` if there is no such dead letter or it is on its way already. *Durable*.
    fn redrive(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<StoredDelivery>>>;
    /// Carries out a drop: removes the dead letter and the request; answers which lane it had parked. What comes with its
    /// key from then on is new. *Durable*.
    fn drop_dead(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<(ReactorId, LaneKey)>>>;

    // --- housekeeping ------------------------------------------------------------------------------------------

    /// Persists the clock, expires whole ledger segments that are older than `ledger_window`, log records older than each
    /// channel's retention that nobody needs any more, and ended attempts older than `history`, and checkpoints. Blocks for as long as that takes, many
    /// transactions perhaps: called every few seconds, on a thread of its own.
    fn maintain(&self, upkeep: &Upkeep) -> Result<()>;
}
