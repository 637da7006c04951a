//! Format `auto`: the envelope is recognised by its shape.

use super::draft::{Draft, Input};
use super::error::{DecodeError, Reason};
use super::{cloudevents, eventbridge, native, one, s3, sns};
use crate::json::{Object, elements};

/// Decodes a message in any known envelope.
pub(super) fn decode(input: &Input<'_>) -> Result<Vec<Draft>, DecodeError> {
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
) -> Result<Option<Vec<Draft>>, DecodeError> {
    let Some(object) = Object::read(text) else {
        let batch = elements(text);
        let is_batch = !batch.is_empty() && batch.iter().all(|event| cloudevents::is_structured_text(event));
        return if is_batch { cloudevents::decode_batch(input, &batch).map(Some) } else { Ok(None) };
    };
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

fn unknown(text: &str) -> DecodeError {
    const HINT: &str = "set the channel's `format`, with \"raw\" for bodies that are all data";
    let object = Object::read(text).unwrap_or_default();
    let found = match (object.has("eventId"), object.has("eventType")) {
        (true, false) => "it has `eventId` but no `eventType`".to_owned(),
        (false, true) => "it has `eventType` but no `eventId`".to_owned(),
        _ => {
            let keys: Vec<String> =
                object.members().take(8).map(|(key, _)| format!("`{}`", super::fields::shown(key))).collect();
            if keys.is_empty() { "it has no members".to_owned() } else { format!("its keys are {}", keys.join(", ")) }
        }
    };
    let detail = format!(
        "the body is JSON, but no native (`eventId`, `eventType`), CloudEvents, SNS, EventBridge or S3 envelope: \
         {found}; {HINT}"
    );
    DecodeError::new(Reason::UnknownEnvelope, detail)
}
