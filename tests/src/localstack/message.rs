//! Messages to and from LocalStack.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use serde_json::Value;

/// A message to be sent or published.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Its body.
    pub body: String,
    /// Message attributes of the type String.
    pub attributes: BTreeMap<String, String>,
    /// For FIFO queues and topics.
    pub group: Option<String>,
    /// For FIFO queues and topics.
    pub dedup: Option<String>,
    /// How long it cannot be received, in whole seconds; for standard queues.
    pub delay: Option<Duration>,
}

impl Outgoing {
    /// A message with only this body.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// A message for a FIFO queue or topic.
    pub fn fifo(body: impl Into<String>, group: &str, dedup: &str) -> Self {
        Self { group: Some(group.into()), dedup: Some(dedup.into()), ..Self::new(body) }
    }

    /// Adds a message attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    pub(super) fn sqs_attributes(&self) -> Option<HashMap<String, MessageAttributeValue>> {
        let value = |text: &String| MessageAttributeValue::builder().data_type("String").string_value(text).build();
        let all = self.attributes.iter().map(|(name, text)| (name.clone(), value(text).expect("a data type")));
        (!self.attributes.is_empty()).then(|| all.collect())
    }

    pub(super) fn sns_attributes(&self) -> Option<HashMap<String, aws_sdk_sns::types::MessageAttributeValue>> {
        let value = |text: &String| {
            aws_sdk_sns::types::MessageAttributeValue::builder().data_type("String").string_value(text).build()
        };
        let all = self.attributes.iter().map(|(name, text)| (name.clone(), value(text).expect("a data type")));
        (!self.attributes.is_empty()).then(|| all.collect())
    }

    pub(super) fn delay_seconds(&self) -> Option<i32> {
        self.delay.map(|delay| i32::try_from(delay.as_secs()).expect("at most 900 seconds"))
    }
}

impl From<&str> for Outgoing {
    fn from(body: &str) -> Self {
        Self::new(body)
    }
}

impl From<String> for Outgoing {
    fn from(body: String) -> Self {
        Self::new(body)
    }
}

/// A message that was received and is leased.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message's id.
    pub id: String,
    /// Its body.
    pub body: String,
    /// Its text-valued message attributes.
    pub attributes: BTreeMap<String, String>,
    /// System attributes from the queue, such as `ApproximateReceiveCount` and `MessageGroupId`.
    pub system: BTreeMap<String, String>,
    /// The receipt to delete it with.
    pub receipt: String,
}

impl Received {
    /// The body, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl From<Message> for Received {
    fn from(message: Message) -> Self {
        let text = |(name, value): (String, MessageAttributeValue)| value.string_value.map(|text| (name, text));
        let system = message.attributes.unwrap_or_default().into_iter();
        Self {
            id: message.message_id.expect("an id"),
            body: message.body.unwrap_or_default(),
            attributes: message.message_attributes.unwrap_or_default().into_iter().filter_map(text).collect(),
            system: system.map(|(name, value)| (name.as_str().to_owned(), value)).collect(),
            receipt: message.receipt_handle.expect("a receipt"),
        }
    }
}

/// The numbers of messages that a queue reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Available to receive.
    pub visible: u64,
    /// Leased to a receiver.
    pub in_flight: u64,
    /// Not available yet.
    pub delayed: u64,
}

impl Depth {
    /// The total.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}
