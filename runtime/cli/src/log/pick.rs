//! Which events are shown.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use reactor_config::units;
use reactor_core::store::StoreClient;
use reactor_core::subscription::TypePattern;

use super::outcome::Outcome;
use super::story::{Part, Story, Told};
use crate::exit::{self, Exit};
use crate::project::Project;

/// All conditions must hold.
#[derive(Debug, Args)]
pub(super) struct Pick {
    /// Only events of these types, such as order.placed or order.**
    #[arg(long = "type", value_name = "PATTERN")]
    pattern: Option<String>,
    /// Only events that this reactor gets
    #[arg(long)]
    reactor: Option<String>,
    /// Only events with this outcome, for any reactor or for the one given
    #[arg(long, value_enum)]
    outcome: Option<Wanted>,
    /// Only events with this correlation id
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// Only events accepted within this time, such as 2h
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
}

/// What can have become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wanted {
    Done,
    /// It is a dead letter; see `reactor dead`
    Dead,
    /// Its dead letter was dropped
    Dropped,
    /// Not run, because another event has the same identity
    Duplicate,
    /// In back-off, until its next attempt
    Waiting,
    /// Held behind an earlier event of its key
    Held,
    /// Held behind a dead letter of its key until that is redriven or dropped
    Parked,
    /// With its remote queue until it is delivered again
    Away,
    /// In progress, or not started yet
    Running,
    /// The reactor did not read the channel at that time, or the dedup window is over
    Unknown,
    /// No reactor wants it
    Unrouted,
    /// The message could not be decoded
    Invalid,
}

/// A [`Pick`] with its values parsed.
pub(super) struct Picker<'p> {
    pick: &'p Pick,
    pattern: Option<TypePattern>,
    since: Option<Timestamp>,
}

impl Pick {
    /// Parses the values. An unknown reactor is an error: `known` are those of the configuration and the store.
    pub(super) fn picker(&self, project: &Project, known: &dyn StoreClient) -> Result<Picker<'_>, Exit> {
        if let Some(reactor) = &self.reactor
            && !known.reactor_names()?.iter().any(|(_, name)| name == reactor)
        {
            project.reactor_names(std::slice::from_ref(reactor))?;
        }
        let wrong = |what: &str, text: &str, why: String| Exit::new(exit::USAGE, anyhow!("{what} {text}: {why}"));
        let pattern = self
            .pattern
            .as_ref()
            .map(|text| TypePattern::parse(text).map_err(|error| wrong("--type", text, error.to_string())));
        let since = self.since.as_ref().map(|text| {
            let within = units::parse_duration(text).map_err(|why| wrong("--since", text, why))?;
            Ok::<_, Exit>(Timestamp::now() - within)
        });
        Ok(Picker { pick: self, pattern: pattern.transpose()?, since: since.transpose()? })
    }
}

impl Picker<'_> {
    /// The wanted part of a log message; `None` if nothing of it is wanted.
    pub(super) fn take(&self, mut story: Story) -> Option<Story> {
        if self.since.is_some_and(|since| story.accepted < since) {
            return None;
        }
        let invalid = self.pick.outcome == Some(Wanted::Invalid);
        let is_about_content = self.pattern.is_some() || self.pick.correlation.is_some();
        story.unread.retain(|unread| !is_about_content && self.wants_one(&unread.parts));
        if !story.unread.is_empty() {
            // It was an event, even if nothing of it is left.
            story.events.iter_mut().for_each(|events| events.retain(|told| self.wants(told)));
            return Some(story);
        }
        match &mut story.events {
            Err(_) => (!self.is_about_events() && (invalid || self.pick.outcome.is_none())).then_some(story),
            Ok(_) if invalid => (story.broken.is_some() && !self.is_about_events()).then_some(story),
            Ok(events) => {
                events.retain(|told| self.wants(told));
                (!events.is_empty()).then_some(story)
            }
        }
    }

    fn is_about_events(&self) -> bool {
        self.pattern.is_some() || self.pick.reactor.is_some() || self.pick.correlation.is_some()
    }

    fn wants(&self, told: &Told) -> bool {
        let Told { event, parts, .. } = told;
        let Pick { outcome, correlation, .. } = self.pick;
        let is_unrouted = told.is_unrouted && self.is_for_mine(parts);
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&event.event_type, event.version))
            && correlation.as_ref().is_none_or(|id| event.correlation_id == *id)
            && if *outcome == Some(Wanted::Unrouted) { is_unrouted } else { self.wants_one(parts) }
    }

    fn is_for_mine(&self, parts: &[Part]) -> bool {
        let reactor = self.pick.reactor.as_ref();
        reactor.is_none_or(|name| parts.iter().any(|part| part.reactor == *name))
    }

    /// Whether one of these has the wanted reactor and outcome.
    fn wants_one(&self, parts: &[Part]) -> bool {
        let Pick { reactor, outcome, .. } = self.pick;
        let mut mine = parts.iter().filter(|part| reactor.as_ref().is_none_or(|name| part.reactor == *name));
        match outcome {
            None => self.is_for_mine(parts),
            Some(wanted) => mine.any(|part| is(&part.outcome, *wanted)),
        }
    }
}

fn is(outcome: &Outcome, wanted: Wanted) -> bool {
    let of = match outcome {
        Outcome::Done => Wanted::Done,
        Outcome::Dead { .. } => Wanted::Dead,
        Outcome::Dropped { .. } => Wanted::Dropped,
        Outcome::Duplicate(_) => Wanted::Duplicate,
        Outcome::Waiting(..) => Wanted::Waiting,
        Outcome::Held(..) => Wanted::Held,
        Outcome::Parked(..) => Wanted::Parked,
        Outcome::Away(_) => Wanted::Away,
        Outcome::Running(_) | Outcome::Pending => Wanted::Running,
        Outcome::Unknown => Wanted::Unknown,
    };
    of == wanted
}
