//! `[reactors.NAME]` and its tables.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::subscription::TypePattern;

use super::channel::pointer;
use super::filter;
use super::model::{Allow, DeadLetterPolicy, DedupPolicy, Jitter, OnExhausted, ReactorConfig, RetryPolicy};
use super::reader::{Reader, Section, Text};
use super::units::{parse_rate, show_duration};

/// Its keys.
pub(super) const KEYS: &[&str] = &[
    "module",
    "build",
    "from",
    "on",
    "when",
    "order-by",
    "emit",
    "concurrency",
    "rate",
    "timeout",
    "cpu",
    "memory",
    "allow",
    "config",
    "retry",
    "dedup",
    "dead-letter",
];
/// The keys of `allow`.
pub(super) const ALLOW: &[&str] = &["state", "http"];
/// The keys of `[reactors.NAME.retry]`.
pub(super) const RETRY: &[&str] = &["max-attempts", "initial", "factor", "max", "jitter", "max-age"];
/// The keys of `[reactors.NAME.dedup]`.
pub(super) const DEDUP: &[&str] = &["window", "key"];
/// The keys of `[reactors.NAME.dead-letter]`.
pub(super) const DEAD_LETTER: &[&str] = &["channel", "on-exhausted"];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const TICK: Duration = Duration::from_millis(10);

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>, name: String, root: &Path) -> ReactorConfig {
    reader.known_keys(section, KEYS);
    let timeout = reader.duration(section, "timeout", TICK..=Duration::from_secs(900)).unwrap_or(10 * SECOND);
    let cpu = reader.duration(section, "cpu", TICK..=60 * SECOND);
    if let (Some(cpu), Some(value)) = (cpu, section.get("cpu"))
        && cpu > timeout
    {
        let title = format!("the CPU limit is above the time-out of {}", show_duration(timeout));
        let problem = reader.problem(value.span(), "cpu-above-timeout", title);
        reader.note(problem.help("an attempt ends at its time-out: lower `cpu`, or raise `timeout`"));
    }
    let concurrency = reader.integer(section, "concurrency", 1..=10_000).unwrap_or(8);
    ReactorConfig {
        module: module(reader, section, root),
        build: reader.text(section, "build").map(|text| text.value),
        from: names(reader, section, "from", "[\"shop\"]"),
        on: patterns(reader, section),
        when: filter::read(reader, section),
        order_by: pointer(reader, section, "order-by"),
        emit: emit(reader, section),
        concurrency: concurrency as usize,
        rate: rate(reader, section),
        timeout,
        cpu: cpu.unwrap_or(SECOND.min(timeout)),
        memory: reader.size(section, "memory", 64 << 10..=512 << 20).unwrap_or(64 << 20),
        allow: allow(reader, section),
        config: config(reader, section),
        retry: retry(reader, section),
        dedup: dedup(reader, section),
        dead_letter: dead_letter(reader, section),
        name,
    }
}

fn module(reader: &mut Reader<'_>, section: &Section<'_>, root: &Path) -> PathBuf {
    let Some(text) = reader.required(section, "module", "\"target/wasm32-unknown-unknown/release/my_reactor.wasm\"")
    else {
        return PathBuf::new();
    };
    let path = Path::new(&text.value);
    let stays_below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays_below || text.value.is_empty() {
        let title = format!("the module `{}` is not below the folder of the configuration", text.value);
        let problem = reader.problem(text.span, "path-escapes", title);
        reader.note(problem.help("write a path relative to that folder, without `..`"));
    }
    root.join(path)
}

/// A list of names that must be there and not empty.
fn names(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, example: &str) -> Vec<String> {
    let texts = listed(reader, section, key, example);
    let mut seen: Vec<String> = Vec::new();
    for text in texts {
        if seen.contains(&text.value) {
            reader.error(text.span, "duplicate", format!("`{}` stands twice in `{key}`", text.value));
        } else {
            seen.push(text.value);
        }
    }
    seen
}

fn listed(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, example: &str) -> Vec<Text> {
    let Some(value) = section.get(key) else {
        reader.missing(section, key, example);
        return Vec::new();
    };
    if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        let problem =
            reader.problem(value.span(), "never", format!("`{key}` is empty, so the reactor would get nothing"));
        reader.note(problem.help(format!("write it like: {key} = {example}")));
    }
    reader.texts(section, key).unwrap_or_default()
}

fn patterns(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<TypePattern> {
    let mut patterns: Vec<TypePattern> = Vec::new();
    for text in listed(reader, section, "on", "[\"order.placed\", \"invoice.*\"]") {
        match TypePattern::parse(&text.value) {
            Ok(pattern) => {
                shadowed(reader, &text, patterns.iter(), &pattern);
                patterns.push(pattern);
            }
            Err(error) => reader.syntax(&text, "on", &error),
        }
    }
    patterns
}

/// Warns of a pattern that an earlier one makes useless.
fn shadowed<'p>(
    reader: &mut Reader<'_>,
    text: &Text,
    mut earlier: impl Iterator<Item = &'p TypePattern>,
    pattern: &TypePattern,
) {
    if let Some(wider) = earlier.find(|earlier| earlier.covers(pattern)) {
        let title = format!("`{pattern}` never counts: `{wider}` stands before it and takes the same events");
        let problem = reader.problem(text.span.clone(), "shadowed", title);
        reader.warnings.push(problem.warning().help("remove it, or put it first"));
    }
}

fn emit(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<(TypePattern, String)> {
    let Some(table) = reader.table(section, "emit") else { return Vec::new() };
    let mut entries: Vec<_> = table.table.iter().collect();
    // The first match counts, so the order of the file counts, whatever order the table is kept in.
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut rules: Vec<(TypePattern, String)> = Vec::new();
    for (key, value) in entries {
        let text = Text { value: key.get_ref().to_string(), span: key.span() };
        let channel = reader.text_of(value, "emit");
        match TypePattern::parse(&text.value) {
            Ok(pattern) => {
                shadowed(reader, &text, rules.iter().map(|(pattern, _)| pattern), &pattern);
                rules.extend(channel.map(|channel| (pattern, channel.value)));
            }
            Err(error) => reader.syntax(&text, "emit", &error),
        }
    }
    rules
}

fn rate(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<crate::subscription::Rate> {
    let text = reader.text(section, "rate")?;
    match parse_rate(&text.value) {
        Ok(rate) => Some(rate),
        Err(why) => {
            let problem = reader.problem(text.span, "bad-value", format!("`rate` cannot be \"{}\"", text.value));
            reader.note(problem.label(why));
            None
        }
    }
}

fn allow(reader: &mut Reader<'_>, section: &Section<'_>) -> Allow {
    let Some(table) = reader.table(section, "allow") else { return Allow::default() };
    reader.known_keys(&table, ALLOW);
    let origins = reader.texts(&table, "http").unwrap_or_default();
    for origin in &origins {
        if !is_origin(&origin.value) {
            let title = format!("`{}` is no origin", origin.value);
            let problem = reader.problem(origin.span.clone(), "bad-value", title);
            reader.note(
                problem.help("write scheme://host or scheme://host:port, without a path: https://api.example.com"),
            );
        }
    }
    Allow {
        state: reader.boolean(&table, "state").unwrap_or(false),
        http: origins.into_iter().map(|origin| origin.value).collect(),
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    matches!(scheme, "http" | "https")
        && !host.is_empty()
        && host.chars().all(plain)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The guest's own configuration: strings as they are, everything else as JSON.
fn config(reader: &mut Reader<'_>, section: &Section<'_>) -> BTreeMap<String, String> {
    let Some(table) = reader.table(section, "config") else { return BTreeMap::new() };
    let mut values = BTreeMap::new();
    for (key, value) in table.table {
        let text = match value.get_ref() {
            DeValue::String(_) => reader.text_of(value, key.get_ref()).map(|text| text.value),
            _ => json(reader, value).map(|json| json.to_string()),
        };
        values.extend(text.map(|text| (key.get_ref().to_string(), text)));
    }
    values
}

fn json(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<serde_json::Value> {
    use serde_json::Value;
    let number = |text: &str| text.replace('_', "").parse::<serde_json::Number>().ok().map(Value::Number);
    let converted = match value.get_ref() {
        DeValue::String(_) => reader.text_of(value, "config").map(|text| Value::String(text.value)),
        DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
        DeValue::Integer(written) if written.radix() != 10 => {
            i64::from_str_radix(&written.as_str().replace('_', ""), written.radix()).ok().map(Value::from)
        }
        DeValue::Integer(written) => number(written.as_str().trim_start_matches('+')),
        DeValue::Float(written) => number(written.as_str().trim_start_matches('+')),
        DeValue::Datetime(moment) => Some(Value::String(moment.to_string())),
        DeValue::Array(list) => {
            list.iter().map(|value| json(reader, value)).collect::<Option<Vec<_>>>().map(Value::from)
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(reader, value)?)));
            entries.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
        }
    };
    if converted.is_none() {
        reader.error(value.span(), "bad-value", "this value cannot be handed to the module as JSON");
    }
    converted
}

fn retry(reader: &mut Reader<'_>, section: &Section<'_>) -> RetryPolicy {
    let mut policy = RetryPolicy {
        max_attempts: 5,
        initial: SECOND,
        factor: 2.0,
        max: 100 * SECOND,
        jitter: Jitter::Full,
        max_age: DAY,
    };
    let Some(table) = reader.table(section, "retry") else { return policy };
    reader.known_keys(&table, RETRY);
    let initial = reader.duration(&table, "initial", Duration::ZERO..=12 * HOUR);
    let jitter = [("full", Jitter::Full), ("equal", Jitter::Equal), ("none", Jitter::None)];
    let attempts = reader.integer(&table, "max-attempts", 1..=1_000);
    policy.max_attempts = attempts.map_or(policy.max_attempts, |attempts| attempts as u32);
    policy.factor = reader.number(&table, "factor", 1.0..=100.0).unwrap_or(policy.factor);
    policy.jitter = reader.choice(&table, "jitter", &jitter).unwrap_or(policy.jitter);
    policy.max_age = reader.duration(&table, "max-age", SECOND..=YEAR).unwrap_or(policy.max_age);
    let max = reader.duration(&table, "max", Duration::ZERO..=12 * HOUR);
    policy.initial = initial.unwrap_or(policy.initial);
    // A longer first delay than the default ceiling raises it; one that is written stays.
    policy.max = max.unwrap_or(policy.max.max(policy.initial));
    if let (Some(initial), Some(max), Some(value)) = (initial, max, table.get("initial"))
        && initial > max
    {
        let title = format!("the first delay is above `max`, which is {}", show_duration(max));
        let problem = reader.problem(value.span(), "initial-above-max", title);
        reader.note(problem.help("lower `initial`, or raise `max`"));
    }
    policy
}

fn dedup(reader: &mut Reader<'_>, section: &Section<'_>) -> DedupPolicy {
    let default = DedupPolicy { window: 14 * DAY, key: None };
    let Some(table) = reader.table(section, "dedup") else { return default };
    reader.known_keys(&table, DEDUP);
    DedupPolicy {
        window: reader.duration(&table, "window", SECOND..=YEAR).unwrap_or(default.window),
        key: pointer(reader, &table, "key"),
    }
}

fn dead_letter(reader: &mut Reader<'_>, section: &Section<'_>) -> DeadLetterPolicy {
    let Some(table) = reader.table(section, "dead-letter") else { return DeadLetterPolicy::default() };
    reader.known_keys(&table, DEAD_LETTER);
    let options = [("continue", OnExhausted::Continue), ("park-key", OnExhausted::ParkKey)];
    let on_exhausted = reader.choice(&table, "on-exhausted", &options).unwrap_or_default();
    if on_exhausted == OnExhausted::ParkKey
        && section.get("order-by").is_none()
        && let Some(value) = table.get("on-exhausted")
    {
        let problem = reader.problem(value.span(), "park-without-order", "there is no key to park without `order-by`");
        reader.note(problem.help("add a line such as: order-by = \"/data/orderId\""));
    }
    DeadLetterPolicy { channel: reader.text(&table, "channel").map(|text| text.value), on_exhausted }
}
