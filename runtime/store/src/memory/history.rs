//! What the model store reports of the past.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use reactor_core::event::{ChannelId, DeliveryId, Offset, Origin, ReactorId};
use reactor_core::store::{
    AttemptEnd, AttemptNote, AttemptsOf, Commit, Ending, Fate, KeptAttempt, NewDelivery, Trace, Traces, Upkeep,
};

use super::inner::Inner;
use super::past::At;

impl Inner {
    pub(super) fn note_duplicate(&mut self, new: &NewDelivery, origin: Origin, first: DeliveryId) {
        let of_first = self.ledger.get(&(new.reactor, new.key)).map(|(.., origin)| *origin);
        self.past.duplicates.insert((origin, new.reactor), (self.host, first, of_first));
    }

    pub(super) fn keep_attempt(&mut self, commit: &Commit) {
        let Some(AttemptNote { event, origin, code, at, took, module }) = &commit.note else { return };
        let kept = KeptAttempt {
            delivery: commit.delivery,
            reactor: commit.reactor,
            origin: *origin,
            number: commit.attempt,
            end: match commit.ending {
                Ending::Done => AttemptEnd::Done,
                Ending::Wait { .. } => AttemptEnd::Retry,
                Ending::Dead { .. } => AttemptEnd::Dead,
            },
            code: (*code).to_owned(),
            at: Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(*at),
            took: Duration::from_micros(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            module: module.to_string(),
            worker: self.epoch,
            event_id: event.id.clone(),
            event_type: event.event_type.clone(),
            correlation_id: event.correlation_id.clone(),
        };
        self.past.attempts.push((self.host, kept));
    }

    pub(super) fn attempts(&self, of: &AttemptsOf) -> Vec<KeptAttempt> {
        let wanted = |kept: &&KeptAttempt| match of {
            AttemptsOf::Records(records) => records.contains(&(kept.origin.channel, kept.origin.offset)),
            AttemptsOf::Delivery(delivery) => kept.delivery == *delivery,
            AttemptsOf::Event(id) => kept.event_id == *id,
            AttemptsOf::Correlation(id) => kept.correlation_id == *id,
        };
        self.past.attempts.iter().map(|(_, kept)| kept).filter(wanted).cloned().collect()
    }

    pub(super) fn traces(&self, channel: ChannelId, first: Offset, last: Offset) -> Traces {
        let within = |origin: &Origin| origin.channel == channel && origin.offset >= first && origin.offset <= last;
        let mut all: BTreeMap<(Origin, Option<ReactorId>), Fate> = BTreeMap::new();
        for ((origin, reactor), (_, delivery, of_first)) in self.past.duplicates.iter().filter(|(at, _)| within(&at.0))
        {
            let fate = match of_first.and_then(|of_first| self.fate_at((of_first, *reactor))) {
                Some(fate) => fate,
                None => self.fate_of(*delivery),
            };
            all.insert((*origin, Some(*reactor)), Fate::Duplicate { first: *of_first, fate: Box::new(fate) });
        }
        for at in self.past.entered.keys().filter(|at| within(&at.0)) {
            all.extend(self.fate_at(*at).map(|fate| ((at.0, Some(at.1)), fate)));
        }
        for dead in self.dead.values().filter(|dead| within(&dead.stored.letter.origin) && !dead.stored.redriving) {
            all.insert((dead.stored.letter.origin, dead.stored.letter.reactor), Fate::Dead(dead.stored.id));
        }
        for (letter, dropped) in self.dropped.iter().filter(|(_, dropped)| within(&dropped.of.origin)) {
            let at = (dropped.of.origin, Some(dropped.of.reactor));
            all.insert(at, Fate::Dropped(*letter, dropped.reason.clone()));
        }
        let all = all.into_iter().map(|((origin, reactor), fate)| Trace { origin, reactor, fate });
        Traces { all: all.collect(), complete_from: self.complete_from(channel, first, last) }
    }

    /// The fate of an event that was entered.
    fn fate_at(&self, (origin, reactor): At) -> Option<Fate> {
        let mut dropped = self.dropped.iter().filter(|(_, it)| (it.of.origin, it.of.reactor) == (origin, reactor));
        if let Some((letter, dropped)) = dropped.next_back() {
            return Some(Fate::Dropped(*letter, dropped.reason.clone()));
        }
        self.past.entered.get(&(origin, reactor)).map(|(_, delivery)| self.fate_of(*delivery))
    }

    fn complete_from(&self, channel: ChannelId, first: Offset, last: Offset) -> Offset {
        let log = self.logs.get((channel.0 as usize).wrapping_sub(1));
        let records = log.into_iter().flat_map(|log| log.records.range(first..=last.max(first)));
        let mut complete = records.filter(|(_, (host, _))| *host > self.past.told || self.past.told.0 == 0);
        complete.next().map_or(Offset(last.0.saturating_add(1)), |(offset, _)| *offset)
    }

    /// `kept`: for how long notes can be read.
    pub(super) fn expire_past(&mut self, upkeep: &Upkeep, kept: Duration) {
        let past = &mut self.past;
        past.attempts.retain(|(ended, _)| upkeep.now.since(*ended) <= upkeep.history);
        past.duplicates.retain(|_, (noted, ..)| upkeep.now.since(*noted) <= kept);
        let told = &mut past.told;
        past.entered.retain(|_, (since, _)| {
            let stays = upkeep.now.since(*since) < upkeep.ledger_window;
            *told = if stays { *told } else { (*told).max(*since) };
            stays
        });
    }
}
