//! Strings, numbers and lists, as a schema sees them.
//!
//! Wherever a string is allowed, so is one with a variable, whose value a schema cannot know.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use reactor_core::event::ROOTS;

/// A string with a variable.
const VARIABLE: &str = r"\$\{";
/// The most entries of a list or table of names.
pub(super) const MOST_LISTED: usize = crate::reader::MOST_LISTED;
/// The name of a channel or reactor.
pub(super) const NAME: &str = "[a-z0-9][a-z0-9_-]{0,62}";

const DURATION: &str = concat!(
    r"\+?\s*(?:[0-9]+(?:[.,][0-9]+)?\s*",
    "(?:w|wks?|weeks?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms|msecs?|millis?|milliseconds?",
    "|us|\u{b5}s|\u{3bc}s|usecs?|micros?|microseconds?|ns|nsecs?|nanos?|nanoseconds?)",
    r",?\s*)*(?:[0-9]+:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?)?|\+?[Pp][0-9TtDdHhMmSsWw.,]+",
);
const SIZE: &str = r"[0-9.]+\s*(?:[bB]|[kKmMgGtTpPeE][iI]?[bB]?)";
const RATE: &str = r"\s*\+?0*[1-9][0-9]*\s*/\s*[smh]\s*";
const LOOPBACK: &str = r"(?:127\.[0-9.]+|\[[0-9a-fA-F:.%]+\]):[0-9]{1,5}";
const ORIGIN: &str = r"[hH][tT][tT][pP][sS]?://[^/?#@*\s]+";
const BODY_POINTER: &str = "(?:/(?:[^~/]|~[01])*)+";

/// A type pattern such as `order.*@>=2,<4`.
pub(super) fn type_pattern() -> String {
    let word = r"(?:[^.*@\u0000-\u001f\u007f-\u009f]+|\*)";
    let bound = r"\s*(?:[<>]=?)?\s*[0-9]+\s*";
    format!(r"(?:{word}(?:\.{word})*(?:\.\*\*)?|\*\*)(?:@{bound}(?:,{bound})*)?")
}

/// A pointer that can find a value in an event.
pub(super) fn event_pointer() -> String {
    let plain: Vec<_> = ROOTS.iter().copied().filter(|root| !["data", "attributes"].contains(root)).collect();
    format!("/(?:{}|data(?:{BODY_POINTER})?|attributes{BODY_POINTER})", plain.join("|"))
}

/// A table whose keys match one form and whose values match one schema.
pub(super) fn map(keys: &str, values: Schema) -> Schema {
    json_schema!({
        "type": "object",
        "patternProperties": { format!("^(?:{keys})$"): values },
        "additionalProperties": false,
    })
}

/// The same for names of things, of which real files have few.
pub(super) fn short_map(keys: &str, values: Schema) -> Schema {
    let mut schema = map(keys, values);
    schema.insert("maxProperties".to_owned(), MOST_LISTED.into());
    schema
}

/// One of these forms, or a variable.
pub fn form(pattern: &str) -> String {
    format!("^(?:{pattern})$|{VARIABLE}")
}

/// A value whose schema is given by a function named at the field.
#[derive(Default)]
pub(super) struct Shaped;

/// Any string.
#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "string"))]
pub struct Text(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "path", "pattern" = "[^\\u0000]"))]
pub(super) struct FilePath(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "name", "pattern" = form(NAME)))]
pub(super) struct Name(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "pattern", "pattern" = form(&type_pattern())))]
pub(super) struct Pattern(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "pointer", "x-limits" = "JSON pointer", "pattern" = form(&event_pointer())))]
pub(super) struct EventPointer(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "pointer", "x-limits" = "JSON pointer", "pattern" = form(BODY_POINTER)))]
pub(super) struct BodyPointer(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "duration", "pattern" = form(DURATION), "minLength" = 2))]
#[expect(missing_docs, reason = "it would be a part of the schema")]
pub struct Duration(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "size", "pattern" = form(SIZE)))]
pub(super) struct Size(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "rate", "pattern" = form(RATE)))]
pub(super) struct Rate(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "address", "pattern" = form(LOOPBACK)))]
pub(super) struct Loopback(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "string", "pattern" = form(ORIGIN)))]
pub(super) struct Origin(String);

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "boolean"))]
#[expect(missing_docs, reason = "it would be a part of the schema")]
pub struct Truth(bool);

/// A whole number within limits.
#[derive(Default)]
pub(super) struct Whole<const LEAST: u64, const MOST: u64>;

impl<const LEAST: u64, const MOST: u64> JsonSchema for Whole<LEAST, MOST> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Whole{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST, "x-type": "integer" })
    }
}

/// The words allowed for a key.
pub trait Words {
    /// The words.
    const WORDS: &'static [&'static str];
}

/// One of some words.
#[derive(Default)]
pub struct Word<W>(PhantomData<W>);

impl<W: Words> JsonSchema for Word<W> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Word{}", W::WORDS.join("Or")).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let variable = json_schema!({ "type": "string", "pattern": VARIABLE });
        json_schema!({ "anyOf": [{ "enum": W::WORDS }, variable], "x-type": "word" })
    }
}

/// A list, or its one member alone.
#[derive(Default)]
pub(super) struct Listed<T, const LEAST: usize>(PhantomData<T>);

impl<T: JsonSchema, const LEAST: usize> JsonSchema for Listed<T, LEAST> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{LEAST}Or{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let member = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [member, { "type": "array", "items": member, "minItems": LEAST, "maxItems": MOST_LISTED }],
        })
    }
}
