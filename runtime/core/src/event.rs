//! The nouns of the pipeline: what an event, a message, a delivery and an attempt are. No I/O.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attribute::{self, Attribute};

pub use crate::identity::Identity;

/// The first tokens that a pointer can have and ever find something.
pub const ROOTS: [&str; 14] = [
    "eventId",
    "eventType",
    "eventVersion",
    "timestamp",
    "source",
    "subject",
    "correlationId",
    "causationId",
    "partitionKey",
    "contentType",
    "hop",
    "traceparent",
    "data",
    "attributes",
];

/// The event type of a dead letter that is forwarded to a local channel.
pub const DEAD_LETTER_TYPE: &str = "reactor.dead-letter";

/// What a channel hands over before anything has looked inside: a body and its attributes.
///
/// A local channel stores exactly this in its log, and an SQS message maps onto it, so that one
/// decoder serves every source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The bytes as they were sent.
    pub body: Bytes,
    /// Its attributes with their types, in the order they were given (SQS and SNS message attributes).
    pub attributes: Vec<Attribute>,
    /// What the channel itself says of the message.
    pub system: SystemAttributes,
}

/// What the transport says of a message, used for identity and order where the envelope is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemAttributes {
    /// The id the channel gave the message (SQS `MessageId`); for a local channel `<channel>/<offset>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// FIFO `MessageDeduplicationId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup_id: Option<String>,
    /// FIFO `MessageGroupId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
}

impl Message {
    /// A message with a body and nothing else.
    pub fn from_body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// The text or the digits of an attribute; names are compared exactly, as SQS does.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name)?.as_text()
    }

    /// The values of its attributes as a JSON object.
    pub fn attributes_as_json(&self) -> serde_json::Map<String, serde_json::Value> {
        attribute::values(&self.attributes)
    }

    /// Bytes that count against size limits: the body plus attribute names and values.
    pub fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(Attribute::size).sum::<usize>()
    }
}

/// An immutable record of something that happened, in the one form the host works with.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The envelope's id; unique together with `source`.
    pub id: String,
    /// Dotted type, such as `order.placed`.
    pub event_type: String,
    /// Major version of the data's schema; 1 where the envelope has none.
    pub version: u32,
    /// Who published it.
    pub source: String,
    /// When it happened, as the producer says.
    pub time: Option<Timestamp>,
    /// What it is about (`CloudEvents` subject).
    pub subject: Option<String>,
    /// Names the flow that this event belongs to; the event's own id where the envelope has none.
    pub correlation_id: String,
    /// The id of the event that caused this one.
    pub causation_id: Option<String>,
    /// The producer's ordering key.
    pub partition_key: Option<String>,
    /// Media type of `data`; `application/json` unless the envelope says otherwise.
    pub content_type: String,
    /// How many emitting reactors lie between this event and the first of its chain.
    pub hop: u32,
    /// W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// What else the message and its envelope carry: message attributes, extensions, fields without a place of their own.
    pub attributes: Vec<Attribute>,
    /// The payload: JSON text for `application/json`, else the raw bytes.
    pub data: Bytes,
}

impl Event {
    /// An event of which only this is known, without a type or data.
    pub fn bare(id: String, source: String) -> Self {
        Self {
            correlation_id: id.clone(),
            id,
            event_type: String::new(),
            version: 1,
            source,
            time: None,
            subject: None,
            causation_id: None,
            partition_key: None,
            content_type: "application/json".to_owned(),
            hop: 0,
            trace_parent: None,
            attributes: Vec::new(),
            data: Bytes::from_static(b"null"),
        }
    }

    /// Bytes this event is charged with where memory is budgeted.
    pub fn weight(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|attribute| attribute.size() + 128).sum();
        self.data.len() + self.id.len() + self.event_type.len() + self.source.len() + attributes + 256
    }
}

/// One ordering key inside one reactor, hashed.
pub type LaneKey = Identity;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

numbered!(
    /// A reactor, by the number the store gave its name; stable across restarts.
    ReactorId(u32)
);
numbered!(
    /// A channel, by the number the store gave its name; stable across restarts.
    ChannelId(u32)
);
numbered!(
    /// A place in a local channel's log; the first record has 1.
    Offset(u64)
);
numbered!(
    /// A delivery; the store hands them out in ascending order of admission.
    DeliveryId(u64)
);
numbered!(
    /// The version of a state value: the number of the commit that wrote it. 0 = the key is absent.
    Version(u64)
);
numbered!(
    /// Milliseconds on the store's own clock. It starts at the wall clock when the store is created and
    /// advances only while a host runs, so that a wall clock that jumps can neither expire nor stall anything.
    HostTime(u64)
);

impl HostTime {
    /// This time plus a duration, saturating.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Where an event can be read again: a log record, and which of the record's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The channel whose log holds the record.
    pub channel: ChannelId,
    /// The record.
    pub offset: Offset,
    /// Which event of the record, from 0 (an S3 notification holds several).
    pub part: u32,
}

/// How an attempt ended, as the guest or the sandbox says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest returned ok.
    Done,
    /// The guest asked to run again, perhaps not before `after`.
    Retry {
        /// The guest's words.
        reason: String,
        /// The least delay the guest asked for.
        after: Option<Duration>,
    },
    /// The guest says that this event can never succeed.
    Reject {
        /// The guest's words.
        reason: String,
    },
    /// The guest did not get to answer.
    Fault {
        /// What kind of fault.
        fault: Fault,
        /// What happened, with a backtrace where there is one.
        detail: String,
    },
}

/// Why a guest did not get to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A WebAssembly trap: a panic, a division by zero, an access out of bounds.
    Trap,
    /// The wall-clock time-out passed.
    Timeout,
    /// The CPU budget was used up.
    CpuLimit,
    /// Memories and tables together outgrew the budget.
    MemoryLimit,
    /// Too many host calls, or too many bytes in them.
    HostCallLimit,
    /// More emitted events or bytes than allowed.
    EmitLimit,
    /// An emitted event's type is not in the reactor's `emit` table.
    EmitDenied,
    /// An emitted event is not valid, or too large for its channel.
    EmitInvalid,
    /// The chain of emitted events is longer than the hop limit.
    HopLimit,
    /// A state key or value outside the limits.
    StateLimit,
    /// Too many requests by HTTP, or too many bytes in them.
    HttpLimit,
    /// The host failed inside a host call, or died during the attempt.
    Host,
}

impl Fault {
    /// The reason code, as it stands in dead letters, metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::CpuLimit => "cpu-limit",
            Self::MemoryLimit => "memory-limit",
            Self::HostCallLimit => "host-call-limit",
            Self::EmitLimit => "emit-limit",
            Self::EmitDenied => "emit-denied",
            Self::EmitInvalid => "emit-invalid",
            Self::HopLimit => "hop-limit",
            Self::StateLimit => "state-limit",
            Self::HttpLimit => "http-limit",
            Self::Host => "host",
        }
    }

    /// Whether running the same event again can end differently without anybody changing module or config.
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::EmitDenied | Self::EmitInvalid | Self::HopLimit)
    }
}

/// One ended attempt, as kept with a waiting delivery and in a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttemptRecord {
    /// Counted from 1.
    pub number: u32,
    /// Outcome or fault code: `retry`, `reject`, `trap`, `timeout`, ...
    pub code: String,
    /// What the guest or the sandbox said.
    pub error: String,
    /// Wall-clock time at which it ended.
    pub at: Timestamp,
    /// blake3 of the module that ran, in hex.
    pub module: String,
}

impl AttemptRecord {
    /// Bytes this record is charged with where memory is budgeted.
    pub fn weight(&self) -> usize {
        self.code.len() + self.error.len() + self.module.len() + 64
    }
}
