//! What only shows when sections meet: names of channels, and routes that lead back to themselves.

use super::Places;
use super::model::{Config, ReactorConfig};
use super::problem::Problem;
use super::reader::{Reader, nearest};
use crate::pipeline::DEAD_LETTER_TYPE;

pub(super) fn check(config: &Config, places: &Places, reader: &mut Reader<'_>) {
    for reactor in config.reactors.values() {
        channels_exist(config, places, reader, reactor);
        no_dead_letter_loop(places, reader, reactor);
        emits_to_itself(places, reader, reactor);
    }
}

fn channels_exist(config: &Config, places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let from = reactor.from.iter().map(|name| ("from", name));
    let emit = reactor.emit.iter().map(|(_, name)| ("emit", name));
    let dead = reactor.dead_letter.channel.iter().map(|name| ("dead-letter", name));
    for (key, name) in from.chain(emit).chain(dead) {
        if config.channels.contains_key(name) {
            continue;
        }
        let title = format!("reactor `{}` names the channel `{name}` in `{key}`, and there is none", reactor.name);
        let problem = Problem::at(places.reactor(&reactor.name, key), "unknown-channel", title);
        reader.note(match nearest(name, config.channels.keys().map(String::as_str)) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem.help(format!("add a table [channels.{name}] with its `kind`")),
        });
    }
}

/// A dead letter that comes back to the reactor that could not handle the event is a dead letter again.
fn no_dead_letter_loop(places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let Some(channel) = &reactor.dead_letter.channel else { return };
    let comes_back = reactor.on.iter().find(|pattern| pattern.matches(DEAD_LETTER_TYPE, 1));
    if let (true, Some(pattern)) = (reactor.from.contains(channel), comes_back) {
        let title = format!("the dead letters of `{}` would come back to it through `{channel}`", reactor.name);
        let problem = Problem::at(places.reactor(&reactor.name, "dead-letter"), "dead-letter-loop", title);
        let help = format!("forward them to a channel it does not read; `{pattern}` matches `{DEAD_LETTER_TYPE}`");
        reader.note(problem.help(help));
    }
}

fn emits_to_itself(places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let back = reactor.emit.iter().find(|(emitted, channel)| {
        reactor.from.contains(channel) && reactor.on.iter().any(|wanted| wanted.covers(emitted))
    });
    if let Some((emitted, channel)) = back {
        let title = format!("reactor `{}` gets what it emits: `{emitted}` by `{channel}`", reactor.name);
        let problem = Problem::at(places.reactor(&reactor.name, "emit"), "self-loop", title).warning();
        reader.warnings.push(problem.help("such a chain ends as a dead letter at runtime.hop-limit"));
    }
}
