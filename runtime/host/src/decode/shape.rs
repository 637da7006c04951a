//! Envelopes that are recognised by their shape.

use reactor_core::json::{Object, elements};

use super::draft::Draft;
use super::error::{DecodeError, Reason};
use super::input::Input;
use super::{Drafts, cloudevents, eventbridge, native, one, s3};

/// Decodes checked text; `Ok(None)` if it is not a known envelope. `open` removes a wrapper if the object is one.
pub(super) fn decode_known(
    input: &Input<'_>,
    text: &str,
    open: impl FnOnce(&Input<'_>, &Object<'_>) -> Option<Drafts>,
) -> Result<Option<Vec<Result<Draft, DecodeError>>>, DecodeError> {
    let Some(object) = Object::read(text) else { return Ok(batch(input, &elements(text))) };
    if native::is(&object) {
        one(native::decode(input, &object)).map(Some)
    } else if cloudevents::is_structured(&object) {
        one(cloudevents::decode_structured(input, &object)).map(Some)
    } else if let Some(opened) = open(input, &object) {
        opened.map(Some)
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
        let none = || Err(DecodeError::new(Reason::UnknownEnvelope, "it is neither a native event nor a CloudEvent"));
        draft.unwrap_or_else(none).map_err(|error| error.at(format_args!("element {index} of the array")))
    };
    Some(drafts.into_iter().enumerate().map(of_element).collect())
}
