//! The data of an event: where it is and what media type it has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use reactor_core::json::{self, FlawKind, Object, Value};

use super::error::DecodeError;
use super::fields;
use super::input::{Input, JSON};
use super::text::{checked_json, without_mark};
use crate::view::is_json;

/// What an envelope calls the members that hold the data.
pub(super) struct Names {
    pub(super) data: &'static str,
    pub(super) base64: &'static str,
    pub(super) content_type: &'static str,
}

/// The data of a JSON envelope and its media type.
///
/// As in `CloudEvents`: base64 holds any bytes, and a JSON string holds the text of data that is not JSON.
pub(super) fn of_envelope(
    input: &Input<'_>,
    object: &Object<'_>,
    names: &Names,
) -> Result<(String, Bytes), DecodeError> {
    let content_type = fields::text(object, names.content_type)?.unwrap_or_else(|| JSON.to_owned());
    let json = is_json(&content_type);
    let data = match (object.text(names.data), object.value(names.base64)) {
        (Some(_), Some(_)) => {
            return Err(DecodeError::bad(names.base64, format_args!("and `{}` are both there; send one", names.data)));
        }
        (None, Some(Value::String(text))) => {
            let bytes = STANDARD
                .decode(text.as_bytes())
                .map_err(|error| DecodeError::bad(names.base64, format_args!("is not base64: {error}")))?;
            if json {
                checked_json(&bytes)?;
            }
            Bytes::from(bytes)
        }
        (None, Some(other)) => {
            return Err(DecodeError::bad(names.base64, format_args!("is {}, not a base64 string", other.kind())));
        }
        (Some(text), None) if json => input.slice(text),
        (Some(text), None) => match Value::of(text) {
            Value::String(text) => Bytes::from(text.into_owned()),
            Value::Null => Bytes::new(),
            _ => input.slice(text),
        },
        (None, None) if json => Bytes::from_static(b"null"),
        (None, None) => Bytes::new(),
    };
    Ok((content_type, data))
}

/// A body that is all data. Without a declared media type it is JSON if it can be read as such, else text or bytes.
pub(super) fn of_body(input: &Input<'_>, declared: Option<&str>) -> Result<(String, Bytes), DecodeError> {
    let body = &input.message.body;
    match declared {
        Some(declared) => {
            let content_type = fields::check_text("content-type", declared.into())?;
            let data = if is_json(declared) { input.slice(checked_json(body)?) } else { body.clone() };
            Ok((content_type, data))
        }
        None => match std::str::from_utf8(body) {
            Err(_) => Ok(("application/octet-stream".to_owned(), body.clone())),
            Ok(text) => match json::check(without_mark(text)) {
                Ok(()) => Ok((JSON.to_owned(), input.slice(without_mark(text).trim_ascii()))),
                Err(flaw) if matches!(flaw.kind, FlawKind::Syntax | FlawKind::Value) => {
                    Ok(("text/plain; charset=utf-8".to_owned(), body.clone()))
                }
                Err(flaw) => Err(flaw.into()),
            },
        },
    }
}

/// The media type that a message's attributes declare.
pub(super) fn declared_type<'m>(input: &Input<'m>) -> Option<&'m str> {
    const SPELLINGS: [&str; 3] = ["content-type", "content_type", "contenttype"];
    let mut attributes = input.message.attributes.iter();
    attributes.find(|one| SPELLINGS.iter().any(|known| one.name.eq_ignore_ascii_case(known)))?.as_text()
}
