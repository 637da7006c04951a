//! What any process may do with a store.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    Asked, AttemptsOf, Blocked, DeadFilter, Fate, KeptAttempt, LogRecord, Request, Result, Stats, StoredDead,
    StoredDelivery, Traces,
};
use crate::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};

/// A store as seen by any process: it publishes, makes requests to the owner, and reads.
///
/// Methods that change the store are async; a write is queued at the call, is executed even if the future is dropped,
/// and completes after an fsync. Methods that read block, usually for milliseconds, longer while another process locks
/// the file; a task that must not block reads on a thread that may. Reads see every completed write.
pub trait StoreClient: Send + Sync + 'static {
    // --- names -------------------------------------------------------------------------------------------------

    /// The number of a reactor's name, assigned at first use. Blocks; *durable*. Called by a host at its start, and by
    /// commands.
    fn reactor_id(&self, name: &str) -> Result<ReactorId>;
    /// The number of a channel's name, assigned at first use. Blocks; *durable*. Called by a host at its start, and by
    /// commands.
    fn channel_id(&self, name: &str) -> Result<ChannelId>;
    /// Every reactor name ever used, with its number.
    fn reactor_names(&self) -> Result<Vec<(ReactorId, String)>>;
    /// Every channel name ever used, with its number.
    fn channel_names(&self) -> Result<Vec<(ChannelId, String)>>;

    // --- logs --------------------------------------------------------------------------------------------------

    /// Appends to a channel's log and wakes the owner. *Durable*: a result means accepted. Returns the first offset;
    /// they are consecutive. Called by `publish`, and by a host for messages that it copies from a queue.
    fn append(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<Offset>>;
    /// Records from `from` on, in order, until either limit is reached (at least one, if there is one).
    fn read_log(
        &self,
        channel: ChannelId,
        from: Offset,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogRecord>>;
    /// The first offset that has not been admitted yet (1 in a new channel).
    fn cursor(&self, channel: ChannelId) -> Result<Offset>;

    // --- state -------------------------------------------------------------------------------------------------

    /// A reactor's state value and its version. Called by runs, on the guests' threads, and by `invoke`.
    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>>;

    // --- deliveries --------------------------------------------------------------------------------------------

    /// Spilled deliveries of a reactor with an id above `after`, ascending.
    fn spilled(&self, reactor: ReactorId, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>>;
    /// Waiting deliveries of a reactor that are due at `now`, ordered by (due, id), above `after` in that order.
    fn due(
        &self,
        reactor: ReactorId,
        after: (HostTime, DeliveryId),
        now: HostTime,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>>;
    /// Held deliveries of a lane with an id above `after`, ascending.
    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>>;
    /// How many deliveries of each reactor are blocked by others, for reactors that have any. Takes time in proportion
    /// to their number.
    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>>;

    // --- ledger ------------------------------------------------------------------------------------------------

    /// The fate of each of these deliveries, as far as the store knows. If a delivery was not entered because another
    /// event had its key, that one's fate. All origins are at or after the record at `from`.
    fn fates(&self, from: (ChannelId, Offset), asked: &[Asked]) -> Result<Vec<Option<Fate>>>;
    /// What happened to the records of a channel from `first` to `last`, as noted at the time. Reads the ledger from
    /// when the first of them was accepted until a later record of the channel was admitted.
    fn traces(&self, channel: ChannelId, first: Offset, last: Offset) -> Result<Traces>;
    /// Ended attempts that are still kept, oldest first. Reads everything kept, or only what ended after the first of
    /// the records was accepted.
    fn attempts(&self, of: &AttemptsOf) -> Result<Vec<KeptAttempt>>;
    /// When each of these keys was last admitted, searching only the newest `most` deliveries.
    fn known(&self, asked: &[(ReactorId, Identity)], most: usize) -> Result<Vec<Option<HostTime>>>;

    // --- outbox ------------------------------------------------------------------------------------------------

    /// How many messages, and bytes of bodies, wait to be sent to a channel.
    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)>;

    // --- dead letters and requests -----------------------------------------------------------------------------

    /// Dead letters, newest first, without their messages' bodies if `filter.brief` is set. There may be many, and each
    /// may be large: see [`DeadFilter::below`].
    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>>;
    /// One dead letter.
    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>>;
    /// Asks the owner (this process or another, now or at its next start) to do something, and wakes it. *Durable*.
    /// Called by commands.
    fn request(&self, request: Request) -> BoxFuture<'_, Result<()>>;
    /// Pending requests with a number above `after`, in order.
    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>>;

    // --- the store itself --------------------------------------------------------------------------------------

    /// The store's own clock as last persisted; see [`HostTime`].
    fn host_time(&self) -> Result<HostTime>;
    /// Counts, for display and tests.
    fn stats(&self) -> Result<Stats>;
    /// A number that changes when another process has committed something. Cheap, and called often. An error if the
    /// store was removed or replaced, or cannot continue for another reason.
    fn foreign_changes(&self) -> Result<u64>;
    /// Waits until this or another process appends or requests something. It may complete without that, and it may miss
    /// one if a process dies between its commit and its wake-up call: [`StoreClient::foreign_changes`] misses none.
    fn rung(&self) -> BoxFuture<'_, ()>;
    /// Called when no time is left: every call that waits for another process fails now with
    /// [`StoreError::Busy`](super::StoreError::Busy).
    fn give_up(&self) {}
}
