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
    /// The folder that relative paths start from: the file's own.
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
    /// Attempts at once over all reactors.
    pub concurrency: usize,
    /// How long SIGTERM waits for running attempts.
    pub drain: Duration,
    /// Longest chain of emitted events.
    pub hop_limit: u32,
    /// Bytes of events held in memory over all queues.
    pub queue_memory: usize,
    /// Where metrics and health are answered; always a loopback address.
    pub admin: Option<SocketAddr>,
    /// How long ended attempts are kept; zero keeps none.
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
    /// Where the messages live, if that is not the store of this host.
    pub outside: Option<Outside>,
    /// How long the local log keeps records that every reactor is done with.
    pub retention: Duration,
    /// Which envelope its messages have.
    pub format: Format,
    /// What becomes of events that no reactor wants.
    pub unrouted: Unrouted,
    /// Largest message accepted, body and attributes, in bytes.
    pub max_event: usize,
    /// JSON pointer whose value is the identity, instead of the envelope's id.
    pub identity: Option<Pointer>,
    /// Where dead letters that belong to no reactor are also forwarded to.
    pub dead_letter: Option<String>,
}

/// How many time-outs long a lease is by default.
const LEASE_FACTOR: u32 = 6;
/// What a lease is at least, where the configuration does not say otherwise.
const LEASE_AT_LEAST: Duration = Duration::from_secs(30);

impl ChannelConfig {
    /// Whether its messages live outside of this host.
    pub fn is_remote(&self) -> bool {
        self.outside.is_some()
    }

    /// When received messages are deleted; nothing for a local channel.
    pub fn settle(&self) -> Option<Settle> {
        self.outside.as_ref().map(|outside| outside.settle)
    }

    /// How long a received message is leased at a time, if these reactors read the channel. Whole seconds.
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
    /// A raw format that says of nothing but the type where it comes from.
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

/// What becomes of an event that no reactor wants; it is counted in any case.
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
    /// The module's file, absolute.
    pub module: Located,
    /// The command that builds it, run by a shell in `Config::root`.
    pub build: Option<Written>,
    /// Channels it reads; never empty, all exist.
    pub from: Vec<String>,
    /// Event types it wants; never empty.
    pub on: Vec<TypePattern>,
    /// Content filter.
    pub when: Filter,
    /// One lane per value.
    pub order_by: Option<Pointer>,
    /// Which types it may emit and where they go; the first match counts.
    pub emit: Vec<(TypePattern, String)>,
    /// Attempts at once.
    pub concurrency: usize,
    /// Cap on starts.
    pub rate: Option<Rate>,
    /// Wall-clock limit of an attempt.
    pub timeout: Duration,
    /// CPU limit of an attempt.
    pub cpu: Duration,
    /// Sum of memories and tables of an attempt, in bytes.
    pub memory: usize,
    /// What the module may import beyond the harmless interfaces.
    pub allow: Allow,
    /// What the guest reads as its configuration; values that are not strings are JSON.
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
    /// What the guest reads as its configuration, with the values of variables. Not for anything that is printed.
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
    /// No attempt starts a back-off that would end later than this after the first.
    pub max_age: Duration,
}

/// When a reactor whose attempts keep failing is only probed.
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

/// What becomes of deliveries that end without success; the store always keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// Also forwarded there.
    pub channel: Option<String>,
    /// What becomes of the lane.
    pub on_exhausted: OnExhausted,
}

/// What becomes of a lane whose head is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnExhausted {
    /// The next event of the key runs.
    #[default]
    Continue,
    /// Later events of the key wait until the dead letter is redriven or dropped.
    ParkKey,
}
