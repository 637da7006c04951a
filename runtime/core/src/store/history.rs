//! What a store tells of the past: attempts that have ended, and what became of records.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Fate;
use crate::event::{ChannelId, DeliveryId, Event, Offset, Origin, ReactorId};

/// An attempt that has ended, on its way into the store with its commit. It shares the event and the digest, so that
/// keeping an attempt copies no text.
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

/// An attempt that has ended, as the store keeps it for the configured time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAttempt {
    /// Of which delivery. One that is redriven has another number from then on.
    pub delivery: DeliveryId,
    /// For whom.
    pub reactor: ReactorId,
    /// Where the event was.
    pub origin: Origin,
    /// Counted from 1, and again from 1 after a redrive.
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

/// Which kept attempts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptsOf {
    /// Those at the events of a record.
    Record(ChannelId, Offset),
    /// Those of a delivery.
    Delivery(DeliveryId),
    /// Those at events with this id.
    Event(String),
    /// Those at events with this correlation id.
    Correlation(String),
}

/// What became of an event for one reactor, or of a record that nobody was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Where the event is.
    pub origin: Origin,
    /// For whom; `None` for the dead letter of a record that was no event, or of an event that no reactor wanted.
    pub reactor: Option<ReactorId>,
    /// What became of it.
    pub fate: Fate,
}

/// All that the store knows of some records.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Every delivery and every duplicate, in the order of the log, and of reactors' numbers within an event.
    pub all: Vec<Trace>,
    /// Of records before this one there may have been more: the ledger has forgotten what is as old, or an earlier
    /// version did not note everything.
    pub complete_from: Offset,
}
