//! Single envelope fields: what counts as a text, a version, a time.

use std::borrow::Cow;

use jiff::Timestamp;

use super::error::DecodeError;
use crate::json::{Object, Value};

/// Longest piece of a bad value that an error shows, in characters.
const SHOWN: usize = 64;

/// A value for a message: short. What prints the message escapes it.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

/// Checks a text field of the envelope: not empty, and nothing in it that breaks a log line or a terminal.
pub(super) fn check_text(name: &str, text: Cow<'_, str>) -> Result<String, DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::bad(name, "is an empty string; leave it out or give it a value"));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        let problem = format!("contains the control character U+{:04X}; remove it", u32::from(control));
        return Err(DecodeError::bad(name, problem));
    }
    Ok(text.into_owned())
}

/// A text field; `None` if it is absent, null or, as some serializers write what is absent, empty.
pub(super) fn text(object: &Object<'_>, name: &str) -> Result<Option<String>, DecodeError> {
    match object.value(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => check_text(name, text).map(Some),
        Some(other) => Err(DecodeError::bad(name, format_args!("is {}, not a string", other.kind()))),
    }
}

/// A text field that must be there.
pub(super) fn required(object: &Object<'_>, envelope: &str, name: &str) -> Result<String, DecodeError> {
    text(object, name)?.ok_or_else(|| DecodeError::missing(envelope, name))
}

/// A key that may be written as a string or a number.
pub(super) fn key(object: &Object<'_>, name: &str) -> Result<Option<String>, DecodeError> {
    match object.value(name) {
        Some(Value::Number(digits)) => Ok(Some(digits.into_owned())),
        _ => text(object, name),
    }
}

/// A schema version, of which the major part counts: `2`, `"2"`, `"2.1"`, `"v2"`; 1 if it is absent.
pub(super) fn version(object: &Object<'_>, name: &str) -> Result<u32, DecodeError> {
    match object.value(name) {
        None => Ok(1),
        Some(Value::Number(text) | Value::String(text)) => parse_version(name, &text),
        Some(other) => {
            Err(DecodeError::bad(name, format_args!("is {}; write a version such as 2 or \"2.1\"", other.kind())))
        }
    }
}

/// The major part of a version's text.
pub(super) fn parse_version(name: &str, text: &str) -> Result<u32, DecodeError> {
    let digits = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut parts = digits.split('.');
    let major = parts.next().unwrap_or_default();
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let number = major.bytes().all(|byte| byte.is_ascii_digit()).then(|| major.parse().ok()).flatten();
    number.filter(|_| parts.all(plain)).ok_or_else(|| {
        DecodeError::bad(name, format_args!("is \"{}\"; write a version such as 2, \"2.1\" or \"v2\"", shown(text)))
    })
}

/// How many emitting reactors an event has behind it; 0 if that is absent.
pub(super) fn hop(object: &Object<'_>) -> Result<u32, DecodeError> {
    match object.value("hop") {
        None => Ok(0),
        Some(Value::Number(digits) | Value::String(digits)) => parse_hop(&digits),
        Some(_) => parse_hop(""),
    }
}

/// The same from its text.
pub(super) fn parse_hop(digits: &str) -> Result<u32, DecodeError> {
    digits.parse().map_err(|_| DecodeError::bad("hop", "is no whole number from 0 on; leave it out"))
}

/// A time: an RFC 3339 string or milliseconds since 1970; `None` if it is absent.
pub(super) fn time(object: &Object<'_>, name: &str) -> Result<Option<Timestamp>, DecodeError> {
    match object.value(name) {
        None => Ok(None),
        Some(Value::String(text)) => parse_time(name, &text).map(Some),
        Some(Value::Number(digits)) => {
            let time = digits.parse().ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
            let problem = || format!("is {}, which is no time in whole milliseconds since 1970", shown(&digits));
            time.map(Some).ok_or_else(|| DecodeError::bad(name, problem()))
        }
        Some(other) => Err(DecodeError::bad(
            name,
            format_args!("is {}; write RFC 3339 text or milliseconds since 1970", other.kind()),
        )),
    }
}

/// An RFC 3339 time.
pub(super) fn parse_time(name: &str, text: &str) -> Result<Timestamp, DecodeError> {
    text.parse().map_err(|_| {
        DecodeError::bad(
            name,
            format_args!("is \"{}\", which is no RFC 3339 time; write 2026-01-31T12:00:00Z", shown(text)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        Object::read(text).expect("object")
    }

    #[test]
    fn versions_have_many_spellings() {
        for (text, expected) in [
            ("{}", 1),
            (r#"{"v":null}"#, 1),
            (r#"{"v":2}"#, 2),
            (r#"{"v":"2"}"#, 2),
            (r#"{"v":"2.1"}"#, 2),
            (r#"{"v":"v2"}"#, 2),
            (r#"{"v":"3.0.0-rc1"}"#, 3),
            (r#"{"v":2.0}"#, 2),
        ] {
            assert_eq!(version(&object(text), "v"), Ok(expected), "{text}");
        }
        for text in [
            r#"{"v":"x"}"#,
            r#"{"v":""}"#,
            r#"{"v":-1}"#,
            r#"{"v":1e3}"#,
            r#"{"v":true}"#,
            r#"{"v":99999999999}"#,
            r#"{"v":"2."}"#,
        ] {
            let error = version(&object(text), "v").expect_err(text);
            assert!(error.detail.contains("`v`"), "{error}");
        }
    }

    #[test]
    fn times_are_text_or_milliseconds() {
        let expected: Timestamp = "2026-01-31T12:00:00.5Z".parse().expect("time");
        for text in
            [r#"{"t":"2026-01-31T12:00:00.5Z"}"#, r#"{"t":"2026-01-31T14:00:00.5+02:00"}"#, r#"{"t":1769860800500}"#]
        {
            assert_eq!(time(&object(text), "t"), Ok(Some(expected)), "{text}");
        }
        for text in [r#"{"t":"yesterday"}"#, r#"{"t":1e99}"#, r#"{"t":99999999999999999}"#, r#"{"t":[]}"#] {
            assert!(time(&object(text), "t").is_err(), "{text}");
        }
    }

    #[test]
    fn texts_fit_on_a_line_and_empty_ones_are_absent() {
        assert_eq!(text(&object(r#"{"a":"x y"}"#), "a"), Ok(Some("x y".to_owned())));
        assert_eq!(text(&object(r#"{"a":""}"#), "a"), Ok(None));
        assert!(required(&object(r#"{"a":""}"#), "native", "a").is_err());
        for bad in [r#"{"a":"x\u0000"}"#, r#"{"a":"x\u001b[31m"}"#, r#"{"a":7}"#] {
            assert!(text(&object(bad), "a").is_err(), "{bad}");
        }
        assert_eq!(key(&object(r#"{"a":7}"#), "a"), Ok(Some("7".to_owned())));
    }
}
