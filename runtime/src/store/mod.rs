//! Seam: the durable state of a host. `sqlite` is the embedded default, `memory` the model it is compared with.
//!
//! A store has one owner (the host that runs reactors) and any number of clients (the command line). The owner's
//! write methods are called from one task; what one call writes is one transaction, and several calls may share one.
//! Writes answer when they are applied, and, where the method says *durable*, after an fsync.

pub mod memory;
pub mod sqlite;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{
    AttemptRecord, ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, Origin, ReactorId, Version,
};

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
    #[error("{path} is damaged: {detail}; nothing was changed; restore a back-up or move it away")]
    Damaged {
        /// The file.
        path: String,
        /// What was found, and where.
        detail: String,
    },
    /// No room. Nothing of the call was applied.
    #[error("the disk that holds the store is full; free some space, the host carries on by itself")]
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

    // --- run: the owner ----------------------------------------------------------------------------------------

    /// Notes, before a guest runs, that this attempt has begun. Survives the process, not a power cut. Never blocks on
    /// the disk. `slot` is one of `0..slots` given at open; a slot holds one attempt at a time.
    fn mark_started(&self, slot: usize, delivery: DeliveryId, attempt: u32) -> Result<()>;
    /// Takes the note back when the guest has ended, however it did.
    fn mark_ended(&self, slot: usize) -> Result<()>;
    /// A reactor's state value and its version.
    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>>;
    /// Applies what ended attempts did, each in order, all in one transaction. Durable. See [`Commit`].
    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<Vec<Committed>>>;
    /// The number the next commit may use; greater than any used before, across restarts.
    fn next_commit(&self) -> Result<u64>;

    // --- load: the owner, for deliveries that are not in memory ------------------------------------------------

    /// Makes deliveries that were in memory when the last owner stopped loadable again, and says what it left.
    fn recover(&self) -> Result<Recovered>;
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

    // --- dead letters and requests -----------------------------------------------------------------------------

    /// Dead letters, newest first, without their messages' bodies where `filter.brief` is set.
    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>>;
    /// One dead letter.
    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>>;
    /// Asks the owner (this process or another, now or at its next start) to do something. Durable.
    fn request(&self, request: Request) -> Result<()>;
    /// Requests that have not been carried out, in order.
    fn requests(&self) -> Result<Vec<(u64, Request)>>;
    /// Carries out a redrive: the dead letter becomes a delivery with no attempts, in progress in the ledger, and
    /// the request is removed. `None` if there is no such dead letter or it is on its way already. Durable.
    fn redrive(&self, request: u64, dead: u64) -> Result<Option<StoredDelivery>>;
    /// Carries out a drop: removes the dead letter and the request; answers which lane it had parked. Durable.
    fn drop_dead(&self, request: u64, dead: u64) -> Result<Option<(ReactorId, LaneKey)>>;

    // --- housekeeping ------------------------------------------------------------------------------------------

    /// A number that changes when another process has committed something.
    fn foreign_changes(&self) -> Result<u64>;
    /// The store's own clock as last persisted; see [`HostTime`].
    fn host_time(&self) -> Result<HostTime>;
    /// Persists the clock, expires whole ledger segments that are older than `ledger_window` and log records older
    /// than each channel's retention that nobody needs any more, and checkpoints. Called every few seconds.
    fn maintain(&self, upkeep: &Upkeep) -> Result<()>;
    /// Counts, for people and tests.
    fn stats(&self) -> Result<Stats>;
}

/// A record of a local channel's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// Its place.
    pub offset: Offset,
    /// When it was accepted, by the wall clock.
    pub accepted: Timestamp,
    /// What was published.
    pub message: Message,
}

/// What was read from a log, decoded and routed.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// Whose log.
    pub channel: ChannelId,
    /// The cursor's new value: one past the last record read.
    pub cursor: Offset,
    /// Now.
    pub now: HostTime,
    /// In the order of the log.
    pub deliveries: Vec<NewDelivery>,
    /// Records and events that end here: undecodable ones, and unrouted ones by policy.
    pub dead: Vec<DeadLetter>,
    /// Records to take out of the log (policy `unrouted = "drop"`).
    pub drop: Vec<Offset>,
    /// Events that nobody wanted, whatever the policy.
    pub unrouted: u64,
}

/// One event on its way to one reactor.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDelivery {
    /// For whom.
    pub reactor: ReactorId,
    /// Where the event can be read again.
    pub origin: Origin,
    /// Dedup key within the reactor.
    pub key: Identity,
    /// How far back a duplicate is recognised.
    pub window: Duration,
    /// Ordering key, if the reactor orders and the event has one.
    pub lane: Option<LaneKey>,
    /// Where the delivery goes.
    pub place: Place,
}

/// Where a delivery is, besides its row in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the owner's memory, to be run as soon as there is room.
    Memory,
    /// In the store only: the reactor's queue was full. See [`Store::spilled`].
    Spilled,
    /// In the store only: the lane's head waits. See [`Store::held`].
    Held,
    /// In the store only, until it is due. See [`Store::due`].
    Waiting,
}

/// What became of a [`NewDelivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Entered in the ledger as in progress.
    New(DeliveryId),
    /// The ledger has it already.
    Duplicate,
}

/// A delivery as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// For whom.
    pub reactor: ReactorId,
    /// Where the event can be read again.
    pub origin: Origin,
    /// Dedup key within the reactor.
    pub key: Identity,
    /// Ordering key.
    pub lane: Option<LaneKey>,
    /// Where it is.
    pub place: Place,
    /// When it may run; meaningful where `place` is waiting.
    pub due: HostTime,
    /// When it was admitted; retries end `max-age` after it.
    pub since: HostTime,
    /// Ended attempts, oldest first.
    pub history: Vec<AttemptRecord>,
    /// The dead letter that is being redriven, if it is one.
    pub redrive_of: Option<u64>,
}

/// What one ended attempt did.
///
/// Applied only if every condition holds: the owner is still the owner, the delivery is in progress with exactly
/// `attempt - 1` ended attempts (the fencing token), each key read still has the version seen, and the commit named
/// by `after` was applied. Otherwise nothing of it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its number, and the version of the state values it writes. Ascending in the order of calls.
    pub number: Version,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// For whom.
    pub reactor: ReactorId,
    /// Which attempt, from 1: the fencing token.
    pub attempt: u32,
    /// The earlier commit of the same lane that this run built on.
    pub after: Option<Version>,
    /// Keys read, with the versions seen.
    pub reads: Vec<(String, Version)>,
    /// Keys written; `None` deletes.
    pub writes: Vec<(String, Option<Bytes>)>,
    /// Messages to append to local logs.
    pub emits: Vec<(ChannelId, Message)>,
    /// What becomes of the delivery.
    pub ending: Ending,
    /// Now.
    pub now: HostTime,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The delivery is done.
    Done,
    /// It waits for its next attempt.
    Wait {
        /// When it may run.
        due: HostTime,
        /// The attempt that failed.
        record: AttemptRecord,
        /// Deliveries of the same lane that leave memory, because they must wait behind it.
        hold: Vec<DeliveryId>,
    },
    /// It ends without success.
    Dead {
        /// The dead letter; also forwarded, as an event, to each channel named.
        letter: DeadLetter,
        /// Local channels to which the dead letter is forwarded.
        forward: Vec<(ChannelId, Message)>,
        /// Deliveries of the same lane that leave memory, because the key is parked.
        hold: Vec<DeliveryId>,
    },
}

/// What became of a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Applied and durable. Emitted messages are in their logs.
    Applied,
    /// Somebody else's commit came between: run again.
    Conflict,
    /// The delivery is not in progress with that attempt: the result is void.
    Stale,
}

/// A delivery, or a message that never became one, that ended without success.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// For whom; `None` if the message could not be decoded or nobody wanted it.
    pub reactor: Option<ReactorId>,
    /// Where it came from.
    pub origin: Origin,
    /// The message as it was received.
    pub message: Message,
    /// The event's id, if it has one.
    pub event_id: Option<String>,
    /// The event's type, if it has one.
    pub event_type: Option<String>,
    /// The event's correlation id, if it has one.
    pub correlation_id: Option<String>,
    /// Reason code: `rejected`, `retries-exhausted`, `trap`, `invalid-event`, ...
    pub reason: String,
    /// In words.
    pub detail: String,
    /// Every attempt, oldest first.
    pub history: Vec<AttemptRecord>,
    /// The lane it parks, if the policy says so.
    pub parks: Option<LaneKey>,
    /// Dedup key within the reactor; meaningless without one.
    pub key: Identity,
    /// When it ended, by the wall clock.
    pub at: Timestamp,
}

/// A dead letter as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDead {
    /// Its number.
    pub id: u64,
    /// On its way to be run again.
    pub redriving: bool,
    /// The letter.
    pub letter: DeadLetter,
}

/// Which dead letters; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this reactor.
    pub reactor: Option<ReactorId>,
    /// With this reason code.
    pub reason: Option<String>,
    /// That ended at or after this time.
    pub since: Option<Timestamp>,
    /// At most so many; 0 = all.
    pub limit: usize,
}

/// Something a client asks the owner to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Run a dead letter again.
    Redrive(u64),
    /// Forget a dead letter.
    Drop(u64),
}

/// What the last owner left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Deliveries whose attempt had begun when the process died, with that attempt's number.
    pub interrupted: Vec<(StoredDelivery, u32)>,
    /// Lanes that have held deliveries, and whether their head waits or they are parked.
    pub lanes: Vec<(ReactorId, LaneKey, LaneState)>,
}

/// Why a lane's deliveries are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneState {
    /// Nothing holds them any more: load them.
    Free,
    /// The head waits for its next attempt.
    Waiting,
    /// The head is a dead letter and the policy is `park-key`.
    Parked,
}

/// What [`Store::maintain`] needs to know.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Now.
    pub now: HostTime,
    /// The longest dedup window of any reactor.
    pub ledger_window: Duration,
    /// Per channel, how long records are kept.
    pub retention: Vec<(ChannelId, Duration)>,
}

/// Counts since the store was made, and of what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Records appended, per channel name.
    pub published: Vec<(String, u64)>,
    /// Records not yet admitted, per channel name.
    pub backlog: Vec<(String, u64)>,
    /// Events nobody wanted.
    pub unrouted: u64,
    /// Messages that could not be decoded.
    pub invalid: u64,
    /// Per reactor.
    pub reactors: Vec<ReactorStats>,
}

/// Counts of one reactor. `delivered = done + dead + active` at every moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReactorStats {
    /// Its name.
    pub name: String,
    /// Deliveries admitted; duplicates not counted.
    pub delivered: u64,
    /// Ended with success.
    pub done: u64,
    /// Failed attempts that were followed by a back-off.
    pub retried: u64,
    /// Deliveries that the ledger knew already.
    pub duplicates: u64,
    /// Ended without success, and not redriven with success since.
    pub dead: u64,
    /// Events emitted.
    pub emitted: u64,
    /// Deliveries in memory, spilled, held or waiting.
    pub active: u64,
    /// Of these, waiting for their next attempt.
    pub waiting: u64,
}
