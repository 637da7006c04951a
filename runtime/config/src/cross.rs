//! Warnings about combinations of sections. Called only for a file without errors, so indexes match the file.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use reactor_core::channel::Limits;
use reactor_core::event::DEAD_LETTER_TYPE;
use reactor_core::subscription::TypePattern;

use super::Places;
use super::model::{COMMIT_BUDGET, Config, ReactorConfig, Settle};
use super::policy::DEDUP_WINDOW;
use super::problem::Problem;
use super::reader::Reader;
use super::units::show_duration;
use super::versions::overlap;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn check(config: &Config, places: &Places, reader: &mut Reader<'_>) {
    for reactor in config.reactors.values() {
        emits_to_itself(places, reader, reactor);
        window_is_short(config, places, reader, reactor);
        lease_is_short(config, places, reader, reactor);
    }
    dead_letters_go_round(config, places, reader);
}

/// The reactors that receive the dead letters of a reactor: from a local channel as an event about the dead letter,
/// from a remote one as the original message.
fn takers<'c>(config: &'c Config, reactor: &'c ReactorConfig) -> impl Iterator<Item = &'c ReactorConfig> {
    let channel = reactor.dead_letter.channel.as_ref();
    let is_event = channel.and_then(|name| config.channels.get(name)).is_some_and(|to| !to.is_remote());
    config.reactors.values().filter(move |other| {
        let wants = |pattern: &TypePattern| {
            if is_event {
                pattern.matches(DEAD_LETTER_TYPE, 1)
            } else {
                reactor.on.iter().any(|on| overlap(on, pattern))
            }
        };
        channel.is_some_and(|channel| other.from.contains(channel)) && other.on.iter().any(wants)
    })
}

/// The shortest path by which dead letters of a reactor come back to it, excluding that reactor at the end.
fn circle<'c>(config: &'c Config, start: &'c ReactorConfig) -> Option<Vec<&'c ReactorConfig>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in way.last().into_iter().flat_map(|last| takers(config, last)) {
            if next.name == start.name {
                return Some(way);
            }
            if seen.insert(&next.name) {
                ways.push_back(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

/// Warns once about each cycle; a single reactor's is already an error.
fn dead_letters_go_round(config: &Config, places: &Places, reader: &mut Reader<'_>) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for reactor in config.reactors.values() {
        if told.contains(reactor.name.as_str()) {
            continue;
        }
        let Some(circle) = circle(config, reactor).filter(|circle| circle.len() > 1) else { continue };
        let mut way = String::new();
        for one in &circle {
            told.insert(&one.name);
            let channel = one.dead_letter.channel.as_deref().unwrap_or_default();
            way.push_str(&format!("`{}`, through `{channel}` to ", one.name));
        }
        let title = format!("dead letters can go round in a circle: from {way}`{}`", reactor.name);
        let place = places.at(&["reactors", &reactor.name, "dead-letter", "channel"]);
        let mut problem = Problem::at(place, "dead-letter-circle", title).warning();
        for other in &circle[1..] {
            let place = places.at(&["reactors", &other.name, "dead-letter", "channel"]);
            problem = problem.related(place, format!("where `{}` sends its dead letters", other.name));
        }
        let problem = problem.note("after `runtime.hop-limit` reactors a dead letter is no longer forwarded");
        reader.warnings.push(problem.help("let one of them forward to a channel that none of the others reads"));
    }
}

fn emits_to_itself(places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let back =
        reactor.emit.iter().filter(|(_, channel)| reactor.from.contains(channel)).find_map(|(emitted, channel)| {
            let wanted = reactor.on.iter().position(|wanted| overlap(wanted, emitted))?;
            Some((emitted, channel, wanted))
        });
    let Some((emitted, channel, wanted)) = back else { return };
    let name = reactor.name.as_str();
    let title = format!("reactor `{name}` can receive what it emits: `{emitted}`, through `{channel}`");
    let problem = Problem::at(places.at(&["reactors", name, "emit", &emitted.text]), "self-loop", title).warning();
    let on = places.at(&["reactors", name, "on", &wanted.to_string()]);
    let problem = problem.related(on, "takes it");
    reader
        .warnings
        .push(problem.note("a chain of events that does not end by itself is cut off at `runtime.hop-limit`"));
}

fn window_is_short(config: &Config, places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let window = reactor.dedup.window;
    let late = reactor.from.iter().enumerate().find_map(|(position, name)| {
        let limits = config.channels.get(name)?.outside.as_ref()?.limits;
        (window < limits.kept).then_some((position, limits))
    });
    let Some((position, Limits { kept, kept_by, .. })) = late else { return };
    let name = reactor.name.as_str();
    let days = kept.as_secs() / DAY.as_secs();
    let title = format!("an event may be handled twice: {kept_by} can deliver it again after {days} days");
    let problem = Problem::at(places.at(&["reactors", name, "dedup", "window"]), "short-window", title).warning();
    let from = places.at(&["reactors", name, "from", &position.to_string()]);
    let problem = problem.label(format!("duplicates are recognised for {}", show_duration(window)));
    let or_none = if kept <= DEDUP_WINDOW { ", or remove the line" } else { "" };
    let help = format!("write \"{}\"{or_none}", show_duration(kept));
    reader.warnings.push(problem.related(from, format!("is on {kept_by}")).help(help));
}

fn lease_is_short(config: &Config, places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let needed = reactor.timeout + COMMIT_BUDGET;
    let channels = reactor.from.iter().filter_map(|name| config.channels.get(name));
    for channel in channels.filter(|channel| channel.settle() == Some(Settle::Completed)) {
        let lease = channel.lease(std::iter::once(reactor));
        if lease >= needed {
            continue;
        }
        let (name, most) = (reactor.name.as_str(), show_duration(lease));
        let title = format!("an attempt of `{name}` may outlast the lease on its message");
        let problem = Problem::at(places.at(&["channels", &channel.name, "lease"]), "short-lease", title);
        let problem = problem.label(format!("leased for {most}"));
        let timeout = places.at(&["reactors", name, "timeout"]);
        let problem = problem.related(timeout, format!("may take {}", show_duration(reactor.timeout)));
        let budget = show_duration(COMMIT_BUDGET);
        let problem = problem.note(format!("{budget} are kept for the commit and for deleting the message"));
        reader.note(problem.help(format!("write at least lease = \"{}\"", show_duration(needed))));
    }
}
