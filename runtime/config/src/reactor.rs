//! `[reactors.NAME]` and its tables.

use std::path::{Component, Path};
use std::time::Duration;

use reactor_core::subscription::{Rate, TypePattern};

use super::destination::{self, Channels};
use super::keys::{REACTOR, misplaced};
use super::model::ReactorConfig;
use super::reader::{Reader, Section};
use super::route::Route;
use super::text::Text;
use super::units::{parse_rate, show_duration};
use super::{Located, emit, filter, grants, guest, notation, pointer, policy};

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: String,
    root: &Path,
    channels: &Channels<'_>,
) -> ReactorConfig {
    misplaced(reader, section, REACTOR);
    let from = sources(reader, section, channels);
    let (on, on_is_whole) = patterns(reader, section);
    let route = Route { from, on, on_is_whole };
    let (timeout, cpu) = times(reader, section);
    let concurrency = reader.integer(section, "concurrency", 1..=10_000).unwrap_or(8);
    ReactorConfig {
        module: module(reader, section, root),
        build: reader.text(section, "build").map(|text| text.kept()),
        when: filter::read(reader, section, &route),
        order_by: pointer::into_event(reader, section, "order-by"),
        emit: emit::read(reader, section, channels),
        concurrency: concurrency as usize,
        rate: rate(reader, section),
        timeout,
        cpu,
        memory: reader.size(section, "memory", 64 << 10..=512 << 20).unwrap_or(64 << 20),
        allow: grants::read(reader, section),
        config: guest::config(reader, section),
        retry: policy::retry(reader, section),
        breaker: policy::breaker(reader, section),
        dedup: policy::dedup(reader, section),
        dead_letter: policy::dead_letter(reader, section, &route, channels),
        from: route.from.into_iter().map(|text| text.value).collect(),
        on: route.on.into_iter().map(|(_, pattern)| pattern).collect(),
        name,
    }
}

/// The limits of an attempt, in wall-clock and CPU time.
fn times(reader: &mut Reader<'_>, section: &Section<'_>) -> (Duration, Duration) {
    let timeout = reader.duration(section, "timeout", TICK..=Duration::from_secs(900)).unwrap_or(10 * SECOND);
    let cpu = reader.duration(section, "cpu", TICK..=60 * SECOND);
    if let (Some(found), Some(value)) = (cpu, section.get("cpu"))
        && found > timeout
    {
        let title = format!("the CPU limit is above the time-out of {}", show_duration(timeout));
        let mut problem = reader.problem(value.span(), "cpu-above-timeout", title);
        if let Some(value) = section.get("timeout") {
            problem = problem.related(reader.place(value.span()), "the time-out");
        }
        reader.note(problem.help("an attempt ends at its time-out: lower `cpu`, or raise `timeout`"));
    }
    (timeout, cpu.unwrap_or(SECOND.min(timeout)))
}

fn module(reader: &mut Reader<'_>, section: &Section<'_>, root: &Path) -> Located {
    let Some(text) = reader.required(section, "module", "\"target/wasm32-unknown-unknown/release/my_reactor.wasm\"")
    else {
        return Located::default();
    };
    let path = Path::new(&text.value);
    if let Err(why) = below_root(path) {
        let title = format!("the module `{}` is not below the folder of the configuration", text.written);
        let problem = reader.problem(text.span.clone(), "path-escapes", title).label(text.reason(why));
        reader.note(problem.help("write a path relative to that folder, without `..`"));
    }
    reader.located(root, &text)
}

/// Whether a relative path stays below its base, judged without looking at the disk.
pub(super) fn below_root(path: &Path) -> Result<(), &'static str> {
    let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
    if parts.peek().is_none() {
        return Err("it names no file");
    }
    for part in parts {
        match part {
            Component::Normal(name) if name.as_encoded_bytes().contains(&0) => return Err("it has a zero byte"),
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => return Err("`..` leads out of it"),
            Component::RootDir | Component::Prefix(_) => return Err("it is absolute"),
        }
    }
    Ok(())
}

fn sources(reader: &mut Reader<'_>, section: &Section<'_>, channels: &Channels<'_>) -> Vec<Text> {
    let name = section.dotted("from");
    let mut seen: Vec<Text> = Vec::new();
    for text in listed(reader, section, "from", "[\"shop\"]") {
        match seen.iter().find(|seen| seen.value == text.value) {
            Some(first) => reader.twice(&text, first, &name),
            None => {
                destination::source(reader, &text, &name, channels);
                seen.push(text);
            }
        }
    }
    seen
}

/// A required, non-empty list.
fn listed(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, example: &str) -> Vec<Text> {
    let Some(value) = section.get(key) else {
        reader.missing(section, key, example);
        return Vec::new();
    };
    if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        let title = format!("`{}` is empty, so the reactor would get nothing", section.dotted(key));
        let problem = reader.problem(value.span(), "never", title);
        reader.note(problem.help(format!("write it like: {key} = {example}")));
    }
    reader.texts(section, key).unwrap_or_default()
}

/// The event types wanted, and whether all could be parsed.
fn patterns(reader: &mut Reader<'_>, section: &Section<'_>) -> (Vec<(Text, TypePattern)>, bool) {
    let before = reader.errors.iter().count();
    let name = section.dotted("on");
    let mut patterns: Vec<(Text, TypePattern)> = Vec::new();
    for text in listed(reader, section, "on", "[\"order.placed\", \"invoice.*\"]") {
        match TypePattern::parse(&text.value) {
            Ok(pattern) => {
                notation::check(reader, &text);
                let shown = text.kept().to_string();
                patterns.push((text, TypePattern { text: shown, ..pattern }));
            }
            Err(error) => {
                let problem = reader.syntax_problem(&text, &name, &error);
                reader.note(match notation::instead(&text) {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            }
        }
    }
    for (index, (text, pattern)) in patterns.iter().enumerate() {
        // Of two equal ones, report the later one.
        let wider = patterns.iter().enumerate().find(|(other, (_, wider))| {
            *other != index && wider.covers(pattern) && (*other < index || !pattern.covers(wider))
        });
        if let Some((_, (wider_text, _))) = wider {
            let title = format!("`{}` adds nothing: `{}` takes the same events", text.written, wider_text.written);
            let problem = reader.problem(text.span.clone(), "shadowed", title).warning();
            let problem = problem.related(reader.place(wider_text.span.clone()), "takes them, too");
            reader.warnings.push(problem.help("remove one of the two"));
        }
    }
    (patterns, reader.errors.iter().count() == before)
}

fn rate(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Rate> {
    let value = section.get("rate")?;
    if value.get_ref().is_integer() || value.get_ref().is_float() {
        let problem = reader.problem(value.span(), "wrong-type", format!("`{}` needs a unit", section.dotted("rate")));
        reader.note(problem.label("write it as a string with its unit, such as \"100/s\""));
        return None;
    }
    let text = reader.text(section, "rate")?;
    match parse_rate(&text.value) {
        Ok(rate) => Some(rate),
        Err(why) => {
            reader.bad_text(&text, &section.dotted("rate"), why, "");
            None
        }
    }
}
