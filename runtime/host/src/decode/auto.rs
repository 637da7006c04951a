//! Format `auto`: the envelope is recognised by its shape.

use reactor_core::json::{Object, Value};

use super::error::{DecodeError, Reason};
use super::input::Input;
use super::shape::decode_known;
use super::{Drafts, cloudevents, one, sns};

/// Decodes a message in any known envelope.
pub(super) fn decode(input: &Input<'_>) -> Drafts {
    if cloudevents::is_binary(input) {
        return one(cloudevents::decode_binary(input));
    }
    let text = input.json()?;
    let open = |input: &Input<'_>, object: &Object<'_>| sns::is(object).then(|| sns::decode(input, object));
    decode_known(input, text, open).transpose().unwrap_or_else(|| Err(unknown(text)))
}

fn unknown(text: &str) -> DecodeError {
    const HINT: &str = "set the channel's `format`, with \"raw\" for bodies that are all data";
    let object = Object::read(text).unwrap_or_default();
    let found = match (object.has("eventId"), object.has("eventType")) {
        (true, false) => "it has `eventId` but no `eventType`".to_owned(),
        (false, true) => "it has `eventType` but no `eventId`".to_owned(),
        _ => {
            let keys: Vec<String> =
                object.members().take(8).map(|(key, _)| format!("`{}`", super::fields::shown(key))).collect();
            if text.starts_with('[') {
                "it is an array, and none of its elements is an event; publish one event per line".to_owned()
            } else if keys.is_empty() {
                format!(
                    "it is {}{}",
                    Value::of(text).kind(),
                    if text.starts_with('{') { " without members" } else { "" }
                )
            } else {
                format!("its keys are {}", keys.join(", "))
            }
        }
    };
    let detail = format!(
        "the body is JSON, but no native (`eventId`, `eventType`), CloudEvents, SNS, EventBridge or S3 envelope: \
         {found}; {HINT}"
    );
    DecodeError::new(Reason::UnknownEnvelope, detail)
}
