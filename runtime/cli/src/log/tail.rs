//! `reactor log tail`

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;

use reactor_core::event::Offset;
use reactor_core::plain::{self, line};

use super::json::to_json;
use super::pick::{Pick, Picker};
use super::story::{Channel, Part, Story, Teller, Told, Unread};
use crate::Global;
use crate::exit::Exit;
use crate::hidden::name;
use crate::project::Project;

/// Records read at a time.
const PAGE: usize = 256;
/// How often to check the store for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long to wait for a new event to end before showing it as it is.
const SETTLES_IN: Duration = Duration::from_secs(1);

/// List the latest events with their outcomes, one per line
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Only these channels; by default all that have a log
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// How many events per channel
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: usize,
    #[command(flatten)]
    pick: Pick,
    /// Then show new events as they are published, until interrupted
    #[arg(short, long)]
    follow: bool,
}

impl Tail {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let teller = Teller::new(&project, &self.channels)?;
        let picker = self.pick.picker(&project, &*teller.store)?;
        let mut ends = Vec::new();
        let mut stories = Vec::new();
        for channel in &teller.channels {
            let (end, found) = self.last(&teller, channel, &picker)?;
            ends.push(end);
            stories.extend(found);
        }
        stories.sort_by_key(|story| story.accepted);
        if !stories.iter().all(|story| show(story, global.json)) || !self.follow {
            return Ok(());
        }
        follow(&teller, &picker, ends, global.json)
    }

    /// The last wanted messages of a channel, oldest first, and where its log ends.
    fn last(&self, teller: &Teller, channel: &Channel, picker: &Picker<'_>) -> Result<(Offset, Vec<Story>), Exit> {
        let mut end = Offset(1);
        if let Some((_, count)) = teller.store.stats()?.published.iter().find(|(name, _)| *name == channel.name) {
            end = Offset(count + 1);
        }
        let mut found: VecDeque<Story> = VecDeque::new();
        // Backwards, a page at a time: only the end is wanted, and a log is long.
        let mut upper = end;
        while upper.0 > 1 && found.len() < self.lines {
            let lower = Offset(upper.0.saturating_sub(PAGE as u64).max(1));
            let mut records = Vec::new();
            let mut next = lower;
            loop {
                let read = teller.read(channel, next, PAGE)?;
                let Some(last) = read.last() else { break };
                next = Offset(last.offset.0 + 1);
                records.extend(read.into_iter().filter(|record| record.offset < upper));
                if next >= upper {
                    break;
                }
            }
            let stories = teller.tell(channel, records)?.into_iter().filter_map(|story| picker.take(story));
            let stories: Vec<_> = stories.collect();
            for story in stories.into_iter().rev() {
                if found.len() < self.lines {
                    found.push_front(story);
                }
            }
            upper = lower;
        }
        Ok((end, found.into()))
    }
}

/// Shows new events, each once: when all of it has ended, or after a time limit.
fn follow(teller: &Teller, picker: &Picker<'_>, mut ends: Vec<Offset>, json: bool) -> Result<(), Exit> {
    let mut seen = None;
    let mut waiting_since: Option<Instant> = None;
    loop {
        let changes = teller.store.foreign_changes()?;
        if seen == Some(changes) && waiting_since.is_none() {
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        seen = Some(changes);
        let mut open = false;
        for (channel, end) in teller.channels.iter().zip(&mut ends) {
            let records = teller.read(channel, *end, PAGE)?;
            open |= records.len() == PAGE;
            for story in teller.tell(channel, records)? {
                let patient = waiting_since.is_none_or(|since| since.elapsed() < SETTLES_IN);
                if !story.is_over() && story.events.is_ok() && patient {
                    open = true;
                    break;
                }
                waiting_since = None;
                *end = Offset(story.offset.0 + 1);
                if let Some(story) = picker.take(story)
                    && !show(&story, json)
                {
                    return Ok(());
                }
            }
        }
        waiting_since = open.then(|| waiting_since.unwrap_or_else(Instant::now));
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Shows a message. False if the reader has gone away.
fn show(story: &Story, json: bool) -> bool {
    let text = if json { plain::json(&to_json(story, false)).into_owned() } else { lines(story) };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

fn lines(story: &Story) -> String {
    let at = format!("{:.3} {}/{}", story.accepted, story.channel, story.offset);
    let unread = |Unread { part, parts }: &Unread| format!("{at} unread (event {}) {}", part + 1, outcomes(parts));
    let unread = story.unread.iter().map(unread);
    let told = |Told { event, parts, is_unrouted, .. }: &Told| {
        let (kind, id, flow) = (name(&event.event_type), &event.id, &event.correlation_id);
        let unrouted = if *is_unrouted { " unrouted" } else { "" };
        format!("{at} {kind} {id} ({flow}){unrouted} {}", outcomes(parts))
    };
    let all: Vec<String> = match &story.events {
        Err(why) => std::iter::once(format!("{at} cannot be decoded: {why}")).chain(unread).collect(),
        Ok(events) => {
            let broken = story.broken.iter().map(|why| format!("{at} a part cannot be decoded: {why}"));
            events.iter().map(told).chain(unread).chain(broken).collect()
        }
    };
    all.iter().map(|text| line(text.trim_end()).into_owned()).collect::<Vec<_>>().join("\n")
}

fn outcomes(parts: &[Part]) -> String {
    let part = |part: &Part| format!("{}:{}", part.reactor, part.outcome.brief());
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}
