//! Format `sns`: the notification wrapper is taken off, and what it carries is decoded by shape.

use bytes::Bytes;

use super::draft::{Draft, Input};
use super::error::DecodeError;
use super::payload::without_mark;
use super::{Drafts, auto, cloudevents, fields, one};
use crate::event::{Message, SystemAttributes};
use crate::json::{self, FlawKind, Object, Value};

const ENVELOPE: &str = "SNS";

/// The type of a notification that carries no known envelope.
const NOTIFICATION: &str = "aws.sns.notification";

/// Whether an object is the wrapper: a notification, or what SNS sends about the subscription itself.
pub(super) fn is(object: &Object<'_>) -> bool {
    object.has("Type") && object.has("MessageId") && object.has("TopicArn") && object.has("Message")
}

/// A channel of this format takes wrapped messages and, since that is a switch on the subscription, bare ones.
pub(super) fn decode_or_raw_delivery(input: &Input<'_>) -> Drafts {
    auto::decode(input)
}

pub(super) fn decode(input: &Input<'_>, object: &Object<'_>) -> Drafts {
    let id = fields::required(object, ENVELOPE, "MessageId")?;
    let kind = fields::required(object, ENVELOPE, "Type")?;
    if kind != "Notification" {
        return one(about_subscription(input, object, id, &kind));
    }
    let Some(Value::String(text)) = object.value("Message") else {
        return Err(DecodeError::bad("Message", "of the SNS notification is no string"));
    };
    let inner = Message {
        body: Bytes::from(text.into_owned()),
        attributes: attributes(object),
        system: SystemAttributes::default(),
    };
    let carried = Input { message: &inner, channel: input.channel, notification: Some(&id) };
    match decode_carried(&carried)? {
        Some(drafts) => Ok(drafts),
        None => one(notification(&carried, object)),
    }
}

/// Decodes what a notification carries; `Ok(None)` if that is no known envelope. Text that only looks like JSON is
/// text, but an object that breaks off or holds what JSON cannot was meant to be one, and JSON that could be read in two
/// ways is refused here as everywhere.
fn decode_carried(carried: &Input<'_>) -> Result<Option<Vec<Result<Draft, DecodeError>>>, DecodeError> {
    if cloudevents::is_binary(carried) {
        return one(cloudevents::decode_binary(carried)).map(Some);
    }
    let Ok(text) = std::str::from_utf8(&carried.message.body) else { return Ok(None) };
    let text = without_mark(text);
    match json::check(text) {
        Ok(()) => auto::decode_known(carried, text.trim_ascii(), false),
        Err(flaw) if matches!(flaw.kind, FlawKind::Syntax | FlawKind::Value) && !is_meant_as_json(text) => Ok(None),
        Err(flaw) => {
            let DecodeError { reason, detail } = flaw.into();
            Err(DecodeError { reason, detail: format!("in the `Message` of the SNS notification: {detail}") })
        }
    }
}

/// Whether text begins as an object with a member does, or an array of such, or breaks off before the member.
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

fn attributes(object: &Object<'_>) -> Vec<(String, String)> {
    let attributes = object.object("MessageAttributes").unwrap_or_default();
    let read = |(name, text): (&str, &str)| {
        let value = Object::read(text)?.string("Value")?.into_owned();
        Some((name.to_owned(), value))
    };
    attributes.members().filter_map(read).collect()
}
