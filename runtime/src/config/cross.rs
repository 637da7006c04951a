//! What is odd when sections meet. Called only for a file without errors, so that indexes are those of the file.

use std::time::Duration;

use super::Places;
use super::model::{COMMIT_BUDGET, ChannelKind, Config, ReactorConfig, Settle};
use super::problem::Problem;
use super::reader::Reader;
use super::units::show_duration;
use super::versions::overlap;

/// How long SQS can keep a message, and therefore deliver it again.
const SQS_KEEPS: Duration = Duration::from_secs(14 * 86_400);

pub(super) fn check(config: &Config, places: &Places, reader: &mut Reader<'_>) {
    for reactor in config.reactors.values() {
        emits_to_itself(places, reader, reactor);
        window_is_short(config, places, reader, reactor);
        lease_is_short(config, places, reader, reactor);
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
    let title = format!("reactor `{name}` can get what it emits: `{emitted}`, through `{channel}`");
    let problem = Problem::at(places.at(&["reactors", name, "emit", &emitted.text]), "self-loop", title).warning();
    let on = places.at(&["reactors", name, "on", &wanted.to_string()]);
    let problem = problem.related(on, "takes it");
    reader.warnings.push(problem.note("a chain of events that does not end by itself ends at `runtime.hop-limit`"));
}

fn window_is_short(config: &Config, places: &Places, reader: &mut Reader<'_>, reactor: &ReactorConfig) {
    let remote = |name: &String| config.channels.get(name).is_some_and(|channel| !is_local(&channel.kind));
    let Some(position) = reactor.from.iter().position(remote) else { return };
    if reactor.dedup.window >= SQS_KEEPS {
        return;
    }
    let name = reactor.name.as_str();
    let title = "an event may be handled twice: SQS can deliver it again after 14 days";
    let problem = Problem::at(places.at(&["reactors", name, "dedup", "window"]), "short-window", title).warning();
    let from = places.at(&["reactors", name, "from", &position.to_string()]);
    let problem = problem.label(format!("duplicates are known for {}", show_duration(reactor.dedup.window)));
    reader.warnings.push(problem.related(from, "is on SQS").help("write \"14d\", or remove the line"));
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

fn is_local(kind: &ChannelKind) -> bool {
    matches!(kind, ChannelKind::Local { .. })
}
