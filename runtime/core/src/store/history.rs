//! What a store records about the past: ended attempts, and what happened to records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Fate;
use crate::event::{ChannelId, DeliveryId, Event, Offset, Origin, ReactorId};

/// An ended attempt that goes into the store with its commit. It shares the event and the digest, so that keeping an
/// attempt copies no text.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptNote {
    /// The event.
    pub event: Arc<Event>,
    /// Where the event can be read again.
    pub origin: Origin,
    /// Outcome or fault code: `done`, `retry`, `trap`, ...
    pub code: &'static str,
    /// Wall-clock time at which it ended.
    pub at: Timestamp,
    /// How long the run took.
    pub took: Duration,
    /// blake3 of the module that ran, in hex.
    pub module: Arc<str>,
}

/// What an attempt meant for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptEnd {
    /// The delivery was done.
    Done,
    /// The delivery waited for its next attempt.
    Retry,
    /// The delivery became a dead letter.
    Dead,
}

/// An ended attempt, as the store keeps it for the configured time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAttempt {
    /// Its delivery. A redriven delivery gets a new number.
    pub delivery: DeliveryId,
    /// Its reactor.
    pub reactor: ReactorId,
    /// The event's origin.
    pub origin: Origin,
    /// Counted from 1; a redrive starts at 1 again.
    pub number: u32,
    /// What it meant for the delivery.
    pub end: AttemptEnd,
    /// Outcome or fault code.
    pub code: String,
    /// Wall-clock time at which it ended, in whole milliseconds.
    pub at: Timestamp,
    /// How long the run took, in whole microseconds; zero if a crash cut it short, since nothing measured it then.
    pub took: Duration,
    /// blake3 of the module that ran, in hex.
    pub module: String,
    /// The host that ran it: how many owners the store had had by then. Of an attempt that a crash cut short it is the host
    /// that found it.
    pub worker: u64,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// The event's correlation id.
    pub correlation_id: String,
}

/// Which kept attempts to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptsOf {
    /// Attempts for the events of these records.
    Records(BTreeSet<(ChannelId, Offset)>),
    /// Attempts of a delivery.
    Delivery(DeliveryId),
    /// Attempts for events with this id.
    Event(String),
    /// Attempts for events with this correlation id.
    Correlation(String),
}

/// What happened to an event for one reactor, or to a record that no reactor got.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Where the event is.
    pub origin: Origin,
    /// The reactor; `None` for the dead letter of a record that could not be decoded or of an event that no reactor
    /// wanted.
    pub reactor: Option<ReactorId>,
    /// What happened to it.
    pub fate: Fate,
}

/// Everything that the store knows about some records.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// All deliveries and duplicates, in log order, and by reactor number within an event.
    pub all: Vec<Trace>,
    /// Traces of records before this one may be missing: the ledger has already expired them, or an earlier version did
    /// not note everything.
    pub complete_from: Offset,
}
