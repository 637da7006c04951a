//! `reactor log show`

use std::collections::BTreeSet;

use anyhow::anyhow;
use clap::Args;

use reactor_core::event::{Offset, Origin};
use reactor_core::json::pretty;
use reactor_history::History;

use super::json::to_json;
use super::outcome::Outcome;
use super::story::{Channel, Part, Story, Teller, Told};
use crate::attempt::ran;
use crate::exit::{self, Exit};
use crate::hidden::name;
use crate::project::Project;
use crate::{Global, print_block, print_json};

/// Records read at a time.
const PAGE: usize = 1_024;

/// Show one event with every attempt
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The event's place, as CHANNEL/OFFSET, or its id; every record with this id is shown
    #[arg(value_name = "EVENT")]
    event: String,
}

impl Show {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let place = self.event.rsplit_once('/').and_then(|(name, offset)| Some((name, offset.parse().ok()?)));
        let place = place.filter(|(name, _)| project.config.channels.contains_key(*name));
        let wanted: Vec<_> = place.iter().map(|(name, _)| (*name).to_owned()).collect();
        let teller = Teller::new(&project, &wanted)?;
        let mut stories = match place {
            Some((_, offset)) => {
                let found = teller.channels.first().map(|channel| one(&teller, channel, Offset(offset))).transpose()?;
                found.unwrap_or_default()
            }
            None => with_id(&teller, &self.event)?,
        };
        if stories.is_empty() {
            let why = anyhow!(
                "no log contains `{}`; its retention may have ended. `reactor log tail` shows what there is",
                self.event
            );
            return Err(Exit::new(exit::FAILURE, why));
        }
        for story in &mut stories {
            story.add_attempts(&*teller.store)?;
            if global.json {
                print_json(&to_json(story, true));
            } else {
                print(story);
            }
        }
        Ok(())
    }
}

fn one(teller: &Teller, channel: &Channel, offset: Offset) -> Result<Vec<Story>, Exit> {
    let mut records = teller.read(channel, offset, 1)?;
    records.retain(|record| record.offset == offset);
    teller.tell(channel, records)
}

/// Every record with an event with this id. There is no index by id: logs are read from the beginning.
fn with_id(teller: &Teller, id: &str) -> Result<Vec<Story>, Exit> {
    let handled = History::new(&*teller.store).of_event(id)?;
    let known: BTreeSet<Origin> = handled.into_iter().map(|handled| handled.origin).collect();
    let mut found = Vec::new();
    for channel in &teller.channels {
        let mut next = Offset(1);
        loop {
            let mut records = teller.read(channel, next, PAGE)?;
            let Some(last) = records.last() else { break };
            next = Offset(last.offset.0 + 1);
            let is_known = |offset, part| known.contains(&Origin { channel: channel.id, offset, part });
            // Cheaper than decoding records that cannot match.
            records.retain(|record| {
                contains(&record.message.body, id.as_bytes())
                    || !record.message.attributes.is_empty()
                    || known.iter().any(|origin| (origin.channel, origin.offset) == (channel.id, record.offset))
            });
            for mut story in teller.tell(channel, records)? {
                let offset = story.offset;
                story.unread.retain(|unread| is_known(offset, unread.part));
                if let Ok(events) = &mut story.events {
                    events.retain(|told| told.event.id == id || is_known(offset, told.part));
                }
                let is_empty = story.unread.is_empty() && story.events.as_ref().map_or(true, Vec::is_empty);
                found.extend((!is_empty).then_some(story));
            }
        }
    }
    Ok(found)
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    // An id may be written with escapes, and then a plain search misses it.
    body.contains(&b'\\') || body.windows(text.len().max(1)).any(|part| part == text)
}

fn print(story: &Story) {
    out!("{}/{}, accepted {:.3}", story.channel, story.offset, story.accepted);
    match &story.events {
        Err(why) => out!("cannot be decoded: {why}"),
        Ok(events) => events.iter().for_each(print_event),
    }
    for unread in &story.unread {
        out!("event {} of it is not found by the present configuration", unread.part + 1);
        unread.parts.iter().for_each(print_part);
    }
    story.broken.iter().for_each(|why| out!("a part of it cannot be decoded: {why}"));
}

fn print_event(told: &Told) {
    let Told { event, parts, is_unrouted, .. } = told;
    let line = |name: &str, value: &str| out!("{name:<12} {value}");
    line("event", &event.id);
    line("type", &format!("{} version {}", name(&event.event_type), event.version));
    line("source", &name(&event.source));
    line("correlation", &event.correlation_id);
    let time = event.time.map(|time| time.to_string());
    let optional = [
        ("time", &time),
        ("causation", &event.causation_id),
        ("subject", &event.subject),
        ("key", &event.partition_key),
        ("trace", &event.trace_parent),
        ("content", &Some(event.content_type.clone())),
    ];
    for (name, value) in optional {
        value.iter().for_each(|value| line(name, value));
    }
    if !event.attributes.is_empty() {
        out!("attributes");
        event.attributes.iter().for_each(|attribute| out!("    {attribute}"));
    }
    out!("data ({} bytes)", event.data.len());
    match std::str::from_utf8(&event.data) {
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => print_block(&pretty(text)),
        _ => print_block(&String::from_utf8_lossy(&event.data)),
    }
    match parts.is_empty() {
        true => out!("no reactor wants it"),
        false if *is_unrouted => out!("no reactor wanted it"),
        false => {}
    }
    parts.iter().for_each(print_part);
}

fn print_part(part: &Part) {
    out!("{}: {}", part.reactor, part.outcome.sentence());
    if let Outcome::Duplicate(duplicate) = &part.outcome {
        duplicate.warning().iter().for_each(|warning| out!("    {warning}"));
    }
    for attempt in &part.attempts {
        out!("    attempt {} at {:.3}: {}{}", attempt.number, attempt.at, attempt.code, ran(attempt));
        if let Some(error) = &attempt.error {
            print_block(&error.split('\n').take(3).collect::<Vec<_>>().join("\n"));
        }
    }
}
