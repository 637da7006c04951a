//! `[channels.NAME]`

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::subscription::Pointer;

use super::model::{ChannelConfig, ChannelKind, Format, RawField, RawFormat, Settle, Unrouted};
use super::reader::{Reader, Section};

/// The keys of every channel.
pub(super) const COMMON: &[&str] = &["kind", "format", "unrouted", "max-event", "identity"];
/// The keys of a channel of kind `local`, beside the common ones.
pub(super) const LOCAL: &[&str] = &["retention"];
/// The keys of a channel of kind `sqs`, beside the common ones.
pub(super) const SQS: &[&str] = &["queue", "settle"];
/// The keys of a channel of kind `sns`, beside the common ones.
pub(super) const SNS: &[&str] = &["topic", "queue", "settle"];
/// The keys of `format = { raw = { ... } }`.
pub(super) const RAW: &[&str] = &["type", "id", "source"];

const DAY: Duration = Duration::from_secs(86_400);
/// What SQS takes less what the envelope may need.
const MAX_EVENT: usize = (1 << 20) - (16 << 10);

const FORMATS: &[&str] = &["auto", "native", "cloudevents", "sns", "eventbridge", "s3"];

#[derive(Clone, Copy)]
enum Kind {
    Local,
    Sqs,
    Sns,
}

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>, name: String) -> ChannelConfig {
    if section.get("kind").is_none() {
        reader.missing(section, "kind", "\"local\"");
    }
    let kind = reader.choice(section, "kind", &[("local", Kind::Local), ("sqs", Kind::Sqs), ("sns", Kind::Sns)]);
    let own = match kind {
        Some(Kind::Local) => LOCAL,
        Some(Kind::Sqs) => SQS,
        Some(Kind::Sns) => SNS,
        // Without a kind, any key of any kind may be meant.
        None => &["retention", "queue", "topic", "settle"],
    };
    reader.known_keys(section, &[COMMON, own].concat());
    let kind = match kind.unwrap_or(Kind::Local) {
        Kind::Local => {
            let most = Duration::from_secs(10 * 365 * 86_400);
            let retention = reader.duration(section, "retention", Duration::from_secs(1)..=most);
            ChannelKind::Local { retention: retention.unwrap_or(14 * DAY) }
        }
        Kind::Sqs => ChannelKind::Sqs {
            queue: reader.required(section, "queue", "\"orders\"").map(|text| text.value).unwrap_or_default(),
            settle: settle(reader, section),
        },
        Kind::Sns => ChannelKind::Sns {
            topic: reader.required(section, "topic", "\"shop-events\"").map(|text| text.value).unwrap_or_default(),
            queue: reader.text(section, "queue").map(|text| text.value),
            settle: settle(reader, section),
        },
    };
    let unrouted = [("keep", Unrouted::Keep), ("dead-letter", Unrouted::DeadLetter), ("drop", Unrouted::Drop)];
    ChannelConfig {
        name,
        kind,
        format: format(reader, section),
        unrouted: reader.choice(section, "unrouted", &unrouted).unwrap_or_default(),
        max_event: reader.size(section, "max-event", 1..=MAX_EVENT).unwrap_or(256 << 10),
        identity: pointer(reader, section, "identity"),
    }
}

fn settle(reader: &mut Reader<'_>, section: &Section<'_>) -> Settle {
    let options = [("completed", Settle::Completed), ("stored", Settle::Stored)];
    reader.choice(section, "settle", &options).unwrap_or_default()
}

/// A JSON pointer.
pub(super) fn pointer(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<Pointer> {
    let text = reader.text(section, key)?;
    match Pointer::parse(&text.value) {
        Ok(pointer) => Some(pointer),
        Err(error) => {
            reader.syntax(&text, key, &error);
            None
        }
    }
}

fn format(reader: &mut Reader<'_>, section: &Section<'_>) -> Format {
    let Some(value) = section.get("format") else { return Format::Auto };
    if value.get_ref().is_table() {
        return raw(reader, section).map_or(Format::Auto, Format::Raw);
    }
    let Some(text) = reader.text(section, "format") else { return Format::Auto };
    match text.value.as_str() {
        "auto" => Format::Auto,
        "native" => Format::Native,
        "cloudevents" => Format::CloudEvents,
        "sns" => Format::Sns,
        "eventbridge" => Format::EventBridge,
        "s3" => Format::S3,
        "raw" => {
            let problem = reader.problem(text.span, "bad-value", "a raw format says where the type comes from");
            reader.note(problem.help("write: format = { raw = { type = \"order.placed\" } }"));
            Format::Auto
        }
        _ => {
            reader.no_such(&text, "format", FORMATS.iter().copied());
            Format::Auto
        }
    }
}

fn raw(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<RawFormat> {
    let format = reader.table(section, "format")?;
    reader.known_keys(&format, &["raw"]);
    let raw = reader.table(&format, "raw")?;
    reader.known_keys(&raw, RAW);
    let Some(event_type) = raw.get("type") else {
        reader.missing(&raw, "type", "\"order.placed\"");
        return None;
    };
    Some(RawFormat {
        event_type: raw_field(reader, event_type)?,
        id: raw.get("id").and_then(|value| raw_field(reader, value)),
        source: raw.get("source").and_then(|value| raw_field(reader, value)),
    })
}

fn raw_field(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<RawField> {
    let Some(table) = value.get_ref().as_table() else {
        return reader.text_of(value, "raw").map(|text| RawField::Constant(text.value));
    };
    let field = Section::new("format.raw", table, value.span());
    reader.known_keys(&field, &["pointer", "attribute"]);
    let attribute = reader.text(&field, "attribute").map(|text| RawField::Attribute(text.value));
    let pointed = pointer(reader, &field, "pointer").map(RawField::Pointer);
    if table.len() != 1 {
        let problem = reader.problem(value.span(), "bad-value", "a raw field has one origin");
        reader.note(problem.help("write \"text\", { pointer = \"/type\" } or { attribute = \"type\" }"));
    }
    pointed.or(attribute)
}
