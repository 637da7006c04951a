//! `[channels.NAME]`

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::QueueArn;
use super::model::{
    COMMIT_BUDGET, ChannelConfig, ChannelKind, Format, LEASE_AT_MOST, RawField, RawFormat, Settle, Unrouted,
};
use super::pointer;
use super::reader::{Reader, Section};
use super::text::Text;
use super::written::Written;

/// The keys of every channel.
pub(super) const COMMON: &[&str] = &["kind", "format", "unrouted", "max-event", "identity", "dead-letter"];
/// The keys of a channel of kind `local`, beside the common ones.
pub(super) const LOCAL: &[&str] = &["retention"];
/// The keys of a channel of kind `sqs`, beside the common ones.
pub(super) const SQS: &[&str] = &["queue", "settle", "create", "lease", "retention"];
/// The keys of a channel of kind `sns`, beside the common ones.
pub(super) const SNS: &[&str] = &["topic", "queue", "settle", "create", "lease", "retention"];
/// The keys of `[channels.NAME.dead-letter]`.
pub(super) const DEAD_LETTER: &[&str] = &["channel"];
/// The keys of `format = { raw = { ... } }`.
pub(super) const RAW: &[&str] = &["type", "id", "source", "time", "subject", "key", "version", "correlation-id"];
/// Where a part of a raw message may come from, if it is no constant.
pub(super) const ORIGINS: &[&str] = &["pointer", "attribute"];

const DAY: Duration = Duration::from_secs(86_400);
/// What SQS takes less what the envelope may need.
const MAX_EVENT: usize = (1 << 20) - (16 << 10);

const RAW_HELP: &str = "write it like: format = { raw = { type = \"order.placed\" } }";
pub(super) const FORMATS: &[&str] = &["auto", "native", "cloudevents", "sns", "eventbridge", "s3"];

#[derive(Clone, Copy)]
enum Kind {
    Local,
    Sqs,
    Sns,
}

/// Reads a channel. Where its dead letters go is added to `dead_letters`, to be checked when all channels are known.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: String,
    dead_letters: &mut Vec<(String, Text)>,
) -> ChannelConfig {
    if section.get("kind").is_none() {
        reader.missing(section, "kind", "\"local\"");
    }
    let kind = reader.choice(section, "kind", &[("local", Kind::Local), ("sqs", Kind::Sqs), ("sns", Kind::Sns)]);
    let own = match kind {
        Some(Kind::Local) => LOCAL,
        Some(Kind::Sqs) => SQS,
        Some(Kind::Sns) => SNS,
        // Without a kind, any key of any kind may be meant.
        None => &["retention", "queue", "topic", "settle", "create", "lease"],
    };
    // `queue` is a key of two kinds; the table says which.
    let homes = [
        ("a channel of kind \"sns\"", &["topic"][..]),
        ("a channel of kind \"sqs\" or \"sns\"", &["queue", "settle", "create", "lease"]),
    ];
    reader.known_keys_or(section, &[COMMON, own].concat(), &homes);
    let kind = match kind.unwrap_or(Kind::Local) {
        Kind::Local => ChannelKind::Local { retention: retention(reader, section) },
        Kind::Sqs => ChannelKind::Sqs {
            queue: reader
                .required(section, "queue", "\"orders\"")
                .map(|text| queue(reader, section, &text))
                .unwrap_or_default(),
            settle: settle(reader, section),
            create: reader.boolean(section, "create").unwrap_or(false),
            lease: reader.duration(section, "lease", COMMIT_BUDGET..=LEASE_AT_MOST),
            retention: retention(reader, section),
        },
        Kind::Sns => ChannelKind::Sns {
            topic: reader
                .required(section, "topic", "\"shop-events\"")
                .map(|text| topic(reader, section, &text))
                .unwrap_or_default(),
            queue: reader.text(section, "queue").map(|text| queue(reader, section, &text)),
            settle: settle(reader, section),
            create: reader.boolean(section, "create").unwrap_or(false),
            lease: reader.duration(section, "lease", COMMIT_BUDGET..=LEASE_AT_MOST),
            retention: retention(reader, section),
        },
    };
    let dead_letter = dead_letter(reader, section);
    let unrouted = [("keep", Unrouted::Keep), ("dead-letter", Unrouted::DeadLetter), ("drop", Unrouted::Drop)];
    dead_letters.extend(dead_letter.clone().map(|text| (name.clone(), text)));
    ChannelConfig {
        name,
        kind,
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

fn settle(reader: &mut Reader<'_>, section: &Section<'_>) -> Settle {
    let options = [("completed", Settle::Completed), ("stored", Settle::Stored)];
    reader.choice(section, "settle", &options).unwrap_or_default()
}

/// The name, URL or ARN of a queue.
fn queue(reader: &mut Reader<'_>, section: &Section<'_>, text: &Text) -> Written {
    let is_url = ["http://", "https://"].iter().any(|scheme| {
        let path = text.value.strip_prefix(scheme).and_then(|rest| rest.split_once('/'));
        path.is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
    });
    let name = if text.value.starts_with("arn:") {
        // Whose queue it is, and where, is asked for by these.
        let arn = QueueArn::parse(&text.value).filter(|arn| !arn.region.is_empty() && !arn.account.is_empty());
        arn.map_or("", |arn| arn.name)
    } else {
        &text.value
    };
    if !is_url && !is_aws_name(name, 80) {
        let help = "write its name (up to 80 letters, digits, `-` and `_`, then `.fifo` if it is one), its URL, or its ARN \
                    (arn:aws:sqs:REGION:ACCOUNT:NAME)";
        reader.bad_text(text, &section.dotted("queue"), "neither the name nor the URL nor the ARN of a queue", help);
    }
    text.kept()
}

/// The name or ARN of a topic.
fn topic(reader: &mut Reader<'_>, section: &Section<'_>, text: &Text) -> Written {
    let name = match text.value.strip_prefix("arn:").map(|arn| arn.split(':').collect::<Vec<_>>()) {
        Some(parts) => {
            if let [_, "sns", _, _, name] = parts[..] {
                name
            } else {
                ""
            }
        }
        None => &text.value,
    };
    if !is_aws_name(name, 256) {
        let help = "write its name (up to 256 letters, digits, `-` and `_`, then `.fifo` if it is one) or its ARN";
        reader.bad_text(text, &section.dotted("topic"), "neither the name nor the ARN of a topic", help);
    }
    text.kept()
}

/// The `.fifo` of a name counts against its length.
fn is_aws_name(name: &str, most: usize) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !plain.is_empty() && name.len() <= most && plain.chars().all(allowed)
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
