//! Seam: remote queues and topics. The local channel is not one: its log is part of the store.
//!
//! A [`Source`] delivers messages, under a lease if it is [`Leasing`]; a [`Sink`] accepts them. Each kind of channel
//! has a folder with everything specific to it (its configuration, its limits, how to connect to it and inspect it) and
//! an entry in the list of `kinds`. Only those folders use the AWS SDK.
//!
//! Any call here may fail at any time. The error says how ([`Trouble`]), so that the pipeline knows whether to wait, to
//! give up, or to turn the message into a dead letter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::event::Message;

/// The limits of a kind of channel. The host stays within them and uses them fully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most messages, receipts or entries per call; at least 1.
    pub batch: usize,
    /// Most bytes per message, and per call over all its messages, bodies and attributes together.
    pub bytes: usize,
    /// The longest time that a receive call can wait for messages.
    pub wait: Duration,
    /// The longest lease; zero if the kind has no leases.
    pub lease: Duration,
    /// The longest delay with which a message can be given back.
    pub delay: Duration,
    /// Most messages that one receiver may hold without working on them.
    pub waiting: usize,
    /// How long a message is kept and can therefore be redelivered.
    pub kept: Duration,
    /// The name of the service that keeps it, such as `SQS`.
    pub kept_by: &'static str,
}

/// Where messages come from.
///
/// No method retries for long on its own, and none blocks; the caller backs off.
pub trait Source: Send + Sync + 'static {
    /// The limits of this source.
    fn limits(&self) -> Limits;
    /// Waits up to `wait` for messages and returns at most `max` (1 to [`Limits::batch`]) of them. A source with leases
    /// leases each for `lease` (whole seconds). Dropping the future cancels the call; messages already handed out are
    /// redelivered, after their lease has expired if there is one.
    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, Result<Vec<Received>>>;
    /// Acknowledges messages, so that they are not redelivered. Returns a result for each, in order.
    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Sends a message to the queue again; it is then received like a new one.
    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>>;
    /// How many messages the queue holds, as far as it can tell.
    fn depth(&self) -> BoxFuture<'_, Result<Depth>>;
    /// This source as [`Leasing`], if it leases messages. Without leases, received messages can only be copied to the
    /// local log (`settle = "stored"`).
    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        None
    }
}

/// A source that leases each of its messages for a time; once a lease has expired, another receiver can get the
/// message.
pub trait Leasing: Send + Sync + 'static {
    /// Extends leases or gives messages back. Returns a result for each, in order.
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Lease)]) -> BoxFuture<'a, Vec<Result<()>>>;
}

/// What happens to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is extended to this long from now, in whole seconds.
    Extend(Duration),
    /// It ends: the message can be received again after this delay.
    GiveBack(Duration),
}

/// Where messages go.
pub trait Sink: Send + Sync + 'static {
    /// The limits of this sink.
    fn limits(&self) -> Limits;
    /// Sends at most [`Limits::batch`] messages. Returns a result for each, in order. A FIFO queue or topic uses
    /// `system.dedup_id` and `system.group_id`; others ignore them.
    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Whether it keeps messages of one group in order, so that they must be sent one after another.
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
    /// The message; `system` holds what the queue says about it.
    pub message: Message,
    /// The handle that acknowledges it or extends its lease; changes with every receive.
    pub receipt: Receipt,
    /// When it was sent, by the queue's clock.
    pub sent: Option<Timestamp>,
    /// How often it has been received, including this time.
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
    /// Leased to a receiver.
    pub in_flight: u64,
    /// Delayed, so not receivable yet.
    pub delayed: u64,
}

impl Depth {
    /// The sum of all three.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// The result of a channel call.
pub type Result<T, E = ChannelError> = std::result::Result<T, E>;

/// Why a channel call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ChannelError {
    /// The kind of failure, which decides how to react.
    pub trouble: Trouble,
    /// What was tried on which channel, what the other side said, and the fix if it is known.
    pub detail: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Too many requests.
    Throttled,
    /// No credentials, expired ones, or no permission.
    Denied,
    /// The queue or topic does not exist (yet, or any more).
    Missing,
    /// No answer, a broken one, or a failure on the other side.
    Unreachable,
    /// The lease has expired: the message is no longer ours.
    StaleReceipt,
    /// The message itself is invalid and will never be accepted.
    Refused,
    /// Part of the configuration is wrong, such as a missing region.
    Misconfigured,
}

impl Trouble {
    /// The code shown in logs.
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
