//! Format `auto`: the envelope is recognised by its shape.

use super::draft::{Draft, Input};
use super::error::{DecodeError, Reason};
use super::{Drafts, cloudevents, eventbridge, native, one, s3, sns};
use crate::json::{Object, Value, elements};

/// Decodes a message in any known envelope.
pub(super) fn decode(input: &Input<'_>) -> Drafts {
    if cloudevents::is_binary(input) {
        return one(cloudevents::decode_binary(input));
    }
    let text = input.json()?;
    decode_known(input, text, true).transpose().unwrap_or_else(|| Err(unknown(text)))
}

/// Decodes checked text; `Ok(None)` if it is no known envelope. A wrapper inside a wrapper is not opened.
pub(super) fn decode_known(
    input: &Input<'_>,
    text: &str,
    open_notification: bool,
) -> Result<Option<Vec<Result<Draft, DecodeError>>>, DecodeError> {
    let Some(object) = Object::read(text) else { return Ok(batch(input, &elements(text))) };
    if native::is(&object) {
        one(native::decode(input, &object)).map(Some)
    } else if cloudevents::is_structured(&object) {
        one(cloudevents::decode_structured(input, &object)).map(Some)
    } else if open_notification && sns::is(&object) {
        sns::decode(input, &object).map(Some)
    } else if eventbridge::is(&object) {
        one(eventbridge::decode(input, &object)).map(Some)
    } else if s3::is(&object) {
        s3::decode(input, &object).map(Some)
    } else {
        Ok(None)
    }
}

/// An array in which at least one element is an event: a `CloudEvents` batch, or native events side by side.
fn batch(input: &Input<'_>, elements: &[&str]) -> Option<Vec<Result<Draft, DecodeError>>> {
    let read = |text: &&str| {
        let object = Object::read(text)?;
        if native::is(&object) {
            Some(native::decode(input, &object))
        } else {
            cloudevents::is_structured(&object).then(|| cloudevents::decode_structured(input, &object))
        }
    };
    let drafts: Vec<_> = elements.iter().map(read).collect();
    if drafts.iter().all(Option::is_none) {
        return None;
    }
    let of_element = |(index, draft): (usize, Option<Result<Draft, DecodeError>>)| {
        let none = || Err(DecodeError::new(Reason::UnknownEnvelope, "it is no native event and no CloudEvent"));
        draft.unwrap_or_else(none).map_err(|error| error.at(format_args!("element {index} of the array")))
    };
    Some(drafts.into_iter().enumerate().map(of_element).collect())
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
                "it is an array, of which no element is an event; publish one event a line".to_owned()
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
