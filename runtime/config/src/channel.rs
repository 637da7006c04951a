//! `[channels.NAME]`

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::kind::{self, Kind};
use super::model::{ChannelConfig, Format, RawField, RawFormat, Unrouted};
use super::pointer;
use super::reader::{Reader, Section};
use super::text::Text;

/// The keys of every channel, except the last one.
pub(super) const COMMON: &[&str] = &["kind", "format", "unrouted", "max-event", "identity", "dead-letter"];
/// The last key of every channel, listed after those of its kind.
pub(super) const RETENTION: &[&str] = &["retention"];
/// The keys of `[channels.NAME.dead-letter]`.
pub(super) const DEAD_LETTER: &[&str] = &["channel"];
/// The keys of `format = { raw = { ... } }`.
pub(super) const RAW: &[&str] = &["type", "id", "source", "time", "subject", "key", "version", "correlation-id"];
/// Where a part of a raw message may come from, if it is not a constant.
pub(super) const ORIGINS: &[&str] = &["pointer", "attribute"];

const DAY: Duration = Duration::from_secs(86_400);
/// 1 MiB minus an allowance for the envelope.
const MAX_EVENT: usize = (1 << 20) - (16 << 10);

const RAW_HELP: &str = "write it like: format = { raw = { type = \"order.placed\" } }";
pub(super) const FORMATS: &[&str] = &["auto", "native", "cloudevents", "sns", "eventbridge", "s3"];

/// Reads a channel. Adds its dead-letter channel to `dead_letters`, to be checked once all channels are known.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: String,
    kinds: &[&Kind],
    dead_letters: &mut Vec<(String, Text)>,
) -> ChannelConfig {
    if section.get("kind").is_none() {
        reader.missing(section, "kind", "\"local\"");
    }
    let words: Vec<_> = kinds.iter().map(|kind| (kind.name, *kind)).collect();
    let kind = reader.choice(section, "kind", &words);
    let all = kind::keys(kinds);
    let known = match kind {
        Some(kind) => [COMMON, kind.keys, RETENTION].concat(),
        // Without a kind, the keys of all kinds are allowed.
        None => [COMMON, RETENTION, &all].concat(),
    };
    let homes = kind::homes(kinds, &all);
    let homes: Vec<_> = homes.iter().map(|(home, keys)| (home.as_str(), &keys[..])).collect();
    reader.known_keys_or(section, &known, &homes);
    let dead_letter = dead_letter(reader, section);
    let unrouted = [("keep", Unrouted::Keep), ("dead-letter", Unrouted::DeadLetter), ("drop", Unrouted::Drop)];
    dead_letters.extend(dead_letter.clone().map(|text| (name.clone(), text)));
    ChannelConfig {
        name,
        outside: kind.and_then(|kind| (kind.read)(reader, section)),
        retention: retention(reader, section),
        format: format(reader, section),
        unrouted: reader.choice(section, "unrouted", &unrouted).unwrap_or_default(),
        max_event: reader.size(section, "max-event", 1..=MAX_EVENT).unwrap_or(256 << 10),
        identity: pointer::into_event(reader, section, "identity"),
        dead_letter: dead_letter.map(|text| text.value),
    }
}

fn dead_letter(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Text> {
    let table = reader.table(section, "dead-letter")?;
    reader.known_keys(&table, DEAD_LETTER);
    reader.required(&table, "channel", "\"orders-dlq\"")
}

fn retention(reader: &mut Reader<'_>, section: &Section<'_>) -> Duration {
    let most = Duration::from_secs(10 * 365 * 86_400);
    reader.duration(section, "retention", Duration::from_secs(1)..=most).unwrap_or(14 * DAY)
}

fn format(reader: &mut Reader<'_>, section: &Section<'_>) -> Format {
    let Some(value) = section.get("format") else { return Format::Auto };
    if value.get_ref().is_table() {
        return raw(reader, section).map_or(Format::Auto, |raw| Format::Raw(Box::new(raw)));
    }
    if !value.get_ref().is_str() {
        reader.mismatch(
            value,
            &section.dotted("format"),
            "a string, or a table such as { raw = { type = \"order.placed\" } }",
        );
        return Format::Auto;
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
            let why = "a raw format says where the type comes from";
            reader.bad_text(&text, &section.dotted("format"), why, RAW_HELP);
            Format::Auto
        }
        _ => {
            reader.no_such(&text, &section.dotted("format"), FORMATS.iter().copied());
            Format::Auto
        }
    }
}

fn raw(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<RawFormat> {
    let format = reader.table(section, "format")?;
    reader.known_keys(&format, &["raw"]);
    if format.get("raw").is_none() {
        reader.missing(&format, "raw", "{ type = \"order.placed\" }");
    }
    let raw = reader.table(&format, "raw")?;
    reader.known_keys(&raw, RAW);
    let Some(event_type) = raw.get("type") else {
        reader.missing(&raw, "type", "\"order.placed\"");
        return None;
    };
    let event_type = raw_field(reader, event_type, &raw.dotted("type"))?;
    let mut part = |key: &str| raw.get(key).and_then(|value| raw_field(reader, value, &raw.dotted(key)));
    Some(RawFormat {
        event_type,
        id: part("id"),
        source: part("source"),
        time: part("time"),
        subject: part("subject"),
        key: part("key"),
        version: part("version"),
        correlation_id: part("correlation-id"),
    })
}

fn raw_field(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<RawField> {
    let Some(table) = value.get_ref().as_table() else {
        let text = reader.text_of(value, name)?.kept();
        reader.noted.constant(&text);
        return Some(RawField::Constant(text));
    };
    let field = Section::new(name, table, value.span());
    reader.known_keys(&field, ORIGINS);
    let attribute = reader.text(&field, "attribute").map(|text| RawField::Attribute(text.kept()));
    let pointed = pointer::into_body(reader, &field, "pointer").map(RawField::Pointer);
    if table.len() != 1 {
        let problem = reader.problem(value.span(), "bad-value", "a raw field has one origin");
        reader.note(problem.help("write \"text\", { pointer = \"/type\" } or { attribute = \"type\" }"));
    }
    pointed.or(attribute)
}
