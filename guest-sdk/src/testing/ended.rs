//! The result of one event.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::emit::Published;
use crate::event::{Event, Raw};
use crate::http::Sent;
use crate::log::Level;

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With success.
    #[default]
    Done,
    /// The handler, or an error that it passed on with `?`, requests another attempt.
    Retried {
        /// Why.
        reason: String,
        /// Minimum time before the next attempt.
        after: Option<Duration>,
    },
    /// It can never succeed.
    Rejected {
        /// Why.
        reason: String,
    },
    /// The handler panicked, which is a trap in the host.
    Trapped {
        /// The panic's message.
        message: String,
    },
}

/// A run that has ended, with its effects.
///
/// The writes and events of a failed run never happened: they are in `dropped_writes` and `dropped_emits`.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// How it ended.
    pub ending: Ending,
    /// The events that it published, in order.
    pub emits: Vec<Emitted>,
    /// The last write per key, as bytes; `None` deletes.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
    /// The events that it would have published.
    pub dropped_emits: Vec<Emitted>,
    /// The writes that were not applied.
    pub dropped_writes: BTreeMap<String, Option<Vec<u8>>>,
    /// The lines that it logged, in order; kept even if it failed.
    pub logs: Vec<(Level, String)>,
    /// The HTTP requests that it sent, in order; they were sent even if it failed.
    pub requests: Vec<Sent>,
}

impl Ended {
    /// # Panics
    /// If the run did not succeed.
    #[track_caller]
    pub fn assert_done(self) -> Self {
        assert_eq!(self.ending, Ending::Done, "the run did not end well");
        self
    }

    /// # Panics
    /// If the run was not rejected with a reason that contains this text.
    #[track_caller]
    pub fn assert_rejected(self, text: &str) -> Self {
        match &self.ending {
            Ending::Rejected { reason } if reason.contains(text) => self,
            other => panic!("expected a rejection with {text:?}, got {other:?}"),
        }
    }

    /// # Panics
    /// If the run is not to be retried with a reason that contains this text.
    #[track_caller]
    pub fn assert_retried(self, text: &str) -> Self {
        match &self.ending {
            Ending::Retried { reason, .. } if reason.contains(text) => self,
            other => panic!("expected a retry with {text:?}, got {other:?}"),
        }
    }

    /// # Panics
    /// If the handler did not panic with a message that contains this text.
    #[track_caller]
    pub fn assert_trapped(self, text: &str) -> Self {
        match &self.ending {
            Ending::Trapped { message } if message.contains(text) => self,
            other => panic!("expected a panic with {text:?}, got {other:?}"),
        }
    }

    /// # Panics
    /// If the run published no event of this type.
    #[track_caller]
    pub fn assert_emitted(self, event_type: &str) -> Self {
        let types: Vec<_> = self.emits.iter().map(|emit| &emit.event_type).collect();
        assert!(types.iter().any(|other| *other == event_type), "no {event_type} among {types:?}");
        self
    }

    /// # Panics
    /// If the run published anything.
    #[track_caller]
    pub fn assert_silent(self) -> Self {
        assert!(self.emits.is_empty(), "expected no events, got {:?}", self.emits);
        self
    }

    /// The only event that the run published.
    ///
    /// # Panics
    /// If it published none or several.
    #[track_caller]
    pub fn emit(&self) -> &Emitted {
        match self.emits.as_slice() {
            [emit] => emit,
            other => panic!("expected one event, got {other:?}"),
        }
    }
}

/// An event that a run published.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// Its id, as returned by the publishing call.
    pub id: String,
    /// Dotted type.
    pub event_type: String,
    /// Major version of the data's schema.
    pub version: u32,
    /// What it is about.
    pub subject: Option<String>,
    /// Ordering key; the incoming event's if the handler set none.
    pub partition_key: Option<String>,
    /// The id of the event that the handler ran on.
    pub causation_id: String,
    /// The correlation id of the event that the handler ran on.
    pub correlation_id: String,
    /// Media type of `data`.
    pub content_type: String,
    /// The payload.
    pub data: Vec<u8>,
}

impl Emitted {
    pub(super) fn new(number: usize, event: Published, parent: &Event<Raw>) -> Self {
        Self {
            id: format!("{}/{number}", parent.id),
            event_type: event.event_type,
            version: event.version,
            subject: event.subject,
            partition_key: event.partition_key.or_else(|| parent.partition_key.clone()),
            causation_id: parent.id.clone(),
            correlation_id: parent.correlation_id.clone(),
            content_type: event.content_type,
            data: event.data,
        }
    }

    /// The payload, read as JSON.
    ///
    /// # Panics
    /// If it is not a `T`.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.data).unwrap_or_else(|error| panic!("data of {}: {error}", self.event_type))
    }

    /// The event as its consumers get it; its source is `test`.
    pub fn into_event(self) -> Event<Raw> {
        Event {
            id: self.id,
            event_type: self.event_type,
            version: self.version,
            source: "test".to_owned(),
            time: None,
            subject: self.subject,
            correlation_id: self.correlation_id,
            causation_id: Some(self.causation_id),
            partition_key: self.partition_key,
            content_type: self.content_type,
            data: Raw::new(self.data),
        }
    }
}
