//! Format `cloudevents`: 1.0 in structured JSON mode, in its batches, and in binary mode through message attributes.
//!
//! No binding for SQS or SNS has been standardised. The prefixes of the standard ones are taken: `ce-` (HTTP, NATS),
//! `ce_` (Kafka), `cloudEvents:` and `cloudEvents_` (AMQP).

use std::borrow::Cow;
use std::collections::HashSet;

use reactor_core::attribute::Attribute;
use reactor_core::event::Event;
use reactor_core::json::{Object, Value, elements};

use super::draft::Draft;
use super::error::{DecodeError, Reason};
use super::input::Input;
use super::payload::{self, Names};
use super::{Drafts, fields};

const ENVELOPE: &str = "CloudEvents";

/// Where the data is.
const DATA: Names = Names { data: "data", base64: "data_base64", content_type: "datacontenttype" };

/// What attribute names begin with in binary mode.
const PREFIXES: [&str; 4] = ["ce-", "ce_", "cloudEvents:", "cloudEvents_"];

/// How many reactors precede an event; written by the host and trusted only from its own reactors.
pub(super) const HOPS: &str = "reactorhops";

/// Extension attributes that carry the schema version, the first that is there.
const VERSIONS: [&str; 2] = ["eventversion", "dataversion"];

pub(super) fn is_structured(object: &Object<'_>) -> bool {
    object.has("specversion") && object.has("type")
}

pub(super) fn is_binary(input: &Input<'_>) -> bool {
    let has = |name| attribute(input, name).is_some();
    has("specversion") || has("type") && has("id")
}

pub(super) fn decode(input: &Input<'_>) -> Drafts {
    if is_binary(input) {
        return super::one(decode_binary(input));
    }
    let text = input.json()?;
    if text.starts_with('[') {
        return decode_batch(input, &elements(text));
    }
    super::one(decode_structured(input, &input.object(ENVELOPE)?))
}

fn decode_batch(input: &Input<'_>, batch: &[&str]) -> Drafts {
    if batch.is_empty() {
        return Err(DecodeError::new(Reason::Empty, "the CloudEvents batch has no events; send at least one"));
    }
    let read = |(index, text): (usize, &&str)| {
        let object =
            Object::read(text).ok_or_else(|| DecodeError::new(Reason::UnknownEnvelope, "it is not a JSON object"));
        let draft = object.and_then(|object| decode_structured(input, &object));
        draft.map_err(|error| error.at(format_args!("element {index} of the batch")))
    };
    Ok(batch.iter().enumerate().map(read).collect())
}

pub(super) fn decode_structured(input: &Input<'_>, object: &Object<'_>) -> Result<Draft, DecodeError> {
    check_specversion(&fields::required(object, ENVELOPE, "specversion")?)?;
    let id = fields::id(object, ENVELOPE, "id")?;
    let mut draft = Draft::new(input, id, fields::required(object, ENVELOPE, "type")?);
    let event = &mut draft.event;
    event.source = fields::required(object, ENVELOPE, "source")?;
    event.time = fields::time(object, "time")?;
    event.subject = fields::text(object, "subject")?;
    extensions(event, |name| fields::extension(object, name));
    (event.content_type, event.data) = payload::of_envelope(input, object, &DATA)?;
    let event = &draft.event;
    let others: Vec<_> = object.members().filter(|(name, text)| !is_told(event, name, || text_of(text))).collect();
    draft.carry(others.into_iter());
    Ok(draft)
}

pub(super) fn decode_binary(input: &Input<'_>) -> Result<Draft, DecodeError> {
    let text = |name: &str| match attribute(input, name) {
        Some((written, value)) => fields::check_text(written, value.into()).map(Some),
        None => Ok(None),
    };
    let required = |name: &str| text(name)?.ok_or_else(|| DecodeError::missing(ENVELOPE, &format!("ce-{name}")));
    check_specversion(&required("specversion")?)?;
    let mut draft = Draft::bare(input, required("id")?, required("type")?);
    let event = &mut draft.event;
    event.source = required("source")?;
    event.time = text("time")?.map(|time| fields::parse_time("ce-time", &time)).transpose()?;
    event.subject = text("subject")?;
    extensions(event, |name| text(name).ok().flatten());
    let declared = text("datacontenttype")?;
    let declared = declared.as_deref().or_else(|| payload::declared_type(input));
    if !input.message.body.is_empty() {
        (event.content_type, event.data) = payload::of_body(input, declared)?;
    }
    carry_extensions(&mut draft, input);
    Ok(draft)
}

/// In binary mode, extensions are message attributes. They lose their prefix, and those already in the event are
/// omitted.
fn carry_extensions(draft: &mut Draft, input: &Input<'_>) {
    let (mut extensions, mut known) = (Vec::new(), HashSet::new());
    for attribute in &input.message.attributes {
        let Some(written) = stripped(&attribute.name) else { continue };
        let is_lower = !written.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if is_lower { Cow::Borrowed(written) } else { Cow::Owned(written.to_ascii_lowercase()) };
        let is_told = is_told(&draft.event, &name, || attribute.as_text().map(Cow::Borrowed));
        if !is_told && known.insert(name.to_string()) {
            extensions.push(Attribute { name: name.into_owned(), ..attribute.clone() });
        }
    }
    draft.event.attributes = input.attributes(|attribute| stripped(&attribute.name).is_none());
    draft.put(extensions.into_iter());
}

/// The text of a member, or its digits.
fn text_of(text: &str) -> Option<Cow<'_, str>> {
    match Value::of(text) {
        Value::String(text) | Value::Number(text) => Some(text),
        _ => None,
    }
}

/// Whether the event has a field for an attribute and that field holds `text`, the attribute's value.
fn is_told<'t>(event: &Event, name: &str, text: impl Fn() -> Option<Cow<'t, str>>) -> bool {
    let is = |place: Option<&String>| place.is_some() && text().as_deref() == place.map(String::as_str);
    let is_number = |number: u32| text().is_some_and(|text| text.parse() == Ok(number));
    match name {
        "specversion" | "id" | "type" | "source" | "time" | "subject" | "datacontenttype" | "data" | "data_base64" => {
            true
        }
        "correlationid" => is(Some(&event.correlation_id)),
        "causationid" => is(event.causation_id.as_ref()),
        "partitionkey" => is(event.partition_key.as_ref()),
        "traceparent" => is(event.trace_parent.as_ref()),
        HOPS => is_number(event.hop),
        "eventversion" | "dataversion" => is_number(event.version),
        _ => false,
    }
}

/// Reads the extensions that have a meaning here. Any producer may use their names for something else, so none of them
/// can make an event invalid.
fn extensions(event: &mut Event, value: impl Fn(&str) -> Option<String>) {
    event.causation_id = value("causationid");
    event.partition_key = value("partitionkey");
    event.trace_parent = value("traceparent");
    event.hop = value(HOPS).and_then(|hops| hops.parse().ok()).unwrap_or(0);
    let version = VERSIONS.iter().find_map(|name| fields::parse_version(name, &value(name)?).ok());
    event.version = version.unwrap_or(1);
    if let Some(correlation) = value("correlationid") {
        event.correlation_id = correlation;
    }
}

/// The first attribute with this `CloudEvents` name: its whole name and its value.
fn attribute<'m>(input: &Input<'m>, name: &str) -> Option<(&'m str, &'m str)> {
    let is_it = |written: &str| stripped(written).is_some_and(|stripped| stripped.eq_ignore_ascii_case(name));
    let found = input.message.attributes.iter().find(|attribute| is_it(&attribute.name))?;
    Some((&found.name, found.as_text()?))
}

/// The `CloudEvents` name of an attribute.
fn stripped(written: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| {
        let start = written.get(..prefix.len())?;
        if start.eq_ignore_ascii_case(prefix) { written.get(prefix.len()..) } else { None }
    })
}

fn check_specversion(version: &str) -> Result<(), DecodeError> {
    if version == "1.0" || version.starts_with("1.0.") {
        return Ok(());
    }
    let problem = format!("is \"{}\", but only CloudEvents 1.0 is understood", fields::shown(version));
    Err(DecodeError::bad("specversion", problem))
}
