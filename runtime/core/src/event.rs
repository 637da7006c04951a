//! The nouns of the pipeline: what an event, a message, a delivery and an attempt are. No I/O.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attribute::{self, Attribute};

pub use crate::identity::Identity;

/// The first tokens of all pointers that can ever find a value.
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

/// A message as a channel delivers it, before it is decoded: a body and its attributes.
///
/// A local channel stores exactly this in its log, and an SQS message maps onto it, so one decoder serves every source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The bytes as they were sent.
    pub body: Bytes,
    /// Its attributes with their types, in the order they were given (SQS and SNS message attributes).
    pub attributes: Vec<Attribute>,
    /// What the channel itself says about the message.
    pub system: SystemAttributes,
}

/// What the transport says about a message; used for identity and order if the envelope does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemAttributes {
    /// The id that the channel gave the message (SQS `MessageId`); for a local channel `<channel>/<offset>`.
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
    /// A message that has only a body.
    pub fn from_body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// The text or the digits of an attribute; names are compared exactly, as in SQS.
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

/// An immutable record of something that happened, in the form that the host works with.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The envelope's id; unique together with `source`.
    pub id: String,
    /// Dotted type, such as `order.placed`.
    pub event_type: String,
    /// Major version of the data's schema; 1 if the envelope has none.
    pub version: u32,
    /// Who published it.
    pub source: String,
    /// When it happened, according to the producer.
    pub time: Option<Timestamp>,
    /// What it is about (`CloudEvents` subject).
    pub subject: Option<String>,
    /// Names the flow that this event belongs to; the event's own id if the envelope has none.
    pub correlation_id: String,
    /// The id of the event that caused this one.
    pub causation_id: Option<String>,
    /// The producer's ordering key.
    pub partition_key: Option<String>,
    /// Media type of `data`; `application/json` if the envelope does not say.
    pub content_type: String,
    /// How many emitting reactors lie between this event and the first one of its chain.
    pub hop: u32,
    /// W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// Everything else that the message and its envelope carry: message attributes, extensions, fields without a field
    /// of their own here.
    pub attributes: Vec<Attribute>,
    /// The payload: JSON text for `application/json`, otherwise the raw bytes.
    pub data: Bytes,
}

impl Event {
    /// An event with only an id and a source, without a type or data.
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

    /// Bytes charged for this event against memory budgets.
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
    /// A reactor's number, which the store assigned to its name; stable across restarts.
    ReactorId(u32)
);
numbered!(
    /// A channel's number, which the store assigned to its name; stable across restarts.
    ChannelId(u32)
);
numbered!(
    /// A position in a local channel's log; the first record has 1.
    Offset(u64)
);
numbered!(
    /// A delivery's number; the store assigns them in ascending order of admission.
    DeliveryId(u64)
);
numbered!(
    /// The version of a state value: the number of the commit that wrote it; 0 if the key is absent.
    Version(u64)
);
numbered!(
    /// Milliseconds on the store's own clock. It starts at the wall clock when the store is created and advances only
    /// while a host runs, so that a jump of the wall clock can neither expire nor stall anything.
    HostTime(u64)
);

impl HostTime {
    /// This time plus a duration; saturates.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Where an event can be read again: a log record, and which of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The channel whose log holds the record.
    pub channel: ChannelId,
    /// The record.
    pub offset: Offset,
    /// Which event of the record, from 0 (an S3 notification holds several).
    pub part: u32,
}

/// How an attempt ended, as reported by the guest or the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest returned ok.
    Done,
    /// The guest asked for another run, optionally not before `after`.
    Retry {
        /// The guest's words.
        reason: String,
        /// The minimum delay that the guest asked for.
        after: Option<Duration>,
    },
    /// The guest said that this event can never succeed.
    Reject {
        /// The guest's words.
        reason: String,
    },
    /// The guest gave no answer.
    Fault {
        /// What kind of fault.
        fault: Fault,
        /// What happened, with a backtrace where there is one.
        detail: String,
    },
}

/// Why a guest gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A WebAssembly trap: a panic, a division by zero, an access out of bounds.
    Trap,
    /// The wall-clock time-out expired.
    Timeout,
    /// The CPU budget was used up.
    CpuLimit,
    /// Memories and tables together exceeded the budget.
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
    /// A state key or value outside its limits.
    StateLimit,
    /// Too many requests by HTTP, or too many bytes in them.
    HttpLimit,
    /// The host failed inside a host call, or died during the attempt.
    Host,
}

impl Fault {
    /// The reason code used in dead letters, metrics and logs.
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

    /// Whether a rerun of the same event fails again unless the module or the configuration changes.
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
    /// What the guest or the sandbox reported.
    pub error: String,
    /// Wall-clock time at which it ended.
    pub at: Timestamp,
    /// blake3 of the module that ran, in hex.
    pub module: String,
}

impl AttemptRecord {
    /// Bytes charged for this record against memory budgets.
    pub fn weight(&self) -> usize {
        self.code.len() + self.error.len() + self.module.len() + 64
    }
}
