//! A message of a log, and the outcome of its events for each reactor that was given them.
//!
//! The store has noted the outcomes ([`reactor_history`]). A log holds messages as published, so the current
//! configuration decodes them. It also tells which reactors will get events that have not been admitted, and which
//! reactors did not get an event that they would get now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use reactor_core::event::{ChannelId, Event, HostTime, Offset, Origin, ReactorId};
use reactor_core::json;
use reactor_core::store::{Asked, Behind, Fate, LogRecord, Place, StoreClient, StoredDelivery};
use reactor_history::{Attempt, History, Past};
use reactor_host::decode::DecodeError;
use reactor_host::emit::forward::sent_back;
use reactor_host::intake::reading::Reading;
use reactor_host::route::Match;

use super::outcome::{Duplicate, Outcome, Spot};
use crate::exit::Exit;
use crate::hidden::{attempts, hide, letter};
use crate::project::Project;

/// Maximum bytes of records read at a time.
const READ_BYTES: usize = 8 << 20;

/// A project's channels and reactors, ready to read log messages.
pub(super) struct Teller {
    pub(super) store: Arc<dyn StoreClient>,
    pub(super) channels: Vec<Channel>,
    /// Channels that are not shown but may hold the first event of a duplicate.
    others: Vec<Channel>,
    names: BTreeMap<ReactorId, String>,
}

/// A channel that has a log.
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) id: ChannelId,
    reading: Reading,
}

/// A message of a log.
pub(super) struct Story {
    pub(super) channel: String,
    pub(super) id: ChannelId,
    pub(super) offset: Offset,
    pub(super) accepted: Timestamp,
    /// The events in it, or the reason why there are none.
    pub(super) events: Result<Vec<Told>, String>,
    /// Events that reactors were given but the current configuration does not find in it.
    pub(super) unread: Vec<Unread>,
    /// Why a part of it cannot be decoded.
    pub(super) broken: Option<String>,
}

/// An event, and its outcome for each reactor.
pub(super) struct Told {
    pub(super) event: Event,
    /// The index of the event in its message, from 0.
    pub(super) part: u32,
    pub(super) parts: Vec<Part>,
    /// No reactor was given it, or none will be.
    pub(super) is_unrouted: bool,
}

/// An event whose content is no longer known.
pub(super) struct Unread {
    pub(super) part: u32,
    pub(super) parts: Vec<Part>,
}

/// The outcome of an event for one reactor.
pub(super) struct Part {
    pub(super) reactor: String,
    id: ReactorId,
    pub(super) outcome: Outcome,
    /// Every known attempt, oldest first; kept attempts only after `add_attempts`.
    pub(super) attempts: Vec<Attempt>,
}

impl Part {
    fn new(reactor: String, id: ReactorId, outcome: Outcome) -> Self {
        let attempts = Attempt::all(outcome.history(), &[]);
        Self { reactor, id, outcome, attempts }
    }
}

impl Story {
    /// Whether it is final unless a person acts.
    pub(super) fn is_over(&self) -> bool {
        let over = |parts: &[Part]| parts.iter().all(|part| part.outcome.is_over());
        let told = self.events.as_ref().is_ok_and(|events| events.iter().all(|told| over(&told.parts)));
        told && self.unread.iter().all(|unread| over(&unread.parts))
    }

    /// Adds the attempts that are kept.
    pub(super) fn add_attempts(&mut self, store: &dyn StoreClient) -> Result<(), Exit> {
        let kept = History::new(store).of_record(self.id, self.offset)?;
        let told = self.events.iter_mut().flatten().map(|told| (told.part, &mut told.parts));
        let all = told.chain(self.unread.iter_mut().map(|unread| (unread.part, &mut unread.parts)));
        for (number, part) in all.flat_map(|(number, parts)| parts.iter_mut().map(move |part| (number, part))) {
            let mine = kept.iter().filter(|kept| (kept.origin.part, kept.reactor) == (number, part.id));
            part.attempts = Attempt::all(part.outcome.history(), &mine.cloned().collect::<Vec<_>>());
        }
        Ok(())
    }
}

impl Teller {
    /// A reader of these channels, or of all.
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
            // A channel without a number has never had a message.
            let Some(id) = known.get(name).copied() else { continue };
            let reading = Reading::new(&project.config, config, &reactors);
            let channel = Channel { name: name.clone(), id, reading };
            if wanted.is_empty() || wanted.contains(name) { channels.push(channel) } else { others.push(channel) }
        }
        Ok(Self { store, channels, others, names })
    }

    /// Reads records from an offset on; returns none at the end of the log.
    pub(super) fn read(&self, channel: &Channel, from: Offset, most: usize) -> Result<Vec<LogRecord>, Exit> {
        Ok(self.store.read_log(channel.id, from, most, READ_BYTES)?)
    }

    /// Reads the outcomes of records of one channel.
    pub(super) fn tell(&self, channel: &Channel, records: Vec<LogRecord>) -> Result<Vec<Story>, Exit> {
        let Some((first, last)) = records.first().zip(records.last()) else { return Ok(Vec::new()) };
        let first = first.offset;
        let past = History::new(&*self.store).of_records(channel.id, first, last.offset)?;
        let (mut read, mut asked) = (Vec::new(), Vec::new());
        for record in records {
            let (offset, accepted) = (record.offset, record.accepted);
            let contents = channel.contents(record);
            if past.is_admitted(offset) && !past.is_complete(offset) {
                let keyed = contents.iter().flat_map(|contents| &contents.events).flat_map(|keyed| &keyed.asked);
                asked.extend(keyed.filter(|asked| !past.knows(asked.origin, asked.reactor)).copied());
            }
            read.push((offset, accepted, contents));
        }
        // Events that an earlier version admitted are found by dedup key.
        let fates = if asked.is_empty() { Vec::new() } else { self.store.fates((channel.id, first), &asked)? };
        let fates = asked.into_iter().zip(fates).filter_map(|(asked, fate)| Some((asked, fate?))).collect();
        let then = Then { past, fates, now: (self.store.host_time()?, Timestamp::now()) };
        let tell = |(offset, accepted, contents)| self.tell_record(channel, (offset, accepted), contents, &then);
        read.into_iter().map(tell).collect()
    }

    fn tell_record(
        &self,
        channel: &Channel,
        (offset, accepted): (Offset, Timestamp),
        contents: Result<Contents, String>,
        then: &Then,
    ) -> Result<Story, Exit> {
        let mut unread = then.past.parts(offset);
        let (mut events, mut broken) = match contents {
            Err(why) => (Err(why), None),
            Ok(Contents { events, broken }) => {
                unread.retain(|part| events.iter().all(|keyed| keyed.origin.part != *part));
                let events = events.into_iter().map(|keyed| self.tell_event(keyed, then));
                (Ok(events.collect::<Result<_, _>>()?), broken)
            }
        };
        if let (Ok(_), None, Some(number)) = (&events, &broken, then.past.refused(offset)) {
            // It, or a part of it, was not a valid event when it was read, even if the current configuration can decode
            // it.
            let dead = self.store.dead_letter(number)?.map(letter);
            let why = dead.filter(|dead| dead.letter.reason == "invalid-event").map(|dead| dead.letter.detail);
            match why {
                Some(why) if then.past.parts(offset).is_empty() => events = Err(why),
                why => broken = why,
            }
        }
        let unread = unread.into_iter().map(|part| {
            let origin = Origin { channel: channel.id, offset, part };
            Ok::<_, Exit>(Unread { part, parts: self.given(origin, None, then)? })
        });
        let unread = unread.collect::<Result<_, _>>()?;
        Ok(Story { channel: channel.name.clone(), id: channel.id, offset, accepted, events, unread, broken })
    }

    fn tell_event(&self, Keyed { event, origin, asked }: Keyed, then: &Then) -> Result<Told, Exit> {
        let past = &then.past;
        let mut parts = self.given(origin, Some(&event), then)?;
        let was_given = !parts.is_empty();
        for asked in asked.into_iter().filter(|asked| !past.knows(origin, asked.reactor)) {
            let outcome = match then.fates.get(&asked) {
                Some(fate) => self.told(fate, Some(&event), then.now)?,
                None if past.is_admitted(origin.offset) => Outcome::Unknown,
                None => Outcome::Pending,
            };
            parts.push(Part::new(self.name(asked.reactor), asked.reactor, outcome));
        }
        let is_unrouted = parts.is_empty() || (!was_given && past.is_complete(origin.offset));
        Ok(Told { event, part: origin.part, parts, is_unrouted })
    }

    /// The outcomes of an event for the reactors that it was meant for.
    fn given(&self, origin: Origin, event: Option<&Event>, then: &Then) -> Result<Vec<Part>, Exit> {
        let part = |(reactor, fate): &(ReactorId, Fate)| {
            Ok(Part::new(self.name(*reactor), *reactor, self.told(fate, event, then.now)?))
        };
        then.past.of(origin).iter().map(part).collect()
    }

    fn name(&self, reactor: ReactorId) -> String {
        self.names.get(&reactor).cloned().unwrap_or_default()
    }

    fn told(&self, fate: &Fate, event: Option<&Event>, now: (HostTime, Timestamp)) -> Result<Outcome, Exit> {
        let Fate::Duplicate { first, fate } = fate else { return self.outcome(fate, now) };
        let outcome = Box::new(self.outcome(fate, now)?);
        let differs = first.zip(event).map_or(Ok(Vec::new()), |(first, event)| self.differences(event, first))?;
        Ok(Outcome::Duplicate(Duplicate { first: first.map(|first| self.spot(first)), outcome, differs }))
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
                // Removed since the query.
                None => Outcome::Unknown,
            },
            // A duplicate is never the first of another one.
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

    /// The differences between an event and the first one with its key.
    fn differences(&self, event: &Event, first: Origin) -> Result<Vec<&'static str>, Exit> {
        let Some(channel) = self.channel(first.channel) else { return Ok(Vec::new()) };
        let record = self.read(channel, first.offset, 1)?.into_iter().find(|record| record.offset == first.offset);
        let contents = record.and_then(|record| channel.contents(record).ok());
        let mut events = contents.into_iter().flat_map(|contents| contents.events);
        let Some(Keyed { event: other, .. }) = events.find(|keyed| keyed.origin.part == first.part) else {
            return Ok(Vec::new());
        };
        let data = |event: &Event| {
            let text =
                std::str::from_utf8(&event.data).ok().filter(|_| reactor_host::view::is_json(&event.content_type));
            text.map_or_else(|| event.data.to_vec(), |text| json::compact(text).into_bytes())
        };
        let differs = [
            ("type", (&event.event_type, event.version) != (&other.event_type, other.version)),
            ("data", data(event) != data(&other)),
        ];
        Ok(differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect())
    }
}

/// The content of a record.
struct Contents {
    events: Vec<Keyed>,
    broken: Option<String>,
}

/// An event, and its deliveries under the current configuration.
struct Keyed {
    event: Event,
    origin: Origin,
    asked: Vec<Asked>,
}

/// What is known about some records.
struct Then {
    past: Past,
    /// The fates of deliveries without notes.
    fates: HashMap<Asked, Fate>,
    now: (HostTime, Timestamp),
}

impl Channel {
    /// The events of a record, each with the dedup keys of the reactors that get it.
    fn contents(&self, record: LogRecord) -> Result<Contents, String> {
        let offset = record.offset;
        let mut message = sent_back(record.message).0;
        message.system.message_id.get_or_insert_with(|| format!("{}/{}", self.name, record.offset));
        let why = |error: DecodeError| hide(&format!("{}: {error}", error.reason.code())).into_owned();
        let decoded = self.reading.decode(&message).map_err(why)?;
        let mut events = Vec::new();
        for decoded in decoded.events {
            let mut matches = Vec::new();
            self.reading.matching(&decoded.event, &mut matches);
            let origin = Origin { channel: self.id, offset, part: decoded.part };
            let asked = |found: &Match| Asked {
                reactor: found.reactor,
                key: found.key(decoded.identity, message.system.message_id.as_deref(), decoded.part),
                origin,
            };
            let asked = matches.iter().map(asked).collect();
            events.push(Keyed { event: decoded.event, origin, asked });
        }
        Ok(Contents { events, broken: decoded.broken.map(why) })
    }
}
