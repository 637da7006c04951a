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
    /// Its place.
    pub offset: Offset,
    /// When it was accepted, by the wall clock.
    pub accepted: Timestamp,
    /// What was published.
    pub message: Message,
}

/// What was taken in from a channel, decoded and routed. What is read from the channel's log and what is received under
/// leases differ in two facts: what moves the cursor, and whether messages have to be recorded and settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// From which channel.
    pub channel: ChannelId,
    /// Now.
    pub now: HostTime,
    /// Of a log: the cursor's new value, one past the last record read. Nothing for messages that were received: then the
    /// cursor passes the records that are made of them, unless unread ones stand before these.
    pub cursor: Option<Offset>,
    /// The messages that were received under leases, in the order of their arrival.
    pub messages: Vec<Incoming>,
    /// The deliveries of `messages`, message by message, then those of the records that were read, in the order of the log.
    pub deliveries: Vec<NewDelivery>,
    /// What ends here, in the same order: undecodable messages, and unrouted events by policy.
    pub dead: Vec<DeadLetter>,
    /// Copies of those, on their way to other channels.
    pub forward: Vec<(Target, Message)>,
    /// Records to take out of the log: nobody wanted them (policy `unrouted = "drop"`), or their messages are settled.
    pub drop: Vec<Offset>,
    /// Events that no reactor wanted, whatever the policy.
    pub unrouted: u64,
}

impl Batch {
    /// A batch of which nothing has come.
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

/// A message that was received under a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The message. It is kept in the channel's log if anything new comes of it, or if `keep` says so.
    pub message: Message,
    /// How many of the batch's deliveries are its own; the store fills in where their record is.
    pub deliveries: usize,
    /// How many of the batch's dead letters are its own.
    pub dead: usize,
    /// Keep it although no reactor wanted it.
    pub keep: bool,
}

/// What became of a [`Batch`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// The first offset of the channel's log that has not been admitted.
    pub cursor: Offset,
    /// The record of each message that was received, in order, if it was kept.
    pub records: Vec<Option<Offset>>,
    /// Per delivery, in order.
    pub answers: Vec<Admitted>,
}

/// A message on its way to a remote channel.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRecord {
    /// Its number; ascends in the order of commits.
    pub id: u64,
    /// What is to be sent.
    pub message: Message,
}

/// Where a message goes when the commit that carries it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// To the end of a local channel's log.
    Log(ChannelId),
    /// Into the outbox, to be sent to a remote channel.
    Outbox(ChannelId),
}

/// What a commit applies: writes of state, and messages that are ready to go.
pub type Effect = effect::Effect<Target, Message>;

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
    /// If the ledger has it as dead, run the dead letter again: somebody sent it back on purpose.
    pub redrive: bool,
}

/// Where a delivery is, besides its row in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the owner's memory, to be run as soon as there is room.
    Memory,
    /// In the store only: the reactor's queue was full. See [`StoreClient::spilled`](super::StoreClient::spilled).
    Spilled,
    /// In the store only: the lane's head waits. See [`StoreClient::held`](super::StoreClient::held).
    Held,
    /// In the store only, until it is due. See [`StoreClient::due`](super::StoreClient::due).
    Waiting,
    /// In the store only: its message is with the remote queue, and it goes on when that is received again.
    Away,
}

/// What became of a [`NewDelivery`].
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// Entered in the ledger as in progress.
    New(DeliveryId),
    /// The ledger has it already. Of a received message: it has ended.
    Duplicate,
    /// The ledger has it as in progress, here. Only of a received message.
    Active(DeliveryId),
    /// It was away, or dead and sent back, and goes on in memory. Only of a received message.
    Resumed(Box<StoredDelivery>),
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
    /// It was received under a lease, and runs only under one.
    pub leased: bool,
}

/// What one ended attempt did.
///
/// Applied only if every condition holds: the owner is still the owner, the delivery is in progress with exactly
/// `attempt - 1` ended attempts (the fencing token), each key read still has the version seen, and the commit named
/// by `after` was applied. Otherwise nothing of it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its number, from [`StoreOwner::next_commit`](super::StoreOwner::next_commit), and the version of the state values it
    /// writes. Ascending in the order of calls.
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
    /// What is applied with it: what a run that is done wants to happen, or the copy of a dead letter on its way to another
    /// channel. Messages arrive in this order; no key is written twice.
    pub effects: Vec<Effect>,
    /// What becomes of the delivery.
    pub ending: Ending,
    /// The attempt, if attempts are kept and there was one.
    pub note: Option<AttemptNote>,
    /// Now.
    pub now: HostTime,
}

impl Commit {
    /// How many events the run emitted. The copy of a dead letter is none of them.
    pub fn emitted(&self) -> usize {
        match self.ending {
            Ending::Done => self.effects.iter().filter_map(Effect::put).count(),
            Ending::Wait { .. } | Ending::Dead { .. } => 0,
        }
    }

    /// Bytes it writes, roughly.
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

/// What becomes of a delivery after an attempt.
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
        /// Deliveries of the same lane that leave memory, because they must wait behind it.
        hold: Vec<DeliveryId>,
    },
    /// It ends without success.
    Dead {
        /// The dead letter.
        letter: DeadLetter,
        /// Deliveries of the same lane that leave memory, because the key is parked.
        hold: Vec<DeliveryId>,
    },
}

/// What became of a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Applied and durable. Emitted messages are in their logs.
    Applied,
    /// Another commit changed what the run had read: run again.
    Conflict,
    /// The delivery is not in progress with that attempt: the result is void.
    Stale,
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

/// A delivery that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// For whom.
    pub reactor: ReactorId,
    /// Dedup key within the reactor.
    pub key: Identity,
    /// Where its event is.
    pub origin: Origin,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It has not ended, and is not held.
    Active(Box<StoredDelivery>),
    /// It waits for another delivery of its ordering key.
    Held(Box<StoredDelivery>, Option<Behind>),
    /// It ended as the dead letter with this number.
    Dead(u64),
    /// It ended as the dead letter with this number, for this reason, and a person has dropped the letter.
    Dropped(u64, String),
    /// It is done.
    Done,
    /// It never became a delivery, because another event with its key had.
    Duplicate {
        /// Where that event is; `None` if it was admitted by a version that did not note it.
        first: Option<Origin>,
        /// What became of that one.
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

/// What of a reactor's deliveries waits for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Deliveries behind another of their key, which waits for its next attempt.
    pub held: u64,
    /// Deliveries behind a dead letter of their key that waits for a person.
    pub parked: u64,
    /// Keys that such letters park.
    pub parked_keys: u64,
}

/// Which dead letters; all conditions must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this reactor.
    pub reactor: Option<ReactorId>,
    /// With this reason code.
    pub reason: Option<String>,
    /// That ended at or after this time.
    pub since: Option<Timestamp>,
    /// With a number below this one: the last of a page, for the next page.
    pub below: Option<u64>,
    /// At most this many; 0 = all.
    pub limit: usize,
    /// Leave the messages' bodies out.
    pub brief: bool,
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
    /// Deliveries whose attempt had begun when the process died, with that attempt's number. Of a lane, only its head can
    /// be among them.
    pub interrupted: Vec<(StoredDelivery, u32)>,
    /// Deliveries that had been run ahead: their attempt had begun while another delivery of their lane had not ended. It
    /// is void and does not count, since they are not next. If one of them ended the process, it would do so again; as the
    /// head of its lane, its attempt counts.
    pub ahead: Vec<(ReactorId, LaneKey, DeliveryId)>,
    /// Every lane that something keeps from running (held deliveries, a waiting head, a dead letter that parks it),
    /// and what that is. A lane that is not named here has nothing in its way.
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

/// What [`StoreOwner::maintain`](super::StoreOwner::maintain) needs to know.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Now.
    pub now: HostTime,
    /// The longest dedup window of any reactor.
    pub ledger_window: Duration,
    /// Per channel, how long records are kept.
    pub retention: Vec<(ChannelId, Duration)>,
    /// How long a delivery may be away before it counts as somebody else's. Longer than any queue keeps a message.
    pub away: Duration,
    /// How long ended attempts are kept.
    pub history: Duration,
}

/// Counts since the store was made, and of what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Records appended, per channel name.
    pub published: Vec<(String, u64)>,
    /// Records not yet admitted, per channel name.
    pub backlog: Vec<(String, u64)>,
    /// Messages waiting to be sent, per channel name, where there are any.
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
    /// Deliveries admitted; duplicates not counted.
    pub delivered: u64,
    /// Ended with success.
    pub done: u64,
    /// Failed attempts that were followed by a back-off.
    pub retried: u64,
    /// Deliveries that the ledger knew already.
    pub duplicates: u64,
    /// Ended without success, and neither redriven with success nor dropped since.
    pub dead: u64,
    /// Ended without success, and dropped by a person.
    pub dropped: u64,
    /// Events emitted.
    pub emitted: u64,
    /// Deliveries in memory, spilled, held, waiting or away.
    pub active: u64,
    /// Of these, waiting for their next attempt.
    pub waiting: u64,
}

/// A slot, and the attempt of a delivery that begins in it; `None` if it is free again.
pub type Mark = (usize, Option<(DeliveryId, u32)>);
