//! Step: turns bytes and attributes into events, or says why not. No I/O, and no input makes it panic.
//!
//! A body that must be JSON is checked once as a whole (see [`reactor_core::json`]); the formats then pick their
//! fields.

mod auto;
mod cloudevents;
mod draft;
mod encode;
mod error;
mod eventbridge;
mod fields;
mod finish;
mod identity;
mod input;
mod known;
mod native;
mod payload;
mod raw;
mod s3;
mod shape;
mod sns;
mod text;

use std::collections::BTreeSet;

use reactor_config::model::{ChannelConfig, Format};
use reactor_core::event::{Event, Identity, Message};

use crate::view::{Slot, Wanted};
use draft::Draft;
use input::Input;

pub use encode::{MAX_ATTRIBUTES, check_event, encode_cloudevents, encode_native};
pub use error::{DecodeError, Reason};

/// What decoding needs to know of a channel, prepared once.
#[derive(Clone, Debug)]
pub struct Settings {
    channel: String,
    max_event: usize,
    format: Prepared,
    identity: Option<(Wanted, Slot)>,
    /// Sources whose hop counts are trusted.
    emitters: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Prepared {
    Auto,
    Native,
    CloudEvents,
    Sns,
    EventBridge,
    S3,
    Raw(Box<raw::Plan>),
}

/// What a message holds: at least one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Its events, in order.
    pub events: Vec<Decoded>,
    /// What is wrong with the other elements of a batch, and which ones they are.
    pub broken: Option<DecodeError>,
}

impl Contents {
    /// The events, for callers that want all or none of a message.
    ///
    /// # Errors
    /// An element is broken.
    pub fn whole(self) -> Result<Vec<Decoded>, DecodeError> {
        self.broken.map_or(Ok(self.events), Err)
    }
}

/// One event of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Which element of its message it is, from 0: the `part` of its origin.
    pub part: u32,
    /// The event. Its data is a slice of the message's body wherever that is possible.
    pub event: Event,
    /// Equal exactly for events that count as the same. Taken from the first of these that is there: the configured
    /// JSON pointer; the envelope's source and id; the SNS message id; the FIFO deduplication id; the id that the
    /// transport gave the message; the bytes.
    pub identity: Identity,
}

impl Settings {
    /// Prepares a channel's settings.
    pub fn new(channel: &ChannelConfig) -> Self {
        let identity = channel.identity.as_ref().map(|pointer| {
            let mut wanted = Wanted::default();
            let slot = wanted.insert(pointer);
            (wanted, slot)
        });
        let format = match &channel.format {
            Format::Auto => Prepared::Auto,
            Format::Native => Prepared::Native,
            Format::CloudEvents => Prepared::CloudEvents,
            Format::Sns => Prepared::Sns,
            Format::EventBridge => Prepared::EventBridge,
            Format::S3 => Prepared::S3,
            Format::Raw(raw) => Prepared::Raw(Box::new(raw::Plan::new(raw))),
        };
        Self {
            channel: channel.name.clone(),
            max_event: channel.max_event,
            format,
            identity,
            emitters: BTreeSet::new(),
        }
    }

    /// Trusts the hop counts of events from these sources, the host's own reactors. Other events have 0 hops.
    #[must_use]
    pub fn with_emitters<'n>(mut self, names: impl Iterator<Item = &'n String>) -> Self {
        self.emitters = names.cloned().collect();
        self
    }
}

/// Decodes a message into its events, at least one. A bad element of a batch does not affect the good ones.
///
/// # Errors
/// It holds no usable event.
pub fn decode(message: &Message, settings: &Settings) -> Result<Contents, DecodeError> {
    let size = message.size();
    if size > settings.max_event {
        let limit = settings.max_event;
        let detail = format!(
            "the message has {size} bytes with its attributes, more than the {limit} that channel \"{}\" takes; \
             send a reference to the data, or raise its `max-event`",
            settings.channel
        );
        return Err(DecodeError::new(Reason::TooLarge, detail));
    }
    let input = Input { message, channel: &settings.channel, notification: None, around: None };
    let drafts = match &settings.format {
        Prepared::Auto => auto::decode(&input),
        Prepared::Native => input.object("native").and_then(|object| one(native::decode(&input, &object))),
        Prepared::CloudEvents => cloudevents::decode(&input),
        Prepared::Sns => auto::decode(&input),
        Prepared::EventBridge => {
            input.object("EventBridge").and_then(|object| one(eventbridge::decode(&input, &object)))
        }
        Prepared::S3 => input.object("S3").and_then(|object| s3::decode(&input, &object)),
        Prepared::Raw(plan) => one(raw::decode(&input, plan)),
    };
    let named = |error: DecodeError| error.of_known_shape(|| known::describe(&message.body));
    let drafts = drafts.map_err(named)?;
    let (mut events, mut broken) = (Vec::with_capacity(drafts.len()), Vec::new());
    for (part, draft) in (0..).zip(drafts) {
        match draft {
            Ok(draft) => events.push(draft.finish(part, message, settings)),
            Err(error) => broken.push(error),
        }
    }
    let broken = DecodeError::of_several(broken);
    if events.is_empty()
        && let Some(error) = broken
    {
        return Err(named(error));
    }
    Ok(Contents { events, broken })
}

/// The decoded elements of a message, each good or bad; an error if none can be used.
type Drafts = Result<Vec<Result<Draft, DecodeError>>, DecodeError>;

fn one(draft: Result<Draft, DecodeError>) -> Drafts {
    draft.map(|draft| vec![Ok(draft)])
}

#[cfg(test)]
mod tests;
