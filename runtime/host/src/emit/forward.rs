//! Forwards dead letters to a channel: as an event to a local one, and as the original message to a remote one, so that
//! moving it back, by this program or by AWS's own redrive, gives the consumer what it first received.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use reactor_core::attribute::{self, Attribute};
use reactor_core::event::{AttemptRecord, DEAD_LETTER_TYPE, Event, Identity, Message};
use reactor_core::guest::Emit;
use reactor_core::store::{DeadLetter, Target};

use crate::decode::{MAX_ATTRIBUTES, encode_native};
use crate::emit::emitted;

/// The attribute that marks a remote message as a dead letter; its value is a [`Note`] as JSON.
pub const DEAD_LETTER_ATTRIBUTE: &str = "reactor-dead-letter";

/// Most bytes of a note, and of one error in it.
const MAX_NOTE: usize = 16 << 10;
const SHORT_ERROR: usize = 256;

/// What a forwarded dead letter says about itself, in addition to the original message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The reactor that failed on it; empty if it belongs to none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reactor: String,
    /// Reason code.
    pub reason: String,
    /// In words.
    pub detail: String,
    /// The channel that it was received from.
    pub channel: String,
    /// The event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The event's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The event's correlation id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How many attempts there were.
    pub attempts: usize,
    /// blake3 of the module that ran last, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The attempts, oldest first; the older ones are left out where there is no room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<AttemptRecord>,
    /// Attributes of the message that did not fit in addition to this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// The id that the channel had given the message, and its FIFO deduplication id: it may be known by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// See above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup_id: Option<String>,
    /// How many reactors have emitted or forwarded it on its way, this one included.
    #[serde(default)]
    pub hops: u32,
    /// The body is base64, because it is no text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base64: bool,
}

impl Note {
    /// How many reactors have emitted or forwarded a message received from this channel. Back in its own channel, it
    /// keeps its earlier count: a person moved it, which is not a step of a chain.
    pub(crate) fn hops_to(&self, channel: &str) -> u32 {
        self.hops.saturating_sub(u32::from(self.channel == channel))
    }
}

/// A dead letter as an event: what failed, why, how often, and the message itself. `source` is the reactor that failed
/// on it or, if it belongs to none, the channel that it came through.
///
/// If that exceeds `limit` bytes, the message is replaced by its size.
pub(crate) fn as_event(parent: &Event, source: &str, id: String, letter: &DeadLetter, limit: usize) -> Message {
    let whole = event_with(parent, source, &id, letter, message_as_json(&letter.message));
    if whole.size() <= limit {
        return whole;
    }
    event_with(parent, source, &id, letter, serde_json::json!({ "leftOut": letter.message.size() }))
}

fn message_as_json(message: &Message) -> serde_json::Value {
    let (name, body) = match std::str::from_utf8(&message.body) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => ("bodyBase64", BASE64_STANDARD.encode(&message.body)),
    };
    serde_json::json!({
        name: body,
        "attributes": message.attributes_as_json(),
        "attributeTypes": attribute::kinds(&message.attributes),
    })
}

fn event_with(parent: &Event, source: &str, id: &str, letter: &DeadLetter, message: serde_json::Value) -> Message {
    let data = serde_json::json!({
        "reactor": letter.reactor.map(|_| source),
        "reason": letter.reason,
        "detail": letter.detail,
        "attempts": letter.history,
        "eventId": letter.event_id,
        "eventType": letter.event_type,
        "message": message,
    });
    let emit = Emit {
        event_type: DEAD_LETTER_TYPE.to_owned(),
        version: 1,
        subject: letter.event_id.clone(),
        partition_key: parent.partition_key.clone(),
        content_type: "application/json".to_owned(),
        data: data.to_string().into(),
    };
    let event = emitted(parent, source, id.to_owned(), emit, letter.at, parent.trace_parent.clone());
    Message::from_body(encode_native(&event))
}

/// Where the dead letters of a channel go that belong to no reactor.
#[derive(Debug)]
pub(crate) struct Forwarding {
    /// The name of the channel that they go to.
    pub(crate) to: String,
    pub(crate) target: Target,
    /// The largest message of that channel, in bytes.
    pub(crate) limit: usize,
    /// Most reactors that may have emitted or forwarded it before.
    pub(crate) hop_limit: u32,
}

impl Forwarding {
    /// The copy of a letter that came through the channel `from`. A letter at the hop limit is not forwarded, and says
    /// so: a message that cannot be decoded here cannot be decoded in the next channel either.
    pub(crate) fn copy(&self, from: &str, letter: &mut DeadLetter, hops: u32) -> Option<(Target, Message)> {
        if hops >= self.hop_limit {
            letter.detail = format!("{} ({})", letter.detail, not_forwarded(&self.to, hops));
            return None;
        }
        let known_as = letter.message.system.message_id.clone().unwrap_or_default();
        let part = letter.origin.part.to_be_bytes();
        let id = Identity::of(&[b"forwarded", from.as_bytes(), known_as.as_bytes(), &part, &letter.message.body]);
        let id = id.to_string();
        let message = match self.target {
            Target::Log(_) => {
                let mut parent = Event::bare(letter.event_id.clone().unwrap_or(known_as), from.to_owned());
                parent.hop = hops;
                parent.correlation_id = letter.correlation_id.clone().unwrap_or_else(|| parent.id.clone());
                as_event(&parent, from, id, letter, self.limit)
            }
            Target::Outbox(_) => as_message(&Way { reactor: "", from, hops: hops + 1, limit: self.limit }, id, letter),
        };
        Some((self.target, message))
    }
}

/// Why a copy of a dead letter does not go to a channel, for its text.
pub(crate) fn not_forwarded(to: &str, hops: u32) -> String {
    format!("not forwarded to `{to}`: {hops} reactors have emitted or forwarded it already")
}

/// The route of a dead letter that is forwarded as a message.
pub(crate) struct Way<'w> {
    /// The reactor that failed on it; empty if it belongs to none.
    pub(crate) reactor: &'w str,
    /// The channel that it was received from.
    pub(crate) from: &'w str,
    /// How many reactors have emitted or forwarded it, this one included.
    pub(crate) hops: u32,
    /// The largest message of the channel that it goes to, in bytes.
    pub(crate) limit: usize,
}

/// A dead letter as the original message with a note. If both exceed the limit, the note is shortened.
pub(crate) fn as_message(way: &Way<'_>, id: String, letter: &DeadLetter) -> Message {
    let mut message = letter.message.clone();
    message.attributes.retain(|attribute| attribute.name != DEAD_LETTER_ATTRIBUTE);
    let overflow = message.attributes.split_off(message.attributes.len().min(MAX_ATTRIBUTES - 1));
    // Queues carry text, and of that only what XML 1.0 can hold.
    let plain = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let base64 = !std::str::from_utf8(&message.body).is_ok_and(|text| text.chars().all(plain));
    if base64 {
        message.body = BASE64_STANDARD.encode(&message.body).into();
    }
    let (message_id, dedup_id) = (message.system.message_id.take(), message.system.dedup_id.replace(id));
    let note = Note {
        reactor: way.reactor.to_owned(),
        reason: letter.reason.clone(),
        detail: letter.detail.clone(),
        channel: way.from.to_owned(),
        event_id: letter.event_id.clone(),
        event_type: letter.event_type.clone(),
        correlation_id: letter.correlation_id.clone(),
        attempts: letter.history.len(),
        module: letter.history.last().map(|attempt| attempt.module.clone()),
        history: letter.history.clone(),
        attributes: overflow,
        message_id,
        dedup_id,
        hops: way.hops,
        base64,
    };
    let room = way.limit.saturating_sub(message.size() + DEAD_LETTER_ATTRIBUTE.len()).min(MAX_NOTE);
    message.attributes.push(Attribute::text(DEAD_LETTER_ATTRIBUTE, fit(note, room)));
    message
}

/// The note as JSON, shortened until it fits; what is needed to send the message back is never cut.
fn fit(mut note: Note, room: usize) -> String {
    let text = |note: &Note| serde_json::to_string(note).unwrap_or_default();
    let mut json = text(&note);
    if json.len() > room {
        note.detail = shortened(&note.detail);
        note.history.iter_mut().for_each(|attempt| attempt.error = shortened(&attempt.error));
        json = text(&note);
    }
    while json.len() > room && !note.history.is_empty() {
        note.history.remove(0);
        json = text(&note);
    }
    if json.len() > room {
        note.detail.clear();
        json = text(&note);
    }
    json
}

fn shortened(text: &str) -> String {
    text.chars().take(SHORT_ERROR).collect()
}

/// Reads a message that may be a returned dead letter: the original message, and its note.
pub fn sent_back(mut message: Message) -> (Message, Option<Note>) {
    let Some(at) = message.attributes.iter().position(|attribute| attribute.name == DEAD_LETTER_ATTRIBUTE) else {
        return (message, None);
    };
    let text = message.attributes[at].as_text().unwrap_or_default();
    let Ok(mut note) = serde_json::from_str::<Note>(text) else { return (message, None) };
    if note.base64 {
        let Ok(body) = BASE64_STANDARD.decode(&message.body) else { return (message, None) };
        message.body = body.into();
    }
    message.attributes.remove(at);
    message.attributes.append(&mut note.attributes);
    message.system.message_id = note.message_id.clone().or(message.system.message_id);
    message.system.dedup_id = note.dedup_id.clone();
    (message, Some(note))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use reactor_core::event::{Identity, Origin};

    use super::*;

    fn letter(body: &[u8], attributes: usize, error: usize) -> DeadLetter {
        let mut message = Message::from_body(body.to_vec());
        let attribute = |n: usize| match n % 3 {
            0 => Attribute::text(format!("a{n}"), n.to_string()),
            1 => Attribute::typed(format!("a{n}"), "Number.float", "1.50"),
            _ => Attribute::binary(format!("a{n}"), "Binary.key", vec![0, 1, 255]),
        };
        message.attributes = (0..attributes).map(attribute).collect();
        message.system.group_id = Some("g".into());
        message.system.message_id = Some("m".into());
        let attempt = |number| AttemptRecord {
            number,
            code: "trap".into(),
            error: "ä".repeat(error),
            at: Timestamp::UNIX_EPOCH,
            module: format!("m{number}"),
        };
        DeadLetter {
            reactor: None,
            origin: Origin { channel: Default::default(), offset: Default::default(), part: 0 },
            message,
            event_id: Some("e".into()),
            event_type: Some("t".into()),
            correlation_id: Some("c".into()),
            reason: "trap".into(),
            detail: "ä".repeat(error),
            history: (1..=5).map(attempt).collect(),
            parks: None,
            key: Identity::of(&[]),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_sent_back_is_what_was_received() {
        for (body, attributes) in
            [(&b"{\"a\":1}"[..], 0), (b"text", 9), (b"text", 12), (b"\xff\x00", 3), (b"a\x01b", 0)]
        {
            let letter = letter(body, attributes, 10);
            let message =
                as_message(&Way { reactor: "r", from: "shop", hops: 3, limit: 1 << 18 }, "id".into(), &letter);
            assert!(message.attributes.len() <= MAX_ATTRIBUTES && std::str::from_utf8(&message.body).is_ok());
            let (back, note) = sent_back(message);
            let note = note.expect("a note");
            assert_eq!((back.body, back.attributes), (letter.message.body, letter.message.attributes));
            assert_eq!((note.reactor.as_str(), note.channel.as_str(), note.attempts), ("r", "shop", 5));
            assert_eq!((note.module.as_deref(), note.history.len(), note.hops), (Some("m5"), 5, 3));
            assert_eq!((note.hops_to("shop"), note.hops_to("audit")), (2, 3));
            assert_eq!(back.system, letter.message.system, "it is known by what it was known by");
        }
    }

    #[test]
    fn a_note_fits_where_there_is_room_for_the_least_of_it() {
        for (body, limit) in [(10, 64 << 10), (60 << 10, 64 << 10), (10, 4 << 10), (100, 700)] {
            let way = Way { reactor: "r", from: "shop", hops: 1, limit };
            let message = as_message(&way, "id".into(), &letter(&vec![b'x'; body], 3, 8_000));
            assert!(message.size() <= limit, "{} of {limit}", message.size());
            assert_eq!(sent_back(message).1.expect("a note").attempts, 5);
        }
    }

    #[test]
    fn what_belongs_to_no_reactor_is_forwarded_until_it_has_come_far_enough() {
        let to = |target, limit| Forwarding { to: "dlq".into(), target, limit, hop_limit: 3 };
        let mut letter = DeadLetter { event_id: None, event_type: None, ..letter(b"hello \n", 2, 10) };
        let (_, message) =
            to(Target::Outbox(Default::default()), 1 << 18).copy("shop", &mut letter, 0).expect("a copy");
        let again = to(Target::Outbox(Default::default()), 1 << 18).copy("shop", &mut letter, 0);
        assert_eq!(again.expect("the same").1, message, "with the same id");
        let (back, note) = sent_back(message);
        let note = note.expect("a note");
        assert_eq!((back.body.as_ref(), back.attributes.len()), (&b"hello \n"[..], 2));
        assert_eq!((note.reactor.as_str(), note.hops, note.hops_to("shop"), note.hops_to("dlq")), ("", 1, 0, 1));
        let (_, event) = to(Target::Log(Default::default()), 1 << 18).copy("shop", &mut letter, 2).expect("a copy");
        let text = String::from_utf8(event.body.to_vec()).expect("text");
        assert!(text.contains(DEAD_LETTER_TYPE) && text.contains(r#""body":"hello \n""#), "{text}");
        assert!(text.contains(r#""reactorHops":3"#), "one more than it had: {text}");
        let (_, short) =
            to(Target::Log(Default::default()), event.size() - 1).copy("shop", &mut letter, 2).expect("a copy");
        let text = String::from_utf8(short.body.to_vec()).expect("text");
        assert!(text.contains(r#""leftOut":"#) && !text.contains("hello"), "{text}");
        assert!(to(Target::Log(Default::default()), 1 << 18).copy("shop", &mut letter, 3).is_none());
        assert!(letter.detail.contains("not forwarded to `dlq`: 3"), "{}", letter.detail);
    }

    #[test]
    fn what_somebody_else_wrote_is_left_alone() {
        let mut message = Message::from_body("x");
        message.attributes.push(Attribute::text(DEAD_LETTER_ATTRIBUTE, "no note"));
        assert_eq!(sent_back(message.clone()), (message, None));
    }
}
