//! Seam: remote queues and topics. The local channel is not one: its log is part of the store.
//!
//! A [`Source`] hands over messages under a lease, a [`Sink`] takes them; `sqs` and `sns` implement both with the AWS
//! SDK, which nothing outside this folder knows of. Everything here may fail at any time, and says in which way
//! ([`Trouble`]), so that the pipeline knows whether to wait, to give up, or to let a message end as a dead letter.

pub mod acknowledge;
pub mod aws;
pub mod filter;
mod foreign;
pub mod inspect;
mod message;
pub mod send;
pub mod sns;
pub mod sqs;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::config::model::{ChannelConfig, ChannelKind, ReactorConfig};
use crate::event::Message;

use aws::Aws;
use sns::{SnsTopic, Subscription};
use sqs::SqsQueue;

/// Most messages, receipts or entries of one call.
pub const MAX_BATCH: usize = 10;

/// Where messages come from: a queue that leases them.
///
/// No method retries on its own for long, and none blocks; the caller backs off.
pub trait Source: Send + Sync + 'static {
    /// Waits up to `wait` for messages and takes at most `max` (1 to [`MAX_BATCH`]) of them, each leased for `lease`
    /// (whole seconds). Dropping the future gives the call up; what the queue had handed out by then comes back when its
    /// lease is over.
    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, Result<Vec<Received>>>;
    /// Deletes messages for good. Answers for each, in order.
    fn delete<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Sets how much longer each message is leased, in whole seconds from now; zero gives it back. Answers for each.
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Duration)]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Sends a message to the queue once more, so that it is received like a new one.
    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>>;
    /// How many messages there are, as far as the queue can tell.
    fn depth(&self) -> BoxFuture<'_, Result<Depth>>;
}

/// Where messages go.
pub trait Sink: Send + Sync + 'static {
    /// Sends at most [`MAX_BATCH`] messages. Answers for each, in order. `system.dedup_id` and `system.group_id` are
    /// used where the queue or topic is FIFO, and have no meaning elsewhere.
    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>>;
    /// Whether it keeps the order of messages of one group, so that they have to be sent one after another.
    fn is_ordered(&self) -> bool;
    /// Most bytes, of bodies and attributes together, in one call.
    fn max_batch_bytes(&self) -> usize;
}

/// A remote channel, as the host uses it.
#[derive(Clone)]
pub struct Remote {
    /// Where its messages come from; `None` if no reactor reads it.
    pub source: Option<Arc<dyn Source>>,
    /// Where messages for it go.
    pub sink: Arc<dyn Sink>,
}

/// Gets ready to use a channel that these reactors read; `None` if it is not outside. Nobody is asked for anything yet.
pub fn open(aws: &Aws, channel: &ChannelConfig, readers: &[&ReactorConfig]) -> Option<Remote> {
    let is_read = !readers.is_empty();
    match &channel.kind {
        ChannelKind::Local { .. } => None,
        ChannelKind::Sqs { queue, create, .. } => {
            let queue = Arc::new(SqsQueue::new(aws.clone(), queue.clone(), *create));
            let source = is_read.then(|| Arc::clone(&queue) as Arc<dyn Source>);
            Some(Remote { source, sink: queue })
        }
        ChannelKind::Sns { topic, queue, create, .. } => {
            let queue = queue.as_ref().map(|queue| Arc::new(SqsQueue::new(aws.clone(), queue.clone(), *create)));
            let topic = Arc::new(SnsTopic::new(aws.clone(), topic.clone(), *create, queue.clone()));
            let policy = filter::filter_policy(channel, readers.iter().flat_map(|reactor| &reactor.on));
            let Some(queue) = queue.filter(|_| is_read) else {
                return Some(Remote { source: None, sink: topic });
            };
            let subscription = Arc::new(Subscription::new(topic, queue, policy, *create));
            Some(Remote { source: Some(Arc::clone(&subscription) as Arc<dyn Source>), sink: subscription })
        }
    }
}

/// The queue of a channel, as something to receive from, whether a reactor reads it or not.
pub fn queue(aws: &Aws, channel: &ChannelConfig) -> Option<Arc<dyn Source>> {
    match &channel.kind {
        ChannelKind::Sqs { queue, .. } | ChannelKind::Sns { queue: Some(queue), .. } => {
            Some(Arc::new(SqsQueue::new(aws.clone(), queue.clone(), false)))
        }
        ChannelKind::Local { .. } | ChannelKind::Sns { queue: None, .. } => None,
    }
}

/// A message under a lease.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message; `system` says what the queue says of it.
    pub message: Message,
    /// What to delete it or extend its lease with; changes with each receipt.
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

#[cfg(test)]
mod emulated;
