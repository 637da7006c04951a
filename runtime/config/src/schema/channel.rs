//! `[channels.NAME]`

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::scalar::{BodyPointer, Duration, EventPointer, Name, Size, Text, Word, Words};
use crate::channel::FORMATS;
use crate::kind::Kind;

/// A place that messages are read from and written to.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, extend("x-table" = "channels"))]
pub(super) struct Channel {
    /// where the messages live
    kind: Word<AnyKind>,
    /// the envelope of the messages
    #[schemars(default, extend("default" = "auto", "x-limits" = "below", "x-type" = "word or table"))]
    format: Format,
    /// what becomes of events that no reactor wants; they are counted in any case
    #[schemars(default, extend("default" = "keep"))]
    unrouted: Word<Unrouted>,
    /// largest message, attributes included
    #[schemars(default, extend("default" = "256KiB", "x-limits" = "up to 1008KiB"))]
    max_event: Size,
    /// what makes two events the same, instead of source and id
    #[schemars(default)]
    identity: EventPointer,
    /// where dead letters that belong to no reactor also go
    #[schemars(default, extend("x-limits" = "below"))]
    dead_letter: DeadLetter,
    /// how long the log keeps what every reactor is done with; of `sqs` and `sns`, what was copied (`settle = "stored"`) or
    /// wanted by no reactor
    #[schemars(default, extend("default" = "14d", "x-limits" = "1s to 10 years"))]
    retention: Duration,
}

/// Where messages that cannot be decoded, and events that no reactor wants (`unrouted = "dead-letter"`), go.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields, extend("x-table" = "channel-dead-letter", "x-type" = "table"))]
struct DeadLetter {
    /// messages that cannot be decoded, and unrouted events that are dead letters, are also published there
    #[schemars(extend("x-limits" = "a channel"))]
    channel: Name,
}

/// Its words are those of the list of kinds.
#[derive(Default)]
struct AnyKind;

impl Words for AnyKind {
    const WORDS: &'static [&'static str] = &[];
}

/// Adds to a channel's schema the kinds, their keys, what each requires, and which keys belong to other kinds.
pub(super) fn add(schema: &mut Value, kinds: &[&Kind]) {
    schema["properties"]["kind"]["anyOf"][0]["enum"] = kinds.iter().map(|kind| kind.name).collect();
    for (key, own) in kinds.iter().filter_map(|kind| (kind.schema)().as_object().cloned()).flatten() {
        schema["properties"][key] = own;
    }
    let rules = kinds.iter().map(|Kind { name, keys, required, .. }| {
        let others = kinds.iter().flat_map(|kind| kind.keys).filter(|key| !keys.contains(key));
        let refused: serde_json::Map<_, _> = others.map(|key| ((*key).to_owned(), Value::Bool(false))).collect();
        json!({
            "if": { "properties": { "kind": { "const": name } }, "required": ["kind"] },
            "then": { "properties": refused, "required": required },
        })
    });
    schema["allOf"] = rules.collect();
}

#[derive(Default)]
struct Unrouted;

impl Words for Unrouted {
    const WORDS: &'static [&'static str] = &["keep", "dead-letter", "drop"];
}

/// When a received message is deleted.
#[derive(Default)]
pub struct Settle;

impl Words for Settle {
    const WORDS: &'static [&'static str] = &["completed", "stored"];
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Format {
    Word(Word<Envelope>),
    Raw(Box<RawTable>),
}

impl Default for Format {
    fn default() -> Self {
        Self::Word(Word::default())
    }
}

#[derive(Default)]
struct Envelope;

impl Words for Envelope {
    const WORDS: &'static [&'static str] = FORMATS;
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RawTable {
    /// Where the parts of a raw message come from.
    raw: Raw,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, extend("x-table" = "raw"))]
struct Raw {
    /// the event type
    #[schemars(rename = "type")]
    event_type: RawField,
    /// the event id
    #[schemars(default, extend("x-default" = "the message's id"))]
    id: RawField,
    /// who published it
    #[schemars(default, extend("x-default" = "the channel's name"))]
    source: RawField,
    /// when it happened: RFC 3339, or seconds or milliseconds since 1970
    #[schemars(default)]
    time: RawField,
    /// what it is about
    #[schemars(default)]
    subject: RawField,
    /// the partition key
    #[schemars(default)]
    key: RawField,
    /// the version, of which the major part counts
    #[schemars(default, extend("x-default" = "1"))]
    version: RawField,
    /// names the flow that the event belongs to
    #[schemars(default, extend("x-default" = "the event's id"))]
    correlation_id: RawField,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum RawField {
    Constant(Text),
    From(Origin),
}

impl Default for RawField {
    fn default() -> Self {
        Self::Constant(Text::default())
    }
}

#[derive(JsonSchema, Default)]
#[schemars(default, deny_unknown_fields, extend("x-table" = "origin", "minProperties" = 1, "maxProperties" = 1))]
struct Origin {
    /// a JSON pointer into the message's body; `/attributes/NAME` is an attribute where the body has nothing there
    pointer: BodyPointer,
    /// the name of an attribute of the message, or of the SNS notification in it
    attribute: Text,
}
