//! A dead letter: what is kept of a delivery that ended without success, or of a message that never became one.

use jiff::Timestamp;

use crate::event::{AttemptRecord, ChannelId, Event, Identity, LaneKey, Message, Offset, Origin, ReactorId};

/// The reason code of a message that could not be decoded.
pub const INVALID_EVENT: &str = "invalid-event";

/// The reason code of an event that no reactor wanted: kept by policy; the message is valid.
pub const UNROUTED: &str = "unrouted";

/// The reason code of a delivery whose event cannot be read again.
pub const UNREADABLE: &str = "unreadable";

/// The reason code of a message that its destination channel will never accept.
pub const UNDELIVERABLE: &str = "undeliverable";

/// A delivery that ended without success, or a message that never became one.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The reactor; `None` if the message could not be decoded or no reactor wanted it.
    pub reactor: Option<ReactorId>,
    /// Where it came from.
    pub origin: Origin,
    /// The message as it was received.
    pub message: Message,
    /// The event's id, if it has one.
    pub event_id: Option<String>,
    /// The event's type, if it has one.
    pub event_type: Option<String>,
    /// The event's correlation id, if it has one.
    pub correlation_id: Option<String>,
    /// Reason code: `rejected`, `retries-exhausted`, `trap`, `invalid-event`, ...
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// Every attempt, oldest first.
    pub history: Vec<AttemptRecord>,
    /// The lane that it parks, if the policy says so.
    pub parks: Option<LaneKey>,
    /// Dedup key within the reactor; meaningless without a reactor. The dead letter of a delivery gets the delivery's
    /// key.
    pub key: Identity,
    /// When it ended, by the wall clock.
    pub at: Timestamp,
}

impl DeadLetter {
    /// A letter about a message of which nothing else is known.
    fn new(origin: Origin, message: Message, reason: &str, detail: String, at: Timestamp) -> Self {
        Self {
            reactor: None,
            origin,
            message,
            event_id: None,
            event_type: None,
            correlation_id: None,
            reason: reason.to_owned(),
            detail,
            history: Vec::new(),
            parks: None,
            key: Identity::of(&[]),
            at,
        }
    }

    /// The same letter, naming the event in the message.
    fn about(mut self, event: &Event) -> Self {
        self.event_id = Some(event.id.clone());
        self.event_type = Some(event.event_type.clone());
        self.correlation_id = Some(event.correlation_id.clone());
        self
    }

    /// For a message that cannot be decoded as an event.
    pub fn undecodable(origin: Origin, message: Message, detail: String, at: Timestamp) -> Self {
        Self::new(origin, message, INVALID_EVENT, detail, at)
    }

    /// For an event that no reactor wants.
    pub fn unrouted(origin: Origin, message: Message, event: &Event, at: Timestamp) -> Self {
        let detail = format!("no reactor's `on` and `when` match an event of type `{}`", event.event_type);
        Self::new(origin, message, UNROUTED, detail, at).about(event)
    }

    /// For a message that a remote channel rejects.
    pub fn undeliverable(channel: ChannelId, message: Message, detail: String, at: Timestamp) -> Self {
        let origin = Origin { channel, offset: Offset(0), part: 0 };
        let event_id = message.system.dedup_id.clone();
        Self { event_id, ..Self::new(origin, message, UNDELIVERABLE, detail, at) }
    }

    /// For a delivery whose event cannot be read again.
    pub fn unreadable(
        (reactor, key): (ReactorId, Identity),
        (origin, message): (Origin, Message),
        history: Vec<AttemptRecord>,
        detail: String,
        at: Timestamp,
    ) -> Self {
        Self { reactor: Some(reactor), key, history, ..Self::new(origin, message, UNREADABLE, detail, at) }
    }

    /// For a delivery that was run: the letter states what its last attempt reported. It parks no lane.
    pub fn of_run(
        (reactor, key): (ReactorId, Identity),
        (origin, message, event): (Origin, Message, &Event),
        reason: &str,
        mut history: Vec<AttemptRecord>,
        last: AttemptRecord,
    ) -> Self {
        let letter = Self::new(origin, message, reason, last.error.clone(), last.at).about(event);
        history.push(last);
        Self { reactor: Some(reactor), key, history, ..letter }
    }
}
