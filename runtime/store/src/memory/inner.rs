//! The data of the model store, and the rules by which it changes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use reactor_core::event::{
    ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, Origin, ReactorId, Version,
};
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::rejected::Rejected;
use reactor_core::store::{
    Admitted, Batch, Commit, Committed, DeadLetter, Effect, Ending, Entered, Incoming, LaneState, LogRecord,
    NewDelivery, Place, ReactorStats, Recovered, Request, Result, Stats, StoreError, StoredDead, StoredDelivery,
    Target, UNROUTED,
};

use super::past::Past;
use super::rows::{Dead, Dropped, Log, Row};

#[derive(Clone, Debug, Default)]
pub(super) struct Inner {
    pub(super) epoch: u64,
    pub(super) host: HostTime,
    pub(super) reactors: Vec<ReactorStats>,
    pub(super) logs: Vec<Log>,
    pub(super) deliveries: BTreeMap<DeliveryId, Row>,
    pub(super) last_delivery: u64,
    pub(super) ledger: HashMap<(ReactorId, Identity), (HostTime, DeliveryId, Origin)>,
    /// When, for whom and why letters were dropped, by letter number.
    pub(super) dropped: BTreeMap<u64, Dropped>,
    pub(super) past: Past,
    pub(super) outbox: BTreeMap<u64, (ChannelId, Message)>,
    pub(super) last_outbox: u64,
    pub(super) state: HashMap<(ReactorId, String), (Bytes, Version)>,
    pub(super) last_commit: u64,
    pub(super) dead: BTreeMap<u64, Dead>,
    pub(super) last_dead: u64,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) last_request: u64,
    pub(super) claims: BTreeMap<usize, (u64, DeliveryId, u32)>,
    pub(super) unrouted: u64,
    pub(super) invalid: u64,
}

impl Inner {
    pub(super) fn log(&mut self, channel: ChannelId) -> Result<&mut Log> {
        let index = (channel.0 as usize).wrapping_sub(1);
        self.logs.get_mut(index).ok_or_else(|| StoreError::Other(format!("there is no channel number {channel}")))
    }

    pub(super) fn counts(&mut self, reactor: ReactorId) -> &mut ReactorStats {
        let index = (reactor.0 as usize).max(1);
        while self.reactors.len() < index {
            self.reactors.push(ReactorStats::default());
        }
        &mut self.reactors[index - 1]
    }

    pub(super) fn append<'m>(
        &mut self,
        channel: ChannelId,
        messages: impl IntoIterator<Item = &'m Message>,
    ) -> Result<Offset> {
        let (host, now) = (self.host, Timestamp::now().as_millisecond());
        let accepted = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let log = self.log(channel)?;
        let first = Offset(log.next);
        for message in messages {
            let offset = Offset(log.next);
            log.records.insert(offset, (host, LogRecord { offset, accepted, message: message.clone() }));
            log.next += 1;
        }
        Ok(first)
    }

    fn known(&self, new: &NewDelivery, now: HostTime) -> Option<DeliveryId> {
        let found = self.ledger.get(&(new.reactor, new.key));
        found.filter(|(since, ..)| now.since(*since) < new.window).map(|(_, id, _)| *id)
    }

    pub(super) fn enter(&mut self, batch: &Batch) -> Result<Entered> {
        self.host = self.host.max(batch.now);
        let log = self.log(batch.channel)?;
        log.cursor = log.cursor.max(batch.cursor.unwrap_or_default());
        let follows = batch.cursor.is_none() && log.cursor.0 == log.next;
        let (mut records, mut answers) = (Vec::new(), Vec::new());
        let (mut deliveries, mut letters) = (batch.deliveries.iter(), batch.dead.iter());
        for incoming in &batch.messages {
            let own = (deliveries.by_ref().take(incoming.deliveries), letters.by_ref().take(incoming.dead));
            records.push(self.receive(batch, incoming, own, &mut answers)?);
        }
        answers.extend(deliveries.map(|new| self.read(new, batch.now)));
        letters.for_each(|letter| self.dead_on_arrival(letter.clone()));
        batch.forward.iter().try_for_each(|(target, message)| self.put(*target, message))?;
        self.unrouted += batch.unrouted;
        let log = self.log(batch.channel)?;
        batch.drop.iter().for_each(|offset| drop(log.records.remove(offset)));
        if follows {
            log.cursor = Offset(log.next);
        }
        Ok(Entered { cursor: log.cursor, records, answers })
    }

    fn read(&mut self, new: &NewDelivery, now: HostTime) -> Admitted {
        if let Some(first) = self.known(new, now) {
            self.note_duplicate(new, new.origin, first);
            self.counts(new.reactor).duplicates += 1;
            return Admitted::Duplicate;
        }
        self.counts(new.reactor).delivered += 1;
        Admitted::New(self.insert(new, now, None, false))
    }

    fn receive<'b>(
        &mut self,
        batch: &Batch,
        incoming: &Incoming,
        (deliveries, letters): (impl Iterator<Item = &'b NewDelivery>, impl Iterator<Item = &'b DeadLetter>),
        answers: &mut Vec<Admitted>,
    ) -> Result<Option<Offset>> {
        let mut record = None;
        let mut duplicates = Vec::new();
        for new in deliveries {
            answers.push(if let Some(id) = self.known(new, batch.now) {
                duplicates.push((new, id));
                self.again(new, id)
            } else {
                let offset = self.keep(batch.channel, incoming, &mut record)?;
                self.counts(new.reactor).delivered += 1;
                let new = NewDelivery { origin: Origin { offset, ..new.origin }, ..new.clone() };
                Admitted::New(self.insert(&new, batch.now, None, true))
            });
        }
        if incoming.keep {
            self.keep(batch.channel, incoming, &mut record)?;
        }
        for (new, first) in duplicates.into_iter().filter(|_| record.is_some()) {
            self.note_duplicate(new, Origin { offset: record.unwrap_or_default(), ..new.origin }, first);
        }
        for letter in letters {
            let origin = Origin { offset: record.unwrap_or_default(), ..letter.origin };
            self.dead_on_arrival(DeadLetter { origin, ..letter.clone() });
        }
        Ok(record)
    }

    fn keep(&mut self, channel: ChannelId, incoming: &Incoming, record: &mut Option<Offset>) -> Result<Offset> {
        match record {
            Some(offset) => Ok(*offset),
            None => Ok(*record.insert(self.append(channel, [&incoming.message])?)),
        }
    }

    fn again(&mut self, new: &NewDelivery, id: DeliveryId) -> Admitted {
        if let Some(row) = self.deliveries.get_mut(&id) {
            if row.stored.place == Place::Away {
                row.stored.place = Place::Memory;
                return Admitted::Resumed(Box::new(row.stored.clone()));
            }
            self.counts(new.reactor).duplicates += 1;
            return Admitted::Active(id);
        }
        let is_it = |dead: &Dead| new.redrive && !dead.stored.redriving && dead.delivery == Some(id);
        let dead = self.dead.iter().find(|(_, dead)| is_it(dead)).map(|(id, _)| *id);
        if let Some(stored) = dead.and_then(|id| self.run_again(id)) {
            return Admitted::Resumed(Box::new(stored));
        }
        self.counts(new.reactor).duplicates += 1;
        Admitted::Duplicate
    }

    fn insert(&mut self, new: &NewDelivery, now: HostTime, redrive_of: Option<u64>, leased: bool) -> DeliveryId {
        self.last_delivery += 1;
        let id = DeliveryId(self.last_delivery);
        self.ledger.insert((new.reactor, new.key), (now, id, new.origin));
        self.past.entered.insert((new.origin, new.reactor), (now, id));
        let stored = StoredDelivery {
            id,
            reactor: new.reactor,
            origin: new.origin,
            key: new.key,
            lane: new.lane,
            place: new.place,
            due: if new.place == Place::Waiting { now } else { HostTime(0) },
            since: now,
            history: Vec::new(),
            redrive_of,
            leased,
        };
        self.deliveries.insert(id, Row { stored, attempts: 0, started: None });
        id
    }

    fn bury(&mut self, letter: DeadLetter, lane: Option<LaneKey>, delivery: Option<DeliveryId>) {
        self.last_dead += 1;
        let stored = StoredDead { id: self.last_dead, redriving: false, letter };
        self.dead.insert(self.last_dead, Dead { stored, lane, delivery });
    }

    fn dead_on_arrival(&mut self, letter: DeadLetter) {
        match letter.reactor {
            Some(reactor) => {
                self.counts(reactor).delivered += 1;
                self.counts(reactor).dead += 1;
            }
            None => self.invalid += u64::from(letter.reason != UNROUTED),
        }
        let parks = letter.parks;
        self.bury(letter, parks, None);
    }

    pub(super) fn put(&mut self, target: Target, message: &Message) -> Result<()> {
        match target {
            Target::Log(channel) => self.append(channel, [message]).map(drop),
            Target::Outbox(channel) => {
                self.last_outbox += 1;
                self.outbox.insert(self.last_outbox, (channel, message.clone()));
                Ok(())
            }
        }
    }

    pub(super) fn undeliverable(&mut self, letters: &[(u64, DeadLetter)]) {
        for (id, letter) in letters {
            self.outbox.remove(id);
            self.bury(letter.clone(), None, None);
        }
    }

    pub(super) fn commit(&mut self, commit: &Commit, rejected: &mut Rejected) -> Result<Committed> {
        self.host = self.host.max(commit.now);
        self.last_commit = self.last_commit.max(commit.number.0);
        let row = self.deliveries.get(&commit.delivery);
        let is_stale = row.is_none_or(|row| row.stored.reactor != commit.reactor || row.attempts + 1 != commit.attempt);
        if is_stale && !is_planted(Bug::NoFencing) {
            rejected.refused(commit.number);
            return Ok(Committed::Stale);
        }
        let unchanged = commit.reads.iter().all(|(key, seen)| {
            let version = self.state.get(&(commit.reactor, key.clone())).map_or(Version(0), |(_, version)| *version);
            version == *seen
        });
        if !unchanged || commit.after.is_some_and(|number| !rejected.happened(number)) {
            rejected.refused(commit.number);
            return Ok(Committed::Conflict);
        }
        for effect in &commit.effects {
            match effect {
                Effect::Set { key, value } => {
                    self.state.insert((commit.reactor, key.clone()), (value.clone(), commit.number));
                }
                Effect::Delete { key } => {
                    self.state.remove(&(commit.reactor, key.clone()));
                }
                Effect::Put { target, message } => self.put(*target, message)?,
            }
        }
        self.counts(commit.reactor).emitted += commit.emitted() as u64;
        self.end(commit)?;
        self.keep_attempt(commit);
        rejected.applied(commit.number);
        Ok(Committed::Applied)
    }

    fn end(&mut self, commit: &Commit) -> Result<()> {
        match &commit.ending {
            Ending::Done => {
                self.counts(commit.reactor).done += 1;
                if let Some(letter) = self.deliveries.remove(&commit.delivery).and_then(|row| row.stored.redrive_of) {
                    self.dead.remove(&letter);
                }
            }
            Ending::Wait { due, record, hold } => {
                self.counts(commit.reactor).retried += 1;
                if let Some(row) = self.deliveries.get_mut(&commit.delivery) {
                    (row.attempts, row.started) = (commit.attempt, None);
                    (row.stored.place, row.stored.due) = (Place::Waiting, *due);
                    row.stored.history.push(record.clone());
                }
                self.hold(hold);
            }
            Ending::Dead { letter, hold } => {
                self.counts(commit.reactor).dead += 1;
                let row = self.deliveries.remove(&commit.delivery);
                let lane = row.as_ref().and_then(|row| row.stored.lane);
                let key = row.as_ref().map(|row| row.stored.key);
                let before = row.and_then(|row| row.stored.redrive_of).and_then(|id| self.dead.get_mut(&id));
                if let Some(dead) = before {
                    dead.delivery = Some(commit.delivery);
                    let old = &mut dead.stored.letter;
                    old.history.extend(letter.history.iter().cloned());
                    (old.at, old.parks) = (letter.at, letter.parks);
                    (old.reason, old.detail) = (letter.reason.clone(), letter.detail.clone());
                    dead.stored.redriving = false;
                } else {
                    let letter = DeadLetter { key: key.unwrap_or(letter.key), ..letter.clone() };
                    self.bury(letter, lane, Some(commit.delivery));
                }
                self.hold(hold);
            }
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, deliveries: &[DeliveryId]) {
        self.move_to(deliveries, Place::Held);
    }

    pub(super) fn move_to(&mut self, deliveries: &[DeliveryId], place: Place) {
        for id in deliveries {
            if let Some(row) = self.deliveries.get_mut(id) {
                (row.stored.place, row.stored.due) = (place, HostTime(0));
            }
        }
    }

    pub(super) fn recover(&mut self, epoch: u64, leased: &[ChannelId]) -> Recovered {
        for (_, delivery, attempt) in self.claims.values().filter(|(claimed, ..)| *claimed < epoch) {
            if let Some(row) = self.deliveries.get_mut(delivery).filter(|row| row.attempts + 1 == *attempt) {
                row.started = Some(*attempt);
            }
        }
        self.claims.retain(|_, (claimed, ..)| *claimed >= epoch);
        let mut recovered = Recovered { ahead: self.void_claims(), ..Recovered::default() };
        for row in self.deliveries.values_mut() {
            let stored = &mut row.stored;
            if stored.leased && leased.contains(&stored.origin.channel) {
                (stored.place, stored.due) = (Place::Away, HostTime(0));
            } else if stored.leased {
                stored.leased = false;
                stored.place = if stored.place == Place::Away { Place::Spilled } else { stored.place };
            }
        }
        self.put_lanes_in_order();
        let interrupted = self.deliveries.values().filter_map(|row| Some((row.stored.clone(), row.started?)));
        recovered.interrupted = interrupted.collect();
        recovered.lanes = self.lanes();
        recovered
    }

    /// Forgets the attempts of deliveries that were not the heads of their lanes, and returns those deliveries.
    fn void_claims(&mut self) -> Vec<(ReactorId, LaneKey, DeliveryId)> {
        let started = self.deliveries.values().filter(|row| row.started.is_some()).map(|row| &row.stored);
        let ahead =
            started.filter_map(|stored| Some((stored.lane.filter(|lane| !self.is_head(stored, *lane))?, stored)));
        let ahead: Vec<_> = ahead.map(|(lane, stored)| (stored.reactor, lane, stored.id)).collect();
        for (_, _, delivery) in &ahead {
            self.deliveries.entry(*delivery).and_modify(|row| row.started = None);
        }
        ahead
    }

    /// Whether a delivery is the next of its lane: in a parked lane, the dead letter that runs again; otherwise the
    /// delivery that waits for its next attempt; otherwise the oldest.
    fn is_head(&self, stored: &StoredDelivery, lane: LaneKey) -> bool {
        let parking: Vec<u64> = self.parking(stored.reactor, lane).collect();
        if !parking.is_empty() {
            return stored.redrive_of.is_some_and(|letter| parking.contains(&letter));
        }
        // A delivery that is away blocks no lane.
        let counts = |other: &&StoredDelivery| other.place != Place::Away || other.id == stored.id;
        let all = self.deliveries.values().map(|row| &row.stored);
        let in_lane = all.filter(|other| (other.reactor, other.lane) == (stored.reactor, Some(lane))).filter(counts);
        let first = in_lane.min_by_key(|other| (other.place != Place::Waiting, other.id));
        first.is_some_and(|first| first.id == stored.id)
    }

    /// The dead letters that park a lane.
    pub(super) fn parking(&self, reactor: ReactorId, lane: LaneKey) -> impl Iterator<Item = u64> {
        let letters = self.dead.values().map(|dead| &dead.stored);
        let parks = move |dead: &&StoredDead| (dead.letter.reactor, dead.letter.parks) == (Some(reactor), Some(lane));
        letters.filter(parks).map(|dead| dead.id)
    }

    /// Deliveries that were in memory become held in lanes that are blocked or have held deliveries, and spilled
    /// elsewhere.
    fn put_lanes_in_order(&mut self) {
        let lanes = self.lanes().into_iter().map(|(reactor, lane, _)| ((reactor, lane), None));
        let mut behind: HashMap<_, Option<DeliveryId>> = lanes.collect();
        for row in self.deliveries.values().filter(|row| row.started.is_some()) {
            if let Some(lane) = row.stored.lane {
                behind.entry((row.stored.reactor, lane)).or_insert(Some(row.stored.id));
            }
        }
        let place = |stored: &StoredDelivery| {
            let head = stored.lane.and_then(|lane| behind.get(&(stored.reactor, lane)));
            let runs_again = stored
                .lane
                .is_some_and(|lane| self.parking(stored.reactor, lane).any(|letter| stored.redrive_of == Some(letter)));
            match stored.place {
                Place::Memory | Place::Spilled | Place::Held if runs_again => Place::Spilled,
                Place::Memory | Place::Spilled if head.is_some_and(|head| *head != Some(stored.id)) => Place::Held,
                Place::Memory => Place::Spilled,
                place => place,
            }
        };
        let places: Vec<_> = self.deliveries.values().map(|row| place(&row.stored)).collect();
        self.deliveries.values_mut().zip(places).for_each(|(row, place)| row.stored.place = place);
    }

    fn lanes(&self) -> Vec<(ReactorId, LaneKey, LaneState)> {
        let mut lanes = BTreeMap::new();
        for Row { stored, .. } in self.deliveries.values() {
            match (stored.place, stored.lane) {
                (Place::Held, Some(lane)) => drop(lanes.entry((stored.reactor, lane)).or_insert(LaneState::Free)),
                (Place::Waiting, Some(lane)) => drop(lanes.insert((stored.reactor, lane), LaneState::Waiting)),
                _ => {}
            }
        }
        for Dead { stored, .. } in self.dead.values() {
            if let (Some(reactor), Some(lane)) = (stored.letter.reactor, stored.letter.parks) {
                lanes.insert((reactor, lane), LaneState::Parked);
            }
        }
        lanes.into_iter().map(|((reactor, lane), state)| (reactor, lane, state)).collect()
    }

    pub(super) fn redrive(&mut self, request: u64, id: u64) -> Option<StoredDelivery> {
        self.requests.remove(&request);
        self.run_again(id)
    }

    fn run_again(&mut self, id: u64) -> Option<StoredDelivery> {
        let Dead { stored, lane, .. } = self.dead.get_mut(&id).filter(|dead| !dead.stored.redriving)?;
        let reactor = stored.letter.reactor?;
        stored.redriving = true;
        let (origin, key, lane) = (stored.letter.origin, stored.letter.key, *lane);
        self.counts(reactor).dead -= 1;
        let new =
            NewDelivery { reactor, origin, key, window: Duration::ZERO, lane, place: Place::Memory, redrive: true };
        let delivery = self.insert(&new, self.host, Some(id), false);
        self.deliveries.get(&delivery).map(|row| row.stored.clone())
    }

    pub(super) fn select(&self, limit: usize, wanted: impl Fn(&StoredDelivery) -> bool) -> Vec<StoredDelivery> {
        self.deliveries.values().map(|row| &row.stored).filter(|d| wanted(d)).take(limit).cloned().collect()
    }

    pub(super) fn waiting(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Vec<StoredDelivery> {
        let mut found =
            self.select(usize::MAX, |d| d.reactor == reactor && d.place == Place::Waiting && (d.due, d.id) > after);
        found.sort_by_key(|d| (d.due, d.id));
        found
    }

    pub(super) fn stats(&self) -> Stats {
        let named = |n: &dyn Fn(&Log) -> u64| self.logs.iter().map(|log| (log.name.clone(), n(log))).collect();
        let mut reactors = self.reactors.clone();
        for row in self.deliveries.values() {
            if let Some(stats) = reactors.get_mut((row.stored.reactor.0 as usize).wrapping_sub(1)) {
                stats.active += 1;
                stats.waiting += u64::from(row.stored.place == Place::Waiting);
            }
        }
        let outbox = self.logs.iter().zip(1..).filter_map(|(log, id)| {
            let count = self.outbox.values().filter(|(channel, _)| channel.0 == id).count() as u64;
            (count > 0).then(|| (log.name.clone(), count))
        });
        Stats {
            outbox: outbox.collect(),
            published: named(&|log| log.next - 1),
            backlog: named(&|log| log.next.saturating_sub(log.cursor.0)),
            unrouted: self.unrouted,
            invalid: self.invalid,
            reactors,
        }
    }
}
