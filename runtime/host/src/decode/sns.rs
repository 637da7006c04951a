//! Format `sns`: removes the notification wrapper and decodes its content by shape. A setting of the subscription
//! decides whether there is a wrapper, so a channel of this format accepts bare messages too, and is read like `auto`.

use bytes::Bytes;

use reactor_core::attribute::{Attribute, TEXT};
use reactor_core::event::{Message, SystemAttributes};
use reactor_core::json::{self, FlawKind, Object, Value};

use super::draft::Draft;
use super::error::DecodeError;
use super::input::Input;
use super::shape::decode_known;
use super::text::{checked_json, without_mark};
use super::{Drafts, cloudevents, fields, one};

const ENVELOPE: &str = "SNS";

/// The type of a notification that carries no known envelope.
const NOTIFICATION: &str = "aws.sns.notification";

/// Whether an object is the wrapper: a notification, or what SNS sends about the subscription itself.
pub(super) fn is(object: &Object<'_>) -> bool {
    object.has("Type") && object.has("MessageId") && object.has("TopicArn") && object.has("Message")
}

pub(super) fn decode(input: &Input<'_>, object: &Object<'_>) -> Drafts {
    let id = fields::required(object, ENVELOPE, "MessageId")?;
    let kind = fields::required(object, ENVELOPE, "Type")?;
    if kind != "Notification" {
        return one(about_subscription(input, object, id, &kind));
    }
    let Some(inner) = carried_by(object) else {
        return Err(DecodeError::bad("Message", "of the SNS notification is not a string"));
    };
    let carried = inside(input, &inner, &id);
    match decode_carried(&carried)? {
        Some(drafts) => Ok(drafts),
        None => one(notification(&carried, object)),
    }
}

/// The message that a notification carries.
fn carried_by(object: &Object<'_>) -> Option<Message> {
    let Some(Value::String(text)) = object.value("Message") else { return None };
    let (body, attributes) = (Bytes::from(text.into_owned()), attributes(object));
    Some(Message { body, attributes, system: SystemAttributes::default() })
}

/// A message that a notification carried, to be decoded.
pub(super) fn inside<'m>(input: &Input<'m>, carried: &'m Message, id: &'m str) -> Input<'m> {
    Input { message: carried, channel: input.channel, notification: Some(id), around: Some(input.message) }
}

/// What a message carries if it is a notification: its id and the message.
pub(super) fn opened(message: &Message) -> Option<(String, Message)> {
    let object = Object::read(checked_json(&message.body).ok()?)?;
    let is_notification = is(&object) && object.string("Type").is_some_and(|kind| kind == "Notification");
    let id = is_notification.then(|| object.string("MessageId")).flatten()?;
    Some((fields::check_text("MessageId", id).ok()?, carried_by(&object)?))
}

/// Decodes the content of a notification; `Ok(None)` if it is not a known envelope. Text that only looks like JSON is
/// text, but an object that breaks off or holds what JSON cannot was meant to be JSON, and ambiguous JSON is rejected
/// here as everywhere.
fn decode_carried(carried: &Input<'_>) -> Result<Option<Vec<Result<Draft, DecodeError>>>, DecodeError> {
    if cloudevents::is_binary(carried) {
        return one(cloudevents::decode_binary(carried)).map(Some);
    }
    let Ok(text) = std::str::from_utf8(&carried.message.body) else { return Ok(None) };
    let text = without_mark(text);
    match json::check(text) {
        Ok(()) => decode_known(carried, text.trim_ascii(), |_, _| None),
        Err(flaw) if matches!(flaw.kind, FlawKind::Syntax | FlawKind::Value) && !is_meant_as_json(text) => Ok(None),
        Err(flaw) => {
            let DecodeError { reason, detail } = flaw.into();
            Err(DecodeError { reason, detail: format!("in the `Message` of the SNS notification: {detail}") })
        }
    }
}

/// Whether text begins like an object with a member or an array of such objects, or breaks off before the member.
fn is_meant_as_json(text: &str) -> bool {
    let inside = text.trim_ascii_start().trim_start_matches('[').trim_ascii_start();
    let rest = inside.strip_prefix('{').map(str::trim_ascii_start);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('"'))
}

/// A notification without an envelope inside. An object or array is the data; anything else becomes a JSON string.
fn notification(carried: &Input<'_>, object: &Object<'_>) -> Result<Draft, DecodeError> {
    let mut draft = Draft::without_id(carried, NOTIFICATION.to_owned());
    let event = &mut draft.event;
    event.source = fields::required(object, ENVELOPE, "TopicArn")?;
    event.time = fields::time(object, "Timestamp")?;
    event.subject = fields::text(object, "Subject")?;
    let body = &carried.message.body;
    let text = without_mark(std::str::from_utf8(body).unwrap_or_default()).trim_ascii();
    let container = text.starts_with(['{', '[']) && json::check(text).is_ok();
    event.data = if container { carried.slice(text) } else { json_string(body) };
    Ok(draft)
}

/// The body came out of a JSON string, so it is UTF-8.
fn json_string(body: &[u8]) -> Bytes {
    Bytes::from(serde_json::to_vec(&String::from_utf8_lossy(body)).unwrap_or_default())
}

/// `SubscriptionConfirmation` and `UnsubscribeConfirmation`: the whole wrapper is the data.
fn about_subscription(input: &Input<'_>, object: &Object<'_>, id: String, kind: &str) -> Result<Draft, DecodeError> {
    let mut draft = Draft::new(input, id, format!("aws.sns.{kind}"));
    draft.event.source = fields::required(object, ENVELOPE, "TopicArn")?;
    draft.event.time = fields::time(object, "Timestamp")?;
    draft.event.data = input.slice(input.json()?);
    Ok(draft)
}

fn attributes(object: &Object<'_>) -> Vec<Attribute> {
    let attributes = object.object("MessageAttributes").unwrap_or_default();
    let read = |(name, text): (&str, &str)| {
        let attribute = Object::read(text)?;
        let value = attribute.string("Value")?.into_owned();
        let kind = attribute.string("Type").unwrap_or(TEXT.into()).into_owned();
        let binary = kind == "Binary" || kind.starts_with("Binary.");
        Some(if binary { Attribute::base64(name, kind, value) } else { Attribute::typed(name, kind, value) })
    };
    attributes.members().filter_map(read).collect()
}
