//! Seam: remote queues and topics. The local channel is not one: its log is part of the store.
//!
//! A [`Source`] hands over messages, one that is [`Leasing`] under a lease; a [`Sink`] takes them. Each kind of channels has
//! a folder with all that is particular to it (what the file says of a channel, what it allows, how it is reached and looked
//! at), and a place in the list of `kinds`. Nothing outside this folder knows of the AWS SDK.
//!
//! Everything here may fail at any time, and says in which way ([`Trouble`]), so that the pipeline knows whether to wait, to
//! give up, or to let a message end as a dead letter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::event::Message;

/// What a kind of channels allows. The host asks for no more, and makes use of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most messages, receipts or entries of one call; at least 1.
    pub batch: usize,
    /// Most bytes of a message, and of the messages of one call, bodies and attributes together.
    pub bytes: usize,
    /// The longest that a receive call can wait for messages.
    pub wait: Duration,
    /// The longest lease; zero where there are none.
    pub lease: Duration,
    /// For how long a message can be given back at most.
    pub delay: Duration,
    /// Most messages that one receiver may have and not be working on.
    pub waiting: usize,
    /// How long a message is kept, and therefore may come again.
    pub kept: Duration,
    /// What keeps it, such as `SQS`.
    pub kept_by: &'static str,
}

/// Where messages come from.
///
/// No method retries on its own for long, and none blocks; the caller backs off.
pub trait Source: Send + Sync + 'static {
    /// What may be asked of it.
    fn limits(&self) -> Limits;
    /// Waits up to `wait` for messages and takes at most `max` (1 to [`Limits::batch`]) of them. A source with leases
    /// leases each for `lease` (whole seconds). Dropping the future gives the call up; what had been handed out by then
    /// comes again, where there are leases when that one is over.
    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, Result<Vec<Received>>>;
    /// Says of messages that they are done with: they do not come again. Answers for each, in order.
    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Sends a message to the queue once more, so that it is received like a new one.
    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>>;
    /// How many messages there are, as far as the queue can tell.
    fn depth(&self) -> BoxFuture<'_, Result<Depth>>;
    /// Itself, if it leases messages. Without leases a message can be received only to be copied (`settle = "stored"`).
    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        None
    }
}

/// A source that lends each of its messages for a time: another receiver gets one whose lease is over.
pub trait Leasing: Send + Sync + 'static {
    /// Extends leases, or gives messages back. Answers for each, in order.
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Lease)]) -> BoxFuture<'a, Vec<Result<()>>>;
}

/// What becomes of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It goes on for so long from now, in whole seconds.
    Extend(Duration),
    /// It is over: the message may be received again after so long.
    GiveBack(Duration),
}

/// Where messages go.
pub trait Sink: Send + Sync + 'static {
    /// What may be asked of it.
    fn limits(&self) -> Limits;
    /// Sends at most [`Limits::batch`] messages. Answers for each, in order. `system.dedup_id` and `system.group_id` are
    /// used where the queue or topic is FIFO, and have no meaning elsewhere.
    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Whether it keeps the order of messages of one group, so that they have to be sent one after another.
    fn is_ordered(&self) -> bool;
}

/// A remote channel, as the host uses it.
#[derive(Clone)]
pub struct Remote {
    /// Where its messages come from; `None` if no reactor reads it.
    pub source: Option<Arc<dyn Source>>,
    /// Where messages for it go.
    pub sink: Arc<dyn Sink>,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message; `system` says what the queue says of it.
    pub message: Message,
    /// What to acknowledge it or extend its lease with; changes with each receipt.
    pub receipt: Receipt,
    /// When it was sent, by the queue's clock.
    pub sent: Option<Timestamp>,
    /// How often it has been received, this time included.
    pub receives: u32,
}

/// The right to settle one received message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be received.
    pub visible: u64,
    /// Leased to somebody.
    pub in_flight: u64,
    /// Not to be received yet.
    pub delayed: u64,
}

impl Depth {
    /// All of them.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// A result of a channel.
pub type Result<T, E = ChannelError> = std::result::Result<T, E>;

/// Why a channel did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ChannelError {
    /// What to make of it.
    pub trouble: Trouble,
    /// What was tried on what, what the other side said, and, where that is known, what to do.
    pub detail: String,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Too many requests.
    Throttled,
    /// No credentials, expired ones, or no permission.
    Denied,
    /// The queue or topic is not there (any more, or yet).
    Missing,
    /// No answer, a broken one, or a failure on the other side.
    Unreachable,
    /// The lease is over: the message is not ours any more.
    StaleReceipt,
    /// The message itself is not acceptable and never will be.
    Refused,
    /// A part of the set-up is wrong, such as a missing region.
    Misconfigured,
}

impl Trouble {
    /// As it stands in logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Unreachable => "unreachable",
            Self::StaleReceipt => "stale-receipt",
            Self::Refused => "refused",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
