//! Publishing events.

use serde::Serialize;

use crate::host::Host;
use crate::outcome::{Failure, retry};

/// An event to be published, from [`Context::new_event`](crate::Context::new_event).
///
/// ```
/// # use reactor_guest::prelude::*;
/// # use reactor_guest::testing::{Run, json};
/// # fn f(_: Event<Raw>, cx: &Context) -> Outcome {
/// let id = cx.new_event("payment.captured").version(2).subject("order/o-1").publish(&json!({ "amount": 5 }))?;
/// cx.info(format_args!("it will be {id}"));
/// # Ok(()) }
/// # Run::new(f).event("x.y", json!(1)).assert_done();
/// ```
#[derive(Debug)]
#[must_use = "nothing is published until `publish` is called"]
pub struct NewEvent<'a> {
    host: &'a Host,
    event: Published,
}

/// The event as passed to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) event_type: String,
    pub(crate) version: u32,
    pub(crate) subject: Option<String>,
    pub(crate) partition_key: Option<String>,
    pub(crate) content_type: String,
    pub(crate) data: Vec<u8>,
}

impl<'a> NewEvent<'a> {
    pub(crate) fn new(host: &'a Host, event_type: String) -> Self {
        let event = Published {
            event_type,
            version: 1,
            subject: None,
            partition_key: None,
            content_type: "application/json".to_owned(),
            data: Vec::new(),
        };
        Self { host, event }
    }

    /// Sets the major version of the data's schema; default 1.
    pub fn version(mut self, version: u32) -> Self {
        self.event.version = version;
        self
    }

    /// Sets what the event is about.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.event.subject = Some(subject.into());
        self
    }

    /// Sets the ordering key; by default the incoming event's.
    pub fn partition_key(mut self, key: impl Into<String>) -> Self {
        self.event.partition_key = Some(key.into());
        self
    }

    /// Publishes the event with this data, as JSON, when the run commits. Returns its future id, which is the same in
    /// every attempt. Data without a JSON form is a retry, like every error.
    pub fn publish<T: Serialize + ?Sized>(mut self, data: &T) -> Result<String, Failure> {
        self.event.data = serde_json::to_vec(data).map_err(|error| no_json(&self.event.event_type, &error))?;
        Ok(self.host.publish(self.event))
    }

    /// Publishes the event with exactly these bytes when the run commits. Returns its future id.
    pub fn publish_bytes(mut self, content_type: impl Into<String>, data: impl Into<Vec<u8>>) -> String {
        self.event.content_type = content_type.into();
        self.event.data = data.into();
        self.host.publish(self.event)
    }
}

#[cold]
fn no_json(event_type: &str, error: &serde_json::Error) -> Failure {
    retry(format_args!("the data of the new {event_type} cannot be written as JSON: {error}"))
}
