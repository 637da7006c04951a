//! What goes into a store and comes out of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AttemptNote;
use super::dead_letter::DeadLetter;
use crate::effect;
use crate::event::{
    AttemptRecord, ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, Origin, ReactorId, Version,
};

/// A record of a local channel's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// Its offset.
    pub offset: Offset,
    /// When it was accepted, by the wall clock.
    pub accepted: Timestamp,
    /// What was published.
    pub message: Message,
}

/// Messages taken in from a channel, decoded and routed. Reading the log and receiving under leases differ in two ways:
/// what moves the cursor, and whether messages must be recorded and settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The source channel.
    pub channel: ChannelId,
    /// Now.
    pub now: HostTime,
    /// For a log: the new cursor, one past the last record read. `None` for received messages: the cursor then moves
    /// past the records made of them, unless unread ones come before these.
    pub cursor: Option<Offset>,
    /// The messages received under leases, in order of arrival.
    pub messages: Vec<Incoming>,
    /// The deliveries of `messages`, message by message, then those of the log records, in log order.
    pub deliveries: Vec<NewDelivery>,
    /// What ends here, in the same order: undecodable messages and, depending on policy, unrouted events.
    pub dead: Vec<DeadLetter>,
    /// Copies of these dead letters for other channels.
    pub forward: Vec<(Target, Message)>,
    /// Records to remove from the log: no reactor wanted them (policy `unrouted = "drop"`), or their messages are
    /// settled.
    pub drop: Vec<Offset>,
    /// Events that no reactor wanted, under any policy.
    pub unrouted: u64,
}

impl Batch {
    /// An empty batch.
    pub fn new(channel: ChannelId, now: HostTime) -> Self {
        Self {
            channel,
            now,
            cursor: None,
            messages: Vec::new(),
            deliveries: Vec::new(),
            dead: Vec::new(),
            forward: Vec::new(),
            drop: Vec::new(),
            unrouted: 0,
        }
    }
}

/// A message received under a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The message. It is kept in the channel's log if it has a new delivery or dead letter, or if `keep` is set.
    pub message: Message,
    /// How many of the batch's deliveries belong to it; the store fills in the position of their record.
    pub deliveries: usize,
    /// How many of the batch's dead letters belong to it.
    pub dead: usize,
    /// Keep it although no reactor wanted it.
    pub keep: bool,
}

/// The result of entering a [`Batch`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// The first offset of the channel's log that is not admitted yet.
    pub cursor: Offset,
    /// The record of each received message, in order, if it was kept.
    pub records: Vec<Option<Offset>>,
    /// One per delivery, in order.
    pub answers: Vec<Admitted>,
}

/// A message waiting to be sent to a remote channel.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRecord {
    /// Its number; ascends in the order of commits.
    pub id: u64,
    /// The message to send.
    pub message: Message,
}

/// The destination of a message, once its commit is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// To the end of a local channel's log.
    Log(ChannelId),
    /// Into the outbox, to be sent to a remote channel.
    Outbox(ChannelId),
}

/// What a commit applies: writes of state, and encoded messages.
pub type Effect = effect::Effect<Target, Message>;

/// One event on its way to one reactor.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDelivery {
    /// The reactor.
    pub reactor: ReactorId,
    /// Where the event can be read again.
    pub origin: Origin,
    /// Dedup key within the reactor.
    pub key: Identity,
    /// How long a duplicate is recognised.
    pub window: Duration,
    /// Ordering key, if the reactor orders its events and this event has a key.
    pub lane: Option<LaneKey>,
    /// Where the delivery goes.
    pub place: Place,
    /// Run the dead letter again if the ledger has this delivery as dead: a person sent the message back on purpose.
    pub redrive: bool,
}

/// Where a delivery is, in addition to its row in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the owner's memory, to run as soon as there is room.
    Memory,
    /// In the store only: the reactor's queue was full. See [`StoreClient::spilled`](super::StoreClient::spilled).
    Spilled,
    /// In the store only: the head of its lane waits. See [`StoreClient::held`](super::StoreClient::held).
    Held,
    /// In the store only, until it is due. See [`StoreClient::due`](super::StoreClient::due).
    Waiting,
    /// In the store only, away: it continues when the remote queue delivers its message again.
    Away,
}

/// The result of entering a [`NewDelivery`].
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// Entered in the ledger as in progress.
    New(DeliveryId),
    /// Already in the ledger. For a received message: it has ended.
    Duplicate,
    /// In the ledger as in progress on this host. Only for a received message.
    Active(DeliveryId),
    /// It was away, or dead and sent back, and continues in memory. Only for a received message.
    Resumed(Box<StoredDelivery>),
}

/// A delivery as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// The reactor.
    pub reactor: ReactorId,
    /// Where the event can be read again.
    pub origin: Origin,
    /// Dedup key within the reactor.
    pub key: Identity,
    /// Ordering key.
    pub lane: Option<LaneKey>,
    /// Where it is.
    pub place: Place,
    /// When it may run; meaningful only if `place` is waiting.
    pub due: HostTime,
    /// When it was admitted; retries end `max-age` after it.
    pub since: HostTime,
    /// Ended attempts, oldest first.
    pub history: Vec<AttemptRecord>,
    /// The dead letter that is being redriven, if any.
    pub redrive_of: Option<u64>,
    /// It was received under a lease and may run only under one.
    pub leased: bool,
}

/// What one ended attempt did.
///
/// Applied only if every condition holds: the owner is still the owner, the delivery is in progress with exactly
/// `attempt - 1` ended attempts (the fencing token), each key read still has the version seen, and the commit named by
/// `after` was applied. Otherwise none of it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its number, from [`StoreOwner::next_commit`](super::StoreOwner::next_commit), which becomes the version of the
    /// state values it writes. Ascending in call order.
    pub number: Version,
    /// The delivery.
    pub delivery: DeliveryId,
    /// The reactor.
    pub reactor: ReactorId,
    /// The attempt, counted from 1: the fencing token.
    pub attempt: u32,
    /// The earlier commit of the same lane that this run built on.
    pub after: Option<Version>,
    /// Keys read, with the versions seen.
    pub reads: Vec<(String, Version)>,
    /// Effects to apply with it: those of a successful run, or the copy of a dead letter for another channel. Messages
    /// are sent in this order; no key is written twice.
    pub effects: Vec<Effect>,
    /// What becomes of the delivery.
    pub ending: Ending,
    /// The attempt to keep, if attempts are kept and there was one.
    pub note: Option<AttemptNote>,
    /// Now.
    pub now: HostTime,
}

impl Commit {
    /// How many events the run emitted. The copy of a dead letter does not count.
    pub fn emitted(&self) -> usize {
        match self.ending {
            Ending::Done => self.effects.iter().filter_map(Effect::put).count(),
            Ending::Wait { .. } | Ending::Dead { .. } => 0,
        }
    }

    /// The approximate number of bytes it writes.
    pub fn weight(&self) -> usize {
        let weight = |effect: &Effect| match effect {
            Effect::Set { key, value } => key.len() + value.len(),
            Effect::Delete { key } => key.len(),
            Effect::Put { message, .. } => message.size() + 64,
        };
        let ending = match &self.ending {
            Ending::Done => 0,
            Ending::Wait { hold, .. } => 256 + hold.len() * 16,
            Ending::Dead { letter, hold } => letter.message.size() + 512 + hold.len() * 16,
        };
        let note = if self.note.is_some() { 128 } else { 0 };
        256 + self.effects.iter().map(weight).sum::<usize>() + ending + note
    }
}

/// What happens to a delivery after an attempt.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one lives only as long as its commit")]
pub enum Ending {
    /// The delivery is done.
    Done,
    /// It waits for its next attempt.
    Wait {
        /// When it may run.
        due: HostTime,
        /// The attempt that failed.
        record: AttemptRecord,
        /// Deliveries of the same lane that leave memory because they must wait behind it.
        hold: Vec<DeliveryId>,
    },
    /// It ends without success.
    Dead {
        /// The dead letter.
        letter: DeadLetter,
        /// Deliveries of the same lane that leave memory because the key is parked.
        hold: Vec<DeliveryId>,
    },
}

/// The result of a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Applied and durable. Emitted messages are in their logs.
    Applied,
    /// Another commit changed what the run had read: the run must be repeated.
    Conflict,
    /// The delivery is not in progress with that attempt: the result is void.
    Stale,
}

/// A dead letter as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDead {
    /// Its number.
    pub id: u64,
    /// Whether it is being redriven.
    pub redriving: bool,
    /// The letter.
    pub letter: DeadLetter,
}

/// A delivery to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The reactor.
    pub reactor: ReactorId,
    /// Dedup key within the reactor.
    pub key: Identity,
    /// The event's origin.
    pub origin: Origin,
}

/// What happened to a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It has not ended and is not held.
    Active(Box<StoredDelivery>),
    /// It waits for another delivery of its ordering key.
    Held(Box<StoredDelivery>, Option<Behind>),
    /// It ended as the dead letter with this number.
    Dead(u64),
    /// It ended as the dead letter with this number, for this reason, and a person dropped the letter.
    Dropped(u64, String),
    /// It is done.
    Done,
    /// It never became a delivery because another event already had its key.
    Duplicate {
        /// Where that event is; `None` if it was admitted by a version that did not note it.
        first: Option<Origin>,
        /// What happened to that one.
        fate: Box<Fate>,
    },
}

/// What a held delivery waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// This event's delivery, which waits for its next attempt.
    Waiting(Origin),
    /// This dead letter, which parks their key until a person redrives or drops it.
    Parked(u64),
}

/// How many of a reactor's deliveries wait for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Deliveries behind one of the same key that waits for its next attempt.
    pub held: u64,
    /// Deliveries behind a dead letter of their key that waits for a person.
    pub parked: u64,
    /// Keys parked by such dead letters.
    pub parked_keys: u64,
}

/// Which dead letters to read; all conditions must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this reactor.
    pub reactor: Option<ReactorId>,
    /// With this reason code.
    pub reason: Option<String>,
    /// That ended at or after this time.
    pub since: Option<Timestamp>,
    /// With a number below this one: to get the next page, pass the last number of the previous page.
    pub below: Option<u64>,
    /// At most this many; 0 = all.
    pub limit: usize,
    /// Leave the messages' bodies out.
    pub brief: bool,
}

/// A request from a client to the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Run a dead letter again.
    Redrive(u64),
    /// Forget a dead letter.
    Drop(u64),
}

/// What the last owner left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Deliveries whose attempt had begun when the process died, with that attempt's number. Only the head of a lane
    /// can be among them.
    pub interrupted: Vec<(StoredDelivery, u32)>,
    /// Deliveries that ran speculatively: their attempt began before an earlier delivery of their lane had ended. That
    /// attempt is void and does not count, since it was not their turn. If one of them killed the process, it will do
    /// so again, and as the head of its lane its attempt counts.
    pub ahead: Vec<(ReactorId, LaneKey, DeliveryId)>,
    /// Every blocked lane (held deliveries, a waiting head, a dead letter that parks it), and what blocks it. A lane
    /// that is not listed here is not blocked.
    pub lanes: Vec<(ReactorId, LaneKey, LaneState)>,
}

/// Why a lane's deliveries are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneState {
    /// Nothing blocks them any more: load them.
    Free,
    /// The head waits for its next attempt.
    Waiting,
    /// The head is a dead letter and the policy is `park-key`.
    Parked,
}

/// The input of [`StoreOwner::maintain`](super::StoreOwner::maintain).
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Now.
    pub now: HostTime,
    /// The longest dedup window of any reactor.
    pub ledger_window: Duration,
    /// How long to keep records, per channel.
    pub retention: Vec<(ChannelId, Duration)>,
    /// How long a delivery may be away before it counts as another host's. Longer than any queue keeps a message.
    pub away: Duration,
    /// How long to keep ended attempts.
    pub history: Duration,
}

/// Counts since the store was created, and of its present content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Records appended, per channel name.
    pub published: Vec<(String, u64)>,
    /// Records not yet admitted, per channel name.
    pub backlog: Vec<(String, u64)>,
    /// Messages waiting to be sent, per channel name, for channels that have any.
    pub outbox: Vec<(String, u64)>,
    /// Events that no reactor wanted.
    pub unrouted: u64,
    /// Messages that could not be decoded.
    pub invalid: u64,
    /// Per reactor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactors: Vec<ReactorStats>,
}

/// Counts of one reactor. `delivered = done + dead + dropped + active` at every moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReactorStats {
    /// Its name.
    pub name: String,
    /// Deliveries admitted, without duplicates.
    pub delivered: u64,
    /// Ended with success.
    pub done: u64,
    /// Failed attempts followed by a back-off.
    pub retried: u64,
    /// Deliveries that the ledger already knew.
    pub duplicates: u64,
    /// Ended without success, and since then neither redriven with success nor dropped.
    pub dead: u64,
    /// Ended without success, and dropped by a person.
    pub dropped: u64,
    /// Events emitted.
    pub emitted: u64,
    /// Deliveries in memory, spilled, held, waiting or away.
    pub active: u64,
    /// Those waiting for their next attempt.
    pub waiting: u64,
}

/// A slot, and the delivery whose attempt begins in it; `None` if it is free again.
pub type Mark = (usize, Option<(DeliveryId, u32)>);
