//! Single envelope fields: what counts as a text, a version, a time.

use std::borrow::Cow;

use jiff::Timestamp;

use reactor_core::json::{Object, Value};

use super::error::DecodeError;

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

/// Checks a text field of the envelope: not empty, and without anything that breaks a log line or a terminal.
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

/// A text field; `None` if it is absent, null, or empty, as some serializers write absent fields.
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

/// A required id. Databases use numbers, so it may be a number; its digits are the id.
pub(super) fn id(object: &Object<'_>, envelope: &str, name: &str) -> Result<String, DecodeError> {
    key(object, name)?.ok_or_else(|| DecodeError::missing(envelope, name))
}

/// A `CloudEvents` extension that has a meaning here. Producers may use any name and type for an extension, so one that
/// does not fit counts as absent.
pub(super) fn extension(object: &Object<'_>, name: &str) -> Option<String> {
    match object.value(name)? {
        Value::String(text) | Value::Number(text) => check_text(name, text).ok(),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
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

/// A time: RFC 3339 text, or seconds or milliseconds since 1970; `None` if it is absent.
pub(super) fn time(object: &Object<'_>, name: &str) -> Result<Option<Timestamp>, DecodeError> {
    match object.value(name) {
        None => Ok(None),
        Some(Value::String(text)) => parse_time(name, &text).map(Some),
        Some(Value::Number(digits)) => number_time(name, &digits).map(Some),
        Some(other) => Err(DecodeError::bad(
            name,
            format_args!("is {}; write RFC 3339 text, or seconds or milliseconds since 1970", other.kind()),
        )),
    }
}

/// Seconds or milliseconds since 1970, distinguished by their size: both are read as a time between 1973 and 5138.
/// Anything else (microseconds, nanoseconds, or a time in 1970, which suggests a forgotten unit) is rejected.
fn number_time(name: &str, digits: &str) -> Result<Timestamp, DecodeError> {
    const SECONDS: std::ops::Range<f64> = 1e8..1e11;
    const MILLISECONDS: std::ops::Range<f64> = 1e11..1e14;
    let bad = |why: &str| {
        DecodeError::bad(
            name,
            format_args!(
                "is {}, which {why}; write RFC 3339 text, or seconds or milliseconds since 1970",
                shown(digits)
            ),
        )
    };
    let value: f64 = digits.parse().map_err(|_| bad("is no time"))?;
    let millis = match value {
        _ if SECONDS.contains(&value) => value * 1_000.0,
        _ if MILLISECONDS.contains(&value) => value,
        _ if value >= MILLISECONDS.end => {
            return Err(bad("is too large for milliseconds, as micro- and nanoseconds are"));
        }
        _ => return Err(bad("would be a time before 1973")),
    };
    // A double can represent whole microseconds of these years, and nothing finer.
    #[expect(clippy::cast_possible_truncation, reason = "the ranges are within an i64")]
    let micros = (millis * 1_000.0).round() as i64;
    Timestamp::from_microsecond(micros).map_err(|_| bad("is no time"))
}

/// A time whose number may be written as text, for example in an attribute.
pub(super) fn written_time(name: &str, text: &str) -> Result<Timestamp, DecodeError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number { number_time(name, text) } else { parse_time(name, text) }
}

/// An RFC 3339 time. It may have any number of fractional digits; those below a nanosecond are dropped.
pub(super) fn parse_time(name: &str, text: &str) -> Result<Timestamp, DecodeError> {
    const NANOSECONDS: usize = 9;
    let parsed = text.parse().or_else(|error| {
        let Some((whole, rest)) = text.split_once('.') else { return Err(error) };
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (fraction, zone) = rest.split_at(end);
        format!("{whole}.{}{zone}", &fraction[..fraction.len().min(NANOSECONDS)]).parse()
    });
    parsed.map_err(|_| {
        DecodeError::bad(
            name,
            format_args!("is \"{}\", which is not an RFC 3339 time; write 2026-01-31T12:00:00Z", shown(text)),
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
    fn times_are_text_seconds_or_milliseconds() {
        let expected: Timestamp = "2026-01-31T12:00:00.5Z".parse().expect("time");
        for text in [
            r#"{"t":"2026-01-31T12:00:00.5Z"}"#,
            r#"{"t":"2026-01-31T14:00:00.5+02:00"}"#,
            r#"{"t":"2026-01-31T12:00:00.500000000000Z"}"#,
            r#"{"t":1769860800500}"#,
            r#"{"t":1.7698608005e12}"#,
            r#"{"t":1769860800.5}"#,
        ] {
            assert_eq!(time(&object(text), "t"), Ok(Some(expected)), "{text}");
        }
        let picoseconds = time(&object(r#"{"t":"2018-04-05T03:56:24.123456789012+01:00"}"#), "t");
        assert_eq!(picoseconds, Ok(Some("2018-04-05T02:56:24.123456789Z".parse().expect("time"))));
        assert_eq!(time(&object(r#"{"t":1769860800}"#), "t"), Ok(Some("2026-01-31T12:00:00Z".parse().expect("time"))));
        for text in [
            r#"{"t":"yesterday"}"#,
            r#"{"t":"2026-01-31T12:00:00.5x"}"#,
            r#"{"t":"2026-01-31T12:00:00.Z"}"#,
            r#"{"t":1e99}"#,
            r#"{"t":99999999999999999}"#,
            r#"{"t":1769860800500000}"#,
            r#"{"t":0}"#,
            r#"{"t":-1769860800}"#,
            r#"{"t":[]}"#,
        ] {
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
        assert_eq!(id(&object(r#"{"a":7}"#), "native", "a"), Ok("7".to_owned()));
    }
}
