//! Publishing events.

use serde::Serialize;

use crate::context::Context;
use crate::outcome::{Failure, Outcome, reject};

/// An event on its way out; see [`Context::emission`].
#[derive(Debug)]
#[must_use = "an emission does nothing until it is sent"]
pub struct Emission<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) event: NewEvent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub(crate) event_type: String,
    pub(crate) version: u32,
    pub(crate) subject: Option<String>,
    pub(crate) partition_key: Option<String>,
    pub(crate) content_type: String,
    pub(crate) data: Vec<u8>,
}

impl NewEvent {
    pub(crate) fn of_type(event_type: &str) -> Self {
        Self {
            event_type: event_type.to_owned(),
            version: 1,
            subject: None,
            partition_key: None,
            content_type: "application/json".to_owned(),
            data: Vec::new(),
        }
    }
}

impl Emission<'_> {
    /// Major version of the data's schema; 1 unless set.
    pub fn version(mut self, version: u32) -> Self {
        self.event.version = version;
        self
    }

    /// What the event is about.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.event.subject = Some(subject.into());
        self
    }

    /// Ordering key; the incoming event's unless set.
    pub fn partition_key(mut self, key: impl Into<String>) -> Self {
        self.event.partition_key = Some(key.into());
        self
    }

    /// Publishes it with this payload as JSON when the run commits. Answers the id that it will have.
    pub fn send<T: Serialize + ?Sized>(mut self, data: &T) -> Result<String, Failure> {
        self.event.data = serde_json::to_vec(data)
            .map_err(|error| reject(format_args!("the data of `{}` is no JSON: {error}", self.event.event_type)))?;
        Ok(self.cx.host.publish(self.event))
    }

    /// Publishes it with these bytes as they are. Answers the id that it will have.
    pub fn send_bytes(mut self, content_type: impl Into<String>, data: Vec<u8>) -> String {
        self.event.content_type = content_type.into();
        self.event.data = data;
        self.cx.host.publish(self.event)
    }
}

impl Context {
    /// Publishes an event when the run commits, to the channel that the configuration names for its type.
    pub fn emit<T: Serialize + ?Sized>(&self, event_type: &str, data: &T) -> Outcome {
        self.emission(event_type).send(data).map(drop)
    }

    /// An event to be published with more than a type and a payload.
    pub fn emission(&self, event_type: &str) -> Emission<'_> {
        Emission { cx: self, event: NewEvent::of_type(event_type) }
    }
}
