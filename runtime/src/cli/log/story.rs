//! An event of a log, and what became of it for each reactor that gets it.
//!
//! A log holds messages as they were published, so they are decoded and routed again, by the present configuration.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::attribute;
use crate::cli::exit::Exit;
use crate::cli::hidden::{attempts, hide, name};
use crate::cli::project::Project;
use crate::event::{AttemptRecord, ChannelId, Event, HostTime, Identity, Offset, ReactorId};
use crate::pipeline::decode::{Settings, decode};
use crate::pipeline::forward::sent_back;
use crate::pipeline::route::Routes;
use crate::store::{Fate, LogRecord, Place, Store};

/// Most bytes of records read at a time.
const READ_BYTES: usize = 8 << 20;

/// The channels and reactors of a project, ready to tell stories.
pub(super) struct Teller {
    pub(super) store: Arc<dyn Store>,
    pub(super) channels: Vec<Channel>,
    names: BTreeMap<ReactorId, String>,
}

/// A channel that has a log.
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) id: ChannelId,
    settings: Settings,
    routes: Routes,
}

/// A message of a log.
pub(super) struct Story {
    pub(super) channel: String,
    pub(super) offset: Offset,
    pub(super) accepted: Timestamp,
    /// The events in it; an error says why there are none.
    pub(super) events: Result<Vec<Told>, String>,
}

/// An event, and its outcome for each reactor.
pub(super) struct Told {
    pub(super) event: Event,
    pub(super) parts: Vec<Part>,
}

/// What became of an event for one reactor.
pub(super) struct Part {
    pub(super) reactor: String,
    pub(super) outcome: Outcome,
}

/// Where a delivery stands.
pub(super) enum Outcome {
    /// It has not been admitted yet, or not by this reactor.
    Pending,
    /// Running, or about to.
    Running(Vec<AttemptRecord>),
    /// Its next attempt comes at this time.
    Waiting(Vec<AttemptRecord>, Timestamp),
    Done,
    Dead {
        letter: u64,
        reason: String,
        history: Vec<AttemptRecord>,
    },
}

impl Outcome {
    /// The word for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running(_) => "running",
            Self::Waiting(..) => "waiting",
            Self::Done => "done",
            Self::Dead { .. } => "dead",
        }
    }

    pub(super) fn history(&self) -> &[AttemptRecord] {
        match self {
            Self::Running(history) | Self::Waiting(history, _) | Self::Dead { history, .. } => history,
            Self::Pending | Self::Done => &[],
        }
    }

    /// Whether nothing more comes of it by itself.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Dead { .. })
    }
}

impl Story {
    /// Whether nothing more comes of it by itself.
    pub(super) fn is_over(&self) -> bool {
        let over = |told: &Told| told.parts.iter().all(|part| part.outcome.is_over());
        self.events.as_ref().is_ok_and(|events| events.iter().all(over))
    }
}

impl Teller {
    /// For these channels, or all.
    pub(super) fn new(project: &Project, wanted: &[String]) -> Result<Self, Exit> {
        let store = project.look()?;
        let known: BTreeMap<String, ChannelId> =
            store.channel_names()?.into_iter().map(|(id, name)| (name, id)).collect();
        let mut names: BTreeMap<ReactorId, String> = store.reactor_names()?.into_iter().collect();
        // One that has never run has no number yet; none that is given out will be as high as these.
        let new = project.config.reactors.keys().filter(|name| !names.values().any(|known| known == *name));
        let new: Vec<_> = (0..).map(|index| ReactorId(u32::MAX - index)).zip(new.cloned()).collect();
        names.extend(new);
        let reactors: Vec<_> =
            names.iter().filter_map(|(id, name)| Some((*id, project.config.reactors.get(name)?))).collect();
        let mut channels = Vec::new();
        let chosen: Vec<String> =
            if wanted.is_empty() { project.config.channels.keys().cloned().collect() } else { wanted.to_vec() };
        for name in chosen {
            let config = project.channel(&name)?;
            // Nothing was ever published to a channel without a number.
            let Some(id) = known.get(&name).copied() else { continue };
            let routes = Routes::compile(&name, &reactors);
            channels.push(Channel {
                settings: Settings::new(config).with_emitters(project.config.reactors.keys()),
                routes,
                name,
                id,
            });
        }
        Ok(Self { store, channels, names })
    }

    /// Reads records from an offset on; answers none at the end of the log.
    pub(super) fn read(&self, channel: &Channel, from: Offset, most: usize) -> Result<Vec<LogRecord>, Exit> {
        Ok(self.store.read_log(channel.id, from, most, READ_BYTES)?)
    }

    /// Tells what became of records of one channel.
    pub(super) fn tell(&self, channel: &Channel, records: Vec<LogRecord>) -> Result<Vec<Story>, Exit> {
        let Some(first) = records.first().map(|record| record.offset) else { return Ok(Vec::new()) };
        let cursor = self.store.cursor(channel.id)?;
        let (mut stories, mut asked) = (Vec::new(), Vec::new());
        for record in records {
            let (offset, accepted) = (record.offset, record.accepted);
            let events = channel.events(record);
            for (_, keys) in events.iter().flatten() {
                asked.extend(keys.iter().copied().filter(|_| offset < cursor));
            }
            stories.push((offset, accepted, events));
        }
        let fates = self.store.fates((channel.id, first), &asked)?;
        let fates: HashMap<_, _> = asked.into_iter().zip(fates).collect();
        let now = (self.store.host_time()?, Timestamp::now());
        let mut told = Vec::new();
        for (offset, accepted, events) in stories {
            let events = match events {
                Err(why) => Err(why),
                Ok(events) => {
                    let mut all = Vec::new();
                    for (event, keys) in events {
                        let mut parts = Vec::new();
                        for key in keys {
                            let outcome = self.outcome(fates.get(&key).and_then(Option::as_ref), now)?;
                            parts.push(Part { reactor: self.names.get(&key.0).cloned().unwrap_or_default(), outcome });
                        }
                        all.push(Told { event, parts });
                    }
                    Ok(all)
                }
            };
            told.push(Story { channel: channel.name.clone(), offset, accepted, events });
        }
        Ok(told)
    }

    fn outcome(&self, fate: Option<&Fate>, (host, wall): (HostTime, Timestamp)) -> Result<Outcome, Exit> {
        Ok(match fate {
            None => Outcome::Pending,
            Some(Fate::Done) => Outcome::Done,
            Some(Fate::Active(stored)) if stored.place == Place::Waiting => {
                let due = wall + stored.due.since(host);
                Outcome::Waiting(attempts(stored.history.clone()), due)
            }
            Some(Fate::Active(stored)) => Outcome::Running(attempts(stored.history.clone())),
            Some(&Fate::Dead(letter)) => match self.store.dead_letter(letter)? {
                Some(dead) => {
                    Outcome::Dead { letter, reason: dead.letter.reason, history: attempts(dead.letter.history) }
                }
                None => Outcome::Done,
            },
        })
    }
}

type Keyed = (Event, Vec<(ReactorId, Identity)>);

impl Channel {
    /// The events of a record, each with the dedup keys of the reactors that get it.
    fn events(&self, record: LogRecord) -> Result<Vec<Keyed>, String> {
        let mut message = sent_back(record.message).0;
        message.system.message_id.get_or_insert_with(|| format!("{}/{}", self.name, record.offset));
        let decoded = decode(&message, &self.settings)
            .map_err(|error| hide(&format!("{}: {error}", error.reason.code())).into_owned())?;
        let mut events = Vec::new();
        for decoded in decoded.events {
            let mut matches = Vec::new();
            self.routes.matching(&decoded.event, &mut matches);
            let keys = matches.iter().map(|found| (found.reactor, found.key.unwrap_or(decoded.identity))).collect();
            events.push((decoded.event, keys));
        }
        Ok(events)
    }
}

/// A story as one object.
pub(super) fn to_json(story: &Story, whole: bool) -> Value {
    let mut object = json!({ "channel": story.channel, "offset": story.offset.0, "accepted": story.accepted });
    match &story.events {
        Err(why) => object["invalid"] = why.as_str().into(),
        Ok(events) => object["events"] = events.iter().map(|told| event_json(told, whole)).collect(),
    }
    object
}

fn event_json(told: &Told, whole: bool) -> Value {
    let Told { event, parts } = told;
    let mut object = json!({
        "eventId": event.id,
        "eventType": name(&event.event_type),
        "eventVersion": event.version,
        "source": name(&event.source),
        "correlationId": event.correlation_id,
        "causationId": event.causation_id,
        "reactors": parts.iter().map(part_json).collect::<Vec<_>>(),
    });
    if !event.attributes.is_empty() {
        object["attributes"] = attribute::values(&event.attributes).into();
        object["attributeTypes"] = attribute::kinds(&event.attributes).into();
    }
    if whole {
        object["data"] = serde_json::from_slice(&event.data)
            .unwrap_or_else(|_| String::from_utf8_lossy(&event.data).into_owned().into());
    }
    object
}

fn part_json(part: &Part) -> Value {
    let mut object = json!({ "reactor": part.reactor, "outcome": part.outcome.word() });
    if !part.outcome.history().is_empty() {
        object["attempts"] = json!(part.outcome.history());
    }
    match &part.outcome {
        Outcome::Waiting(_, due) => object["due"] = json!(due),
        Outcome::Dead { letter, reason, .. } => {
            object["letter"] = json!(letter);
            object["reason"] = json!(reason);
        }
        Outcome::Pending | Outcome::Running(_) | Outcome::Done => {}
    }
    object
}
