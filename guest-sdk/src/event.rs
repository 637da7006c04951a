//! A handler's input: the envelope, and the data in the handler's own type.

use serde::de::DeserializeOwned;

use crate::outcome::{Failure, reject};
use crate::place;
use crate::timestamp::Timestamp;

/// An immutable record of something that happened, with its data as a `T`.
///
/// `T` is any type that implements [`serde::Deserialize`]; it is read directly from the data's bytes, which is several
/// times faster than going through a [`serde_json::Value`] (which works, too). A handler that wants the original bytes,
/// or that takes several types of event, uses [`Event<Raw>`](Raw).
#[derive(Clone, Debug, PartialEq)]
pub struct Event<T> {
    /// The envelope's id; unique together with `source`.
    pub id: String,
    /// Dotted type, such as `order.placed`.
    pub event_type: String,
    /// Major version of the data's schema; 1 if the envelope has none.
    pub version: u32,
    /// The publisher.
    pub source: String,
    /// When it happened, according to the producer.
    pub time: Option<Timestamp>,
    /// What it is about.
    pub subject: Option<String>,
    /// The id of the flow that this event belongs to.
    pub correlation_id: String,
    /// The id of the event that caused this one.
    pub causation_id: Option<String>,
    /// The producer's ordering key.
    pub partition_key: Option<String>,
    /// Media type of the data, usually `application/json`.
    pub content_type: String,
    /// The payload.
    pub data: T,
}

/// The data of an event as it was sent: JSON text for `application/json`, otherwise bytes of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(Vec<u8>);

impl Raw {
    /// Wraps bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Raw {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Types that an event's data can be read as: [`Raw`], and every type that serde can deserialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from the data of an event",
    note = "derive `serde::Deserialize` for it, or take `Event<Raw>`"
)]
pub trait FromData: Sized {
    /// Reads the data, or returns what is wrong with it and where.
    fn from_data(data: Vec<u8>) -> Result<Self, String>;
}

impl FromData for Raw {
    fn from_data(data: Vec<u8>) -> Result<Self, String> {
        Ok(Self(data))
    }
}

impl<T: DeserializeOwned> FromData for T {
    fn from_data(data: Vec<u8>) -> Result<Self, String> {
        read(&data)
    }
}

impl Event<Raw> {
    /// The data read as a `T`, for a handler that takes several types of event. Data that is not a `T` is a
    /// [rejection](crate::reject), because another attempt would fail the same way.
    ///
    /// ```
    /// use reactor_guest::prelude::*;
    /// # use serde::Deserialize;
    /// # #[derive(Deserialize)] struct Placed { quantity: u32 }
    /// # #[derive(Deserialize)] struct Cancelled {}
    /// # fn placed(order: &Placed, cx: &Context) -> Outcome { Ok(()) }
    /// # fn cancelled(order: &Cancelled, cx: &Context) -> Outcome { Ok(()) }
    ///
    /// #[reactor]
    /// fn orders(event: Event<Raw>, cx: &Context) -> Outcome {
    ///     match event.event_type.as_str() {
    ///         "order.placed" => placed(&event.parse()?, cx),
    ///         "order.cancelled" => cancelled(&event.parse()?, cx),
    ///         other => Err(reject(format!("{other} is not for this reactor"))),
    ///     }
    /// }
    /// # use reactor_guest::testing::{Run, json};
    /// # Run::new(orders).event("order.placed", json!({ "quantity": 1 })).assert_done();
    /// # Run::new(orders).event("order.cancelled", json!({})).assert_done();
    /// # Run::new(orders).event("order.placed", json!({})).assert_rejected("missing field `quantity`");
    /// ```
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read(&self.data.0).map_err(|error| unreadable(&self.event_type, self.version, &self.content_type, &error))
    }

    /// The same event with its data read as a `T`; rejected as by [`parse`](Self::parse) if that is not possible.
    pub fn into_typed<T: FromData>(self) -> Result<Event<T>, Failure> {
        match T::from_data(self.data.0) {
            Ok(data) => Ok(Event {
                id: self.id,
                event_type: self.event_type,
                version: self.version,
                source: self.source,
                time: self.time,
                subject: self.subject,
                correlation_id: self.correlation_id,
                causation_id: self.causation_id,
                partition_key: self.partition_key,
                content_type: self.content_type,
                data,
            }),
            Err(error) => Err(unreadable(&self.event_type, self.version, &self.content_type, &error)),
        }
    }
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Result<T, String> {
    serde_json::from_slice(data)
        .map_err(|error| format!("it is not {}: {}", place::type_name::<T>(), place::describe(data, &error)))
}

/// Not generic, so that a guest with ten event types contains it once.
#[cold]
fn unreadable(event_type: &str, version: u32, content_type: &str, error: &str) -> Failure {
    let mut reason = format!("the data of {event_type} version {version} cannot be read: {error}");
    if content_type != "application/json" {
        reason.push_str(&format!(" (its content type is {content_type})"));
    }
    reject(reason)
}
