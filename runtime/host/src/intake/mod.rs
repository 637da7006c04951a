//! Steps: decode and route what was read from a channel, and say what is to be admitted. Pure.

pub mod reading;

use std::sync::Arc;

use jiff::Timestamp;

use reactor_config::model::Unrouted;
use reactor_core::clock::Moment;
use reactor_core::event::{ChannelId, Event, Identity, LaneKey, Message, Offset, Origin, ReactorId};
use reactor_core::store::{DeadLetter, LogRecord, Target};
use reactor_signal::ChannelSignals;

use super::decode::{Contents, DecodeError, Decoded};
use crate::emit::forward::{self, Forwarding};
use crate::intake::reading::Reading;

/// A channel, as intake needs to know it.
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) name: String,
    pub(super) unrouted: Unrouted,
    pub(super) reading: Reading,
    /// Where dead letters go that belong to no reactor.
    pub(super) forwarding: Option<Forwarding>,
}

/// A channel that is read, and the position in its log.
pub(super) struct Intake {
    pub(super) channel: Channel,
    /// The reactors that read it.
    pub(super) readers: Vec<usize>,
    pub(super) cursor: Offset,
    /// There may be unread records.
    pub(super) pending: bool,
    pub(super) admission: Admission,
    /// Not to be read before then.
    pub(super) resting: Option<Moment>,
    /// How many runs had ended at the last read that brought nothing to run.
    pub(super) ended: u64,
    pub(super) signals: ChannelSignals,
}

/// What is under way of a channel's admission. There is one at a time, and the cursor stays where it is until it is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    None,
    /// Its log is being read.
    Reading,
    /// The store enters what was read or received.
    Entering,
}

impl Intake {
    /// Whether an admission is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.admission != Admission::None
    }

    /// Whether the store enters something.
    pub(super) fn is_entering(&self) -> bool {
        self.admission == Admission::Entering
    }
}

/// A delivery that is not admitted yet.
pub(super) struct Candidate {
    pub(super) reactor: ReactorId,
    pub(super) event: Arc<Event>,
    pub(super) origin: Origin,
    pub(super) identity: Identity,
    pub(super) key: Identity,
    pub(super) lane: Option<LaneKey>,
}

/// What one message turned into.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) candidates: Vec<Candidate>,
    pub(super) dead: Vec<DeadLetter>,
    /// Copies of them for another channel.
    pub(super) forward: Vec<(Target, Message)>,
    pub(super) unrouted: u64,
    /// It was decoded, and no reactor wants any of it.
    pub(super) is_unwanted: bool,
    /// It is a returned dead letter of this reactor.
    pub(super) sent_back_to: Option<String>,
}

/// The lane of a FIFO group.
pub(super) fn group_lane(channel: &str, group: &str) -> LaneKey {
    Identity::of(&[b"group", channel.as_bytes(), group.as_bytes()])
}

impl Channel {
    /// Decodes, checks and routes one record; `at` is the wall clock, for dead letters. Dead letters are also forwarded
    /// if the channel says so.
    pub(super) fn sort(&self, record: LogRecord, at: Timestamp) -> Sorted {
        let (mut sorted, hops) = self.sort_out(record, at);
        if let Some(forwarding) = &self.forwarding {
            let copies = sorted.dead.iter_mut().filter_map(|letter| forwarding.copy(&self.name, letter, hops));
            sorted.forward = copies.collect();
        }
        sorted
    }

    /// The same, with the number of reactors that have emitted or forwarded it.
    fn sort_out(&self, mut record: LogRecord, at: Timestamp) -> (Sorted, u32) {
        let mut sorted = Sorted::default();
        let (message, note) = forward::sent_back(std::mem::take(&mut record.message));
        record.message = message;
        let noted = note.as_ref().map_or(0, |note| note.hops_to(&self.name));
        let mut hops = noted;
        let contents = match self.decode(&mut record) {
            Ok(contents) => contents,
            Err(error) => {
                sorted.dead.push(self.undecodable(record, &error, at));
                return (sorted, hops);
            }
        };
        // In a FIFO channel, messages of a group are in order unless the reactor specifies another key.
        let group = record.message.system.group_id.as_ref().map(|group| group_lane(&self.name, group));
        let mut matches = Vec::new();
        for mut decoded in contents.events {
            let origin = Origin { channel: self.id, offset: record.offset, part: decoded.part };
            decoded.event.hop = decoded.event.hop.max(noted);
            hops = hops.max(decoded.event.hop);
            let event = Arc::new(decoded.event);
            self.reading.matching(&event, &mut matches);
            if matches.is_empty() {
                sorted.unrouted += 1;
                if self.unrouted == Unrouted::DeadLetter {
                    sorted.dead.push(DeadLetter::unrouted(origin, record.message.clone(), &event, at));
                }
            }
            sorted.candidates.extend(matches.drain(..).map(|found| Candidate {
                reactor: found.reactor,
                event: Arc::clone(&event),
                origin,
                identity: decoded.identity,
                key: found.key(decoded.identity, record.message.system.message_id.as_deref(), decoded.part),
                lane: found.lane.or(group),
            }));
        }
        sorted.is_unwanted = sorted.candidates.is_empty() && contents.broken.is_none();
        sorted.dead.extend(contents.broken.map(|error| self.undecodable(record, &error, at)));
        sorted.sent_back_to = note.map(|note| note.reactor);
        (sorted, hops)
    }

    /// Reads one event of a record again; an error says why it cannot.
    pub(super) fn event(&self, mut record: LogRecord, part: u32) -> Result<Decoded, String> {
        let (message, note) = forward::sent_back(record.message);
        record.message = message;
        let contents = self.decode(&mut record).map_err(|error| format!("{}: {error}", error.reason.code()))?;
        let mut found = contents.events.into_iter().find(|decoded| decoded.part == part);
        if let (Some(decoded), Some(note)) = (&mut found, note) {
            decoded.event.hop = decoded.event.hop.max(note.hops_to(&self.name));
        }
        found.ok_or_else(|| format!("the message no longer contains an event number {}", part + 1))
    }

    fn decode(&self, record: &mut LogRecord) -> Result<Contents, DecodeError> {
        record.message.system.message_id.get_or_insert_with(|| format!("{}/{}", self.name, record.offset));
        self.reading.decode(&record.message)
    }

    fn undecodable(&self, record: LogRecord, error: &DecodeError, at: Timestamp) -> DeadLetter {
        let origin = Origin { channel: self.id, offset: record.offset, part: 0 };
        tracing::warn!(
            channel = self.name,
            offset = record.offset.0,
            code = error.reason.code(),
            "message could not be decoded as an event: {error}"
        );
        DeadLetter::undecodable(origin, record.message, format!("{}: {error}", error.reason.code()), at)
    }
}
