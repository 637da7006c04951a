//! The event that a reactor is given.

use serde::de::DeserializeOwned;

use crate::outcome::{Failure, reject};

/// An immutable record of something that happened, with its payload as a `T`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event<T> {
    /// The envelope's id; unique together with `source`.
    pub id: String,
    /// Dotted type, such as `order.placed`.
    pub event_type: String,
    /// Major version of the data's schema; 1 where the envelope has none.
    pub version: u32,
    /// Who published it.
    pub source: String,
    /// When it happened, as the producer says: milliseconds since 1970.
    pub time: Option<u64>,
    /// What it is about.
    pub subject: Option<String>,
    /// Names the flow that this event belongs to.
    pub correlation_id: String,
    /// The id of the event that caused this one.
    pub causation_id: Option<String>,
    /// The producer's ordering key.
    pub partition_key: Option<String>,
    /// Media type of the payload.
    pub content_type: String,
    /// The payload.
    pub data: T,
}

/// A payload that is looked at later, or never: the bytes as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

/// What the data of an event can be read as: anything that implements [`serde::Deserialize`], or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "the data of an event cannot be read as `{Self}`",
    label = "`{Self}` implements neither `serde::Deserialize` nor is it `Raw`",
    note = "derive `serde::Deserialize` for it, or take an `Event<Raw>`"
)]
pub trait Payload: Sized {
    /// Reads it; an error says what is wrong and where.
    fn read(data: Vec<u8>) -> Result<Self, String>;
}

impl<T: DeserializeOwned> Payload for T {
    fn read(data: Vec<u8>) -> Result<Self, String> {
        serde_json::from_slice(&data).map_err(|error| error.to_string())
    }
}

impl Payload for Raw {
    fn read(data: Vec<u8>) -> Result<Self, String> {
        Ok(Self(data))
    }
}

impl Event<Raw> {
    /// Reads the payload as `T`, for a reactor that takes events of several types. What cannot be read is rejected.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.data.0).map_err(|error| unreadable(&self.event_type, &error.to_string()))
    }

    /// Reads the payload; what cannot be read is rejected.
    pub(crate) fn typed<T: Payload>(self) -> Result<Event<T>, Failure> {
        let data = T::read(self.data.0).map_err(|error| unreadable(&self.event_type, &error))?;
        Ok(Event {
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
        })
    }
}

fn unreadable(event_type: &str, error: &str) -> Failure {
    reject(format_args!("the data of this `{event_type}` is not what the reactor expects: {error}"))
}
