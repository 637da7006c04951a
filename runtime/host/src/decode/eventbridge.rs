//! Format `eventbridge`: `id`, `detail-type`, `source`, `time`, `detail`.

use reactor_core::json::{Object, Value, elements};

use super::draft::Draft;
use super::error::DecodeError;
use super::fields;
use super::input::Input;

const ENVELOPE: &str = "EventBridge";

/// Members for which an event has its own fields.
const TOLD: [&str; 5] = ["id", "detail-type", "source", "time", "detail"];

pub(super) fn is(object: &Object<'_>) -> bool {
    object.has("detail-type") && object.has("detail")
}

/// The detail is the data, the detail type the type, and the first resource the subject. Account, region, all resources
/// and everything else become attributes.
pub(super) fn decode(input: &Input<'_>, object: &Object<'_>) -> Result<Draft, DecodeError> {
    let id = fields::id(object, ENVELOPE, "id")?;
    let event_type = fields::required(object, ENVELOPE, "detail-type")?;
    let mut draft = Draft::new(input, id, event_type);
    let event = &mut draft.event;
    event.source = fields::required(object, ENVELOPE, "source")?;
    event.time = fields::time(object, "time")?;
    let detail = object.text("detail").ok_or_else(|| DecodeError::missing(ENVELOPE, "detail"))?;
    event.data = input.slice(detail);
    let resources = object.text("resources").map(elements).unwrap_or_default();
    if let Some(Value::String(first)) = resources.first().map(|text| Value::of(text)) {
        event.subject = fields::check_text("resources", first).ok();
    }
    draft.carry(object.members().filter(|(name, _)| !TOLD.contains(name)));
    Ok(draft)
}
