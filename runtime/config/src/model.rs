//! What the program needs: checked values, no places in files, no defaults left to fill in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::backoff::Backoff;
use reactor_core::subscription::{Filter, Pointer, Rate, TypePattern};

use super::{Located, Written};

pub use super::outside::{COMMIT_BUDGET, Outside, Settle};

/// A whole `reactors.toml`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The base folder of relative paths: the file's own.
    pub root: PathBuf,
    /// `[runtime]`
    pub runtime: RuntimeConfig,
    /// `[channels.NAME]`, by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// `[reactors.NAME]`, by name.
    pub reactors: BTreeMap<String, ReactorConfig>,
}

/// `[runtime]`
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeConfig {
    /// The embedded store's folder, absolute.
    pub data_dir: Located,
    /// Most concurrent attempts over all reactors.
    pub concurrency: usize,
    /// How long running attempts may take to end after SIGTERM.
    pub drain: Duration,
    /// Longest chain of emitted events.
    pub hop_limit: u32,
    /// Bytes of events held in memory over all queues.
    pub queue_memory: usize,
    /// Where metrics and health are served; always a loopback address.
    pub admin: Option<SocketAddr>,
    /// How long ended attempts are kept; zero disables this.
    pub history: Duration,
}

impl RuntimeConfig {
    /// Whether ended attempts are kept at all.
    pub fn keeps_attempts(&self) -> bool {
        !self.history.is_zero()
    }
}

/// `[channels.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    /// The table's name.
    pub name: String,
    /// Its remote side; `None` if the messages are in this host's store.
    pub outside: Option<Outside>,
    /// How long the local log keeps records that every reactor has finished with.
    pub retention: Duration,
    /// The envelope of its messages.
    pub format: Format,
    /// What happens to events that no reactor wants.
    pub unrouted: Unrouted,
    /// Largest message accepted, body and attributes, in bytes.
    pub max_event: usize,
    /// JSON pointer to the value that identifies an event, instead of the envelope's id.
    pub identity: Option<Pointer>,
    /// Where dead letters that belong to no reactor are also forwarded.
    pub dead_letter: Option<String>,
}

/// The default lease, as a multiple of the time-out.
const LEASE_FACTOR: u32 = 6;
/// The minimum default lease.
const LEASE_AT_LEAST: Duration = Duration::from_secs(30);

impl ChannelConfig {
    /// Whether its messages are outside this host.
    pub fn is_remote(&self) -> bool {
        self.outside.is_some()
    }

    /// When received messages are deleted; `None` for a local channel.
    pub fn settle(&self) -> Option<Settle> {
        self.outside.as_ref().map(|outside| outside.settle)
    }

    /// How long a received message is leased at a time if these reactors read the channel; whole seconds.
    pub fn lease<'r>(&self, readers: impl Iterator<Item = &'r ReactorConfig>) -> Duration {
        let Some(Outside { lease, limits, .. }) = &self.outside else { return Duration::ZERO };
        let longest = readers.map(|reactor| reactor.timeout).max().unwrap_or_default();
        let lease = lease.unwrap_or((longest * LEASE_FACTOR).max(LEASE_AT_LEAST).min(limits.lease));
        Duration::from_secs(lease.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
    }
}

/// The envelope of a channel's messages.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// Recognised by shape.
    #[default]
    Auto,
    /// `eventId`, `eventType`, ...
    Native,
    /// `CloudEvents` 1.0, structured or binary.
    CloudEvents,
    /// The SNS notification wrapper.
    Sns,
    /// `EventBridge`
    EventBridge,
    /// S3 notifications.
    S3,
    /// The whole body is data.
    Raw(Box<RawFormat>),
}

/// Where a raw body's type, id and source come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFormat {
    /// The event type.
    pub event_type: RawField,
    /// The event id; the transport's id if absent.
    pub id: Option<RawField>,
    /// The source; the channel's name if absent.
    pub source: Option<RawField>,
    /// When it happened.
    pub time: Option<RawField>,
    /// What it is about.
    pub subject: Option<RawField>,
    /// The partition key.
    pub key: Option<RawField>,
    /// The version; 1 if absent.
    pub version: Option<RawField>,
    /// The correlation id; the id if absent.
    pub correlation_id: Option<RawField>,
}

impl RawFormat {
    /// A raw format that defines only the type.
    pub fn of(event_type: RawField) -> Self {
        let (id, source, time, subject) = (None, None, None, None);
        let (key, version, correlation_id) = (None, None, None);
        Self { event_type, id, source, time, subject, key, version, correlation_id }
    }
}

/// Where one field of a raw event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawField {
    /// The same for every message.
    Constant(Written),
    /// A JSON pointer into the body (not into `/data`).
    Pointer(Pointer),
    /// A message attribute.
    Attribute(Written),
}

/// What happens to an event that no reactor wants; it is counted in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unrouted {
    /// Stays in the log until its retention ends.
    #[default]
    Keep,
    /// Becomes a dead letter.
    DeadLetter,
    /// Leaves the log at once.
    Drop,
}

/// `[reactors.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct ReactorConfig {
    /// The table's name.
    pub name: String,
    /// The absolute path of the module's file.
    pub module: Located,
    /// The command that builds the module, run by a shell in `Config::root`.
    pub build: Option<Written>,
    /// Channels it reads; never empty, and all exist.
    pub from: Vec<String>,
    /// Event types it wants; never empty.
    pub on: Vec<TypePattern>,
    /// Content filter.
    pub when: Filter,
    /// One lane per value.
    pub order_by: Option<Pointer>,
    /// Which types it may emit and where they go; the first match applies.
    pub emit: Vec<(TypePattern, String)>,
    /// Most concurrent attempts.
    pub concurrency: usize,
    /// Limit on the rate of starts.
    pub rate: Option<Rate>,
    /// Wall-clock limit of an attempt.
    pub timeout: Duration,
    /// CPU limit of an attempt.
    pub cpu: Duration,
    /// Sum of memories and tables of an attempt, in bytes.
    pub memory: usize,
    /// What the module may import besides the harmless interfaces.
    pub allow: Allow,
    /// The guest's own configuration; values that are not strings are JSON.
    pub config: BTreeMap<String, Written>,
    /// `[reactors.NAME.retry]`
    pub retry: RetryPolicy,
    /// `[reactors.NAME.breaker]`
    pub breaker: Option<BreakerPolicy>,
    /// `[reactors.NAME.dedup]`
    pub dedup: DedupPolicy,
    /// `[reactors.NAME.dead-letter]`
    pub dead_letter: DeadLetterPolicy,
}

impl ReactorConfig {
    /// The guest's own configuration with the values of variables. Must not be printed.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.config.iter().map(|(key, text)| (key.clone(), text.meaning().to_owned())).collect()
    }
}

/// Grants; nothing is granted by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// The reactor's own key-value state.
    pub state: bool,
    /// Origins (`scheme://host[:port]`) the module may send HTTP requests to.
    pub http: Vec<Written>,
}

/// When and how often a failed delivery runs again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; at least 1.
    pub max_attempts: u32,
    /// Delays before the attempts after the first.
    pub backoff: Backoff,
    /// No back-off may end later than this after the delivery was admitted.
    pub max_age: Duration,
}

/// When a reactor whose attempts keep failing is paused and probed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Transient failures in a row, of different deliveries, that open it; at least 2.
    pub failures: u32,
    /// Pauses before the probes.
    pub backoff: Backoff,
}

/// What counts as the same event, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupPolicy {
    /// How long a duplicate is recognised.
    pub window: Duration,
    /// A value of the event to compare instead of its identity.
    pub key: Option<Pointer>,
    /// `dedup = false`: every message counts as an event of its own.
    pub off: bool,
}

/// What happens to deliveries that end without success; the store always keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// A channel to which they are also forwarded.
    pub channel: Option<String>,
    /// What happens to the lane.
    pub on_exhausted: OnExhausted,
}

/// What happens to a lane whose head is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnExhausted {
    /// The next event of the key runs.
    #[default]
    Continue,
    /// Later events of the key wait until the dead letter is redriven or dropped.
    ParkKey,
}
