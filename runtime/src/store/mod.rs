//! Seam: the durable state of a host. `sqlite` is the embedded default, `memory` the model it is compared with.
//!
//! A store has one owner (the host that runs reactors) and any number of clients (the command line). The owner's
//! write methods are called from one task; what one call writes is one transaction, and several calls may share one.
//! Writes answer when they are applied, and, where the method says *durable*, after an fsync.

mod dead_letter;
mod history;
mod rejected;
mod types;

pub mod memory;
pub mod sqlite;

#[doc(hidden)]
pub mod conformance;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use dead_letter::*;
pub use history::*;
pub use types::*;

use crate::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What a store can answer instead of doing what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process runs this store.
    #[error("{path} is in use by another `reactor up` (process {pid}); stop it, or set another runtime.data-dir")]
    Locked {
        /// The data directory.
        path: String,
        /// The process that holds it, or `?`.
        pid: String,
    },
    /// The directory holds something else.
    #[error("{path} is not a Reactor data directory: {reason}; move it away, or set another runtime.data-dir")]
    Foreign {
        /// The file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// Written by a newer version.
    #[error("{path} was written by a newer Reactor (store version {found}, this one knows {known}); upgrade Reactor")]
    Newer {
        /// The file.
        path: String,
        /// Version in the file.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged: {detail}; nothing was changed; `reactor store verify` shows all of it: restore a back-up, or go on \
         without what is lost with `reactor store accept-loss`"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What was found, and where.
        detail: String,
    },
    /// Something in the data directory that is not followed, opened or changed.
    #[error("{path} is refused: {reason}")]
    Refused {
        /// The file or directory.
        path: String,
        /// What was found, and what to do.
        reason: String,
    },
    /// There is no store to look at.
    #[error("there is no store in {path} yet; `reactor up` or `reactor publish` makes it")]
    Missing {
        /// The data directory.
        path: String,
    },
    /// Another process has kept a lock for too long. Nothing of the call was applied.
    #[error("{path} is kept busy by {who}; nothing was written; let that process end, then try again")]
    Busy {
        /// The file.
        path: String,
        /// The process, if it is known.
        who: String,
    },
    /// The files that are open are not the store any more; the process must stop.
    #[error(
        "the store in {path} was removed, moved or replaced while it was in use: {detail}; what was written since is in \
         the files that were there before, if they still exist; this process must stop (docs/store.md says how to go \
         back to a copy)"
    )]
    Gone {
        /// The data directory.
        path: String,
        /// What was found.
        detail: String,
    },
    /// No room. Nothing of the call was applied.
    #[error(
        "the disk that holds the store is full: nothing of this was written; free some space, then try again (a host \
         that runs goes on by itself)"
    )]
    Full,
    /// This owner has been replaced; it must stop at once.
    #[error("another host took over this store; this one must stop")]
    Fenced,
    /// A write or fsync failed; what reached the disk is unknown and the process must stop.
    #[error("the store could not write or sync its file ({detail}); the host must stop")]
    Broken {
        /// What the operating system said.
        detail: String,
    },
    /// Anything else.
    #[error("store: {0}")]
    Other(String),
}

/// A durable store. Reads see everything whose write has answered.
pub trait Store: Send + Sync + 'static {
    // --- names -------------------------------------------------------------------------------------------------

    /// The number of a reactor's name, given out at first use. Durable.
    fn reactor_id(&self, name: &str) -> Result<ReactorId>;
    /// The number of a channel's name, given out at first use. Durable.
    fn channel_id(&self, name: &str) -> Result<ChannelId>;
    /// Every reactor name ever used, with its number.
    fn reactor_names(&self) -> Result<Vec<(ReactorId, String)>>;
    /// Every channel name ever used, with its number.
    fn channel_names(&self) -> Result<Vec<(ChannelId, String)>>;

    // --- accept: any process -----------------------------------------------------------------------------------

    /// Appends to a channel's log. Durable: an answer means accepted. Returns the first offset; they are consecutive.
    fn append(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<Offset>>;

    // --- intake: the owner -------------------------------------------------------------------------------------

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
    /// Advances a channel's cursor and admits the deliveries of what was read, in one transaction: each delivery whose
    /// (reactor, key) is in the ledger within its window is a duplicate, the others are entered as in progress.
    /// Survives the process, not a power cut, after which the same records are read again.
    fn admit(&self, admission: Admission) -> BoxFuture<'_, Result<Vec<Admitted>>>;

    /// Admits the deliveries of received messages, like [`Store::admit`], in one transaction with the records of those
    /// that are new. Survives the process; *durable* where a message ends here otherwise than as a duplicate.
    fn receive(&self, reception: Reception) -> BoxFuture<'_, Result<Entered>>;

    // --- run: the owner ----------------------------------------------------------------------------------------

    /// Notes which attempts begin, before their guests run, and which slots are free again. Survives the process, not a
    /// power cut. Never blocks on the disk. Slots are `0..slots` as given at open; one holds one attempt at a time.
    fn mark(&self, marks: &[Mark]) -> Result<()>;
    /// A reactor's state value and its version.
    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>>;
    /// Applies what ended attempts did, each in order, all in one transaction. Durable. See [`Commit`].
    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<Vec<Committed>>>;
    /// The number the next commit may use; greater than any used before, across restarts.
    fn next_commit(&self) -> Result<u64>;

    // --- load: the owner, for deliveries that are not in memory ------------------------------------------------

    /// Makes deliveries that were in memory when the last owner stopped loadable again: as spilled ones or, in a lane that
    /// something blocks or that has held deliveries, as held ones, so that each lane is in one place and in its order. Says
    /// what that owner left. Deliveries that were received under a lease, from one of the channels in `leased`, are away from
    /// then on; from another, they need none any more.
    fn recover(&self, leased: &[ChannelId]) -> Result<Recovered>;
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
    /// When the first waiting delivery of a reactor above `after` is due.
    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>>;
    /// Held deliveries of a lane with an id above `after`, ascending.
    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>>;
    /// Turns in-memory deliveries into held ones, when their lane's head begins to wait. Survives the process.
    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;

    /// Notes that the messages of these deliveries are not leased to this host any more. Survives the process.
    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;

    // --- outbox: the owner -------------------------------------------------------------------------------------

    /// Messages to be sent to a channel, with a number above `after`, in order, until either limit is reached (at
    /// least one, if there is one).
    fn outbox(&self, channel: ChannelId, after: u64, max_records: usize, max_bytes: usize)
    -> Result<Vec<OutboxRecord>>;
    /// How many messages, and bytes of bodies, are to be sent to a channel.
    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)>;
    /// Puts messages into the outbox. Durable.
    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>>;
    /// Takes sent messages out. Survives the process; after a power cut they may be sent again.
    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>>;
    /// Turns messages that cannot be sent into dead letters. Durable.
    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>>;

    // --- dead letters and requests -----------------------------------------------------------------------------

    /// Dead letters, newest first, without their messages' bodies where `filter.brief` is set. There may be many, and each
    /// may be large: see [`DeadFilter::below`].
    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>>;
    /// One dead letter.
    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>>;
    /// What became of each of these deliveries, as far as the store knows; of one that was not entered, because another
    /// event with its key had been, what became of that. No origin is before the record at `from`.
    fn fates(&self, from: (ChannelId, Offset), asked: &[Asked]) -> Result<Vec<Option<Fate>>>;
    /// What became of the records of a channel from `first` to `last`, by what was noted when it happened. Reads the ledger
    /// from the time at which the first of them was accepted until a later record of the channel was admitted.
    fn traces(&self, channel: ChannelId, first: Offset, last: Offset) -> Result<Traces>;
    /// Ended attempts that are still kept, oldest first. Reads all that is kept, or what ended after the record was accepted.
    fn attempts(&self, of: &AttemptsOf) -> Result<Vec<KeptAttempt>>;
    /// When each of these keys was last admitted, if that is among the newest deliveries, of which `most` are looked at.
    fn known(&self, asked: &[(ReactorId, Identity)], most: usize) -> Result<Vec<Option<HostTime>>>;
    /// What of each reactor's deliveries waits for others, where there is any. Takes time in proportion to it.
    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>>;
    /// Asks the owner (this process or another, now or at its next start) to do something. Durable.
    fn request(&self, request: Request) -> Result<()>;
    /// Requests that have not been carried out, with a number above `after`, in order.
    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>>;
    /// Carries out a redrive: the dead letter becomes a delivery with no attempts, in progress in the ledger, and
    /// the request is removed. `None` if there is no such dead letter or it is on its way already. Durable.
    fn redrive(&self, request: u64, dead: u64) -> Result<Option<StoredDelivery>>;
    /// Carries out a drop: removes the dead letter and the request; answers which lane it had parked. What comes with its
    /// key from then on is new. Durable.
    fn drop_dead(&self, request: u64, dead: u64) -> Result<Option<(ReactorId, LaneKey)>>;

    // --- housekeeping ------------------------------------------------------------------------------------------

    /// A number that changes when another process has committed something. Called often; an error if the store has been
    /// removed or replaced, or cannot go on for another reason.
    fn foreign_changes(&self) -> Result<u64>;
    /// Waits until something was appended or requested, by this process or another. It may be over without that, and, if
    /// a process dies between its commit and its call, miss one: [`Store::foreign_changes`] misses none.
    fn rung(&self) -> BoxFuture<'_, ()>;
    /// The store's own clock as last persisted; see [`HostTime`].
    fn host_time(&self) -> Result<HostTime>;
    /// Persists the clock, expires whole ledger segments that are older than `ledger_window`, log records older than each
    /// channel's retention that nobody needs any more, and ended attempts older than `history`, and checkpoints. Called
    /// every few seconds.
    fn maintain(&self, upkeep: &Upkeep) -> Result<()>;
    /// Called when there is no time left: whatever waits for another process answers now, with [`StoreError::Busy`].
    fn give_up(&self) {}
    /// Counts, for people and tests.
    fn stats(&self) -> Result<Stats>;
}
