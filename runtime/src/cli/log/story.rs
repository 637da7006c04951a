//! An event of a log, and what became of it for each reactor that gets it.
//!
//! A log holds messages as they were published, so they are decoded and routed again, by the present configuration.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::hidden::{attempts, hide};
use crate::cli::project::Project;
use crate::event::{ChannelId, Event, HostTime, Offset, Origin, ReactorId};
use crate::json;
use crate::pipeline::decode::{DecodeError, Settings, decode};
use crate::pipeline::forward::sent_back;
use crate::pipeline::route::{Match, Routes};
use crate::store::{Asked, Behind, Fate, LogRecord, Place, StoreClient, StoredDelivery};

use super::outcome::{Duplicate, Outcome, Spot};

/// Most bytes of records read at a time.
const READ_BYTES: usize = 8 << 20;

/// The channels and reactors of a project, ready to tell stories.
pub(super) struct Teller {
    pub(super) store: Arc<dyn StoreClient>,
    pub(super) channels: Vec<Channel>,
    /// Those that are not told of, but may hold the first of a duplicate.
    others: Vec<Channel>,
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
    /// Why a part of it cannot be decoded.
    pub(super) broken: Option<String>,
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
        let names = project.numbered(&*store)?;
        let reactors: Vec<_> =
            names.iter().filter_map(|(id, name)| Some((*id, project.config.reactors.get(name)?))).collect();
        for name in wanted {
            project.channel(name)?;
        }
        let (mut channels, mut others) = (Vec::new(), Vec::new());
        for (name, config) in &project.config.channels {
            // Nothing was ever published to a channel without a number.
            let Some(id) = known.get(name).copied() else { continue };
            let routes = Routes::compile(name, &reactors);
            let channel = Channel {
                settings: Settings::new(config).with_emitters(project.config.reactors.keys()),
                routes,
                name: name.clone(),
                id,
            };
            if wanted.is_empty() || wanted.contains(name) { channels.push(channel) } else { others.push(channel) }
        }
        Ok(Self { store, channels, others, names })
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
            let contents = channel.contents(record);
            let keyed = contents.iter().flat_map(|contents| &contents.events);
            asked.extend(keyed.flat_map(|keyed| keyed.asked.iter().copied()).filter(|_| offset < cursor));
            stories.push((offset, accepted, contents));
        }
        let fates = self.store.fates((channel.id, first), &asked)?;
        let fates: HashMap<_, _> = asked.into_iter().zip(fates).collect();
        let now = (self.store.host_time()?, Timestamp::now());
        let mut told = Vec::new();
        for (offset, accepted, contents) in stories {
            let (events, broken) = match contents {
                Err(why) => (Err(why), None),
                Ok(Contents { events, broken }) => {
                    let tell = |keyed| self.tell_event(keyed, offset < cursor, &fates, now);
                    (Ok(events.into_iter().map(tell).collect::<Result<_, _>>()?), broken)
                }
            };
            told.push(Story { channel: channel.name.clone(), offset, accepted, events, broken });
        }
        Ok(told)
    }

    fn tell_event(
        &self,
        Keyed { event, asked, .. }: Keyed,
        admitted: bool,
        fates: &HashMap<Asked, Option<Fate>>,
        now: (HostTime, Timestamp),
    ) -> Result<Told, Exit> {
        let mut parts = Vec::with_capacity(asked.len());
        for asked in asked {
            let outcome = match fates.get(&asked).and_then(Option::as_ref) {
                Some(Fate::Duplicate { first, fate }) => {
                    let outcome = Box::new(self.outcome(fate, now)?);
                    let differs = first.map_or(Ok(Vec::new()), |first| self.differences(&event, first))?;
                    Outcome::Duplicate(Duplicate { first: first.map(|first| self.spot(first)), outcome, differs })
                }
                Some(fate) => self.outcome(fate, now)?,
                None if admitted => Outcome::Unknown,
                None => Outcome::Pending,
            };
            parts.push(Part { reactor: self.names.get(&asked.reactor).cloned().unwrap_or_default(), outcome });
        }
        Ok(Told { event, parts })
    }

    fn outcome(&self, fate: &Fate, (host, wall): (HostTime, Timestamp)) -> Result<Outcome, Exit> {
        let history = |stored: &StoredDelivery| attempts(stored.history.clone());
        Ok(match fate {
            Fate::Done => Outcome::Done,
            Fate::Active(stored) => match stored.place {
                Place::Waiting => Outcome::Waiting(history(stored), wall + stored.due.since(host)),
                Place::Away => Outcome::Away(history(stored)),
                Place::Memory | Place::Spilled | Place::Held => Outcome::Running(history(stored)),
            },
            Fate::Held(stored, Some(Behind::Parked(letter))) => Outcome::Parked(history(stored), *letter),
            Fate::Held(stored, Some(Behind::Waiting(head))) => Outcome::Held(history(stored), Some(self.spot(*head))),
            Fate::Held(stored, None) => Outcome::Held(history(stored), None),
            Fate::Dropped(letter, reason) => Outcome::Dropped { letter: *letter, reason: reason.clone() },
            &Fate::Dead(letter) => match self.store.dead_letter(letter)? {
                Some(dead) => {
                    Outcome::Dead { letter, reason: dead.letter.reason, history: attempts(dead.letter.history) }
                }
                // Since it was asked for.
                None => Outcome::Unknown,
            },
            // One is never the first of another.
            Fate::Duplicate { fate, .. } => self.outcome(fate, (host, wall))?,
        })
    }

    fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.iter().chain(&self.others).find(|channel| channel.id == id)
    }

    fn spot(&self, origin: Origin) -> Spot {
        let channel = self.channel(origin.channel).map_or_else(|| origin.channel.to_string(), |it| it.name.clone());
        Spot { channel, offset: origin.offset, part: origin.part }
    }

    /// In what an event is not what the first one with its key is.
    fn differences(&self, event: &Event, first: Origin) -> Result<Vec<&'static str>, Exit> {
        let Some(channel) = self.channel(first.channel) else { return Ok(Vec::new()) };
        let record = self.read(channel, first.offset, 1)?.into_iter().find(|record| record.offset == first.offset);
        let contents = record.and_then(|record| channel.contents(record).ok());
        let mut events = contents.into_iter().flat_map(|contents| contents.events);
        let Some(Keyed { event: other, .. }) = events.find(|keyed| keyed.part == first.part) else {
            return Ok(Vec::new());
        };
        let data = |event: &Event| {
            let text =
                std::str::from_utf8(&event.data).ok().filter(|_| crate::pipeline::view::is_json(&event.content_type));
            text.map_or_else(|| event.data.to_vec(), |text| json::compact(text).into_bytes())
        };
        let differs = [
            ("type", (&event.event_type, event.version) != (&other.event_type, other.version)),
            ("data", data(event) != data(&other)),
        ];
        Ok(differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect())
    }
}

/// What a record holds.
struct Contents {
    events: Vec<Keyed>,
    broken: Option<String>,
}

/// An event, and the deliveries that it asks for.
struct Keyed {
    event: Event,
    part: u32,
    asked: Vec<Asked>,
}

impl Channel {
    /// The events of a record, each with the dedup keys of the reactors that get it.
    fn contents(&self, record: LogRecord) -> Result<Contents, String> {
        let offset = record.offset;
        let mut message = sent_back(record.message).0;
        message.system.message_id.get_or_insert_with(|| format!("{}/{}", self.name, record.offset));
        let why = |error: DecodeError| hide(&format!("{}: {error}", error.reason.code())).into_owned();
        let decoded = decode(&message, &self.settings).map_err(why)?;
        let mut events = Vec::new();
        for decoded in decoded.events {
            let mut matches = Vec::new();
            self.routes.matching(&decoded.event, &mut matches);
            let origin = Origin { channel: self.id, offset, part: decoded.part };
            let asked = |found: &Match| Asked {
                reactor: found.reactor,
                key: found.key(decoded.identity, message.system.message_id.as_deref(), decoded.part),
                origin,
            };
            let asked = matches.iter().map(asked).collect();
            events.push(Keyed { event: decoded.event, part: decoded.part, asked });
        }
        Ok(Contents { events, broken: decoded.broken.map(why) })
    }
}
