//! The model store: plain maps under one lock, to compare other stores with and to run tests on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jiff::Timestamp;

use super::rejected::Rejected;
use super::{
    Admission, Admitted, Commit, Committed, DeadFilter, DeadLetter, Ending, LaneState, LogRecord, NewDelivery, Place,
    ReactorStats, Recovered, Request, Result, Stats, Store, StoreError, StoredDead, StoredDelivery, UNROUTED, Upkeep,
};
use crate::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, Origin, ReactorId, Version};

/// A store that lives as long as its last handle.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    epoch: u64,
    slots: usize,
    rejected: Mutex<Rejected>,
}

#[derive(Debug, Default)]
struct Inner {
    epoch: u64,
    host: HostTime,
    reactors: Vec<ReactorStats>,
    logs: Vec<Log>,
    deliveries: BTreeMap<DeliveryId, Row>,
    last_delivery: u64,
    ledger: HashMap<(ReactorId, Identity), HostTime>,
    state: HashMap<(ReactorId, String), (Bytes, Version)>,
    last_commit: u64,
    dead: BTreeMap<u64, (StoredDead, Option<LaneKey>)>,
    last_dead: u64,
    requests: BTreeMap<u64, Request>,
    last_request: u64,
    claims: BTreeMap<usize, (u64, DeliveryId, u32)>,
    unrouted: u64,
    invalid: u64,
}

#[derive(Debug)]
struct Log {
    name: String,
    records: BTreeMap<Offset, (HostTime, LogRecord)>,
    next: u64,
    cursor: Offset,
}

#[derive(Debug)]
struct Row {
    stored: StoredDelivery,
    attempts: u32,
    started: Option<u32>,
}

impl MemoryStore {
    /// An empty store for up to `slots` attempts at once.
    pub fn new(slots: usize) -> Self {
        let host = HostTime(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0));
        let inner = Inner { epoch: 1, host, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), epoch: 1, slots, rejected: Mutex::default() }
    }

    /// The same store as the next owner finds it: this handle is fenced off.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.epoch += 1;
        let epoch = inner.epoch;
        drop(inner);
        Self { inner: self.inner.clone(), epoch, slots: self.slots, rejected: Mutex::default() }
    }

    fn read(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Result<MutexGuard<'_, Inner>> {
        let inner = self.read();
        if inner.epoch == self.epoch { Ok(inner) } else { Err(StoreError::Fenced) }
    }

    fn slot(&self, slot: usize) -> Result<()> {
        let text = || StoreError::Other(format!("there is no slot {slot}: the store was opened with {}", self.slots));
        if slot < self.slots { Ok(()) } else { Err(text()) }
    }

    fn do_commit(&self, commits: &[Commit]) -> Result<Vec<Committed>> {
        let mut inner = self.write()?;
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            commit.emits.iter().try_for_each(|(channel, _)| inner.log(*channel).map(|_| ()))?;
            if let Ending::Dead { forward, .. } = &commit.ending {
                forward.iter().try_for_each(|(channel, _)| inner.log(*channel).map(|_| ()))?;
            }
        }
        commits.iter().map(|commit| inner.commit(commit, &mut rejected)).collect()
    }
}

impl Inner {
    fn log(&mut self, channel: ChannelId) -> Result<&mut Log> {
        let index = (channel.0 as usize).wrapping_sub(1);
        self.logs.get_mut(index).ok_or_else(|| StoreError::Other(format!("there is no channel number {channel}")))
    }

    fn counts(&mut self, reactor: ReactorId) -> &mut ReactorStats {
        let index = (reactor.0 as usize).max(1);
        while self.reactors.len() < index {
            self.reactors.push(ReactorStats::default());
        }
        &mut self.reactors[index - 1]
    }

    fn append<'m>(&mut self, channel: ChannelId, messages: impl IntoIterator<Item = &'m Message>) -> Result<Offset> {
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

    fn enter(&mut self, new: &NewDelivery, now: HostTime) -> Admitted {
        let key = (new.reactor, new.key);
        if self.ledger.get(&key).is_some_and(|since| now.since(*since) < new.window) {
            self.counts(new.reactor).duplicates += 1;
            return Admitted::Duplicate;
        }
        self.counts(new.reactor).delivered += 1;
        Admitted::New(self.insert(new, now, None))
    }

    fn insert(&mut self, new: &NewDelivery, now: HostTime, redrive_of: Option<u64>) -> DeliveryId {
        self.last_delivery += 1;
        let id = DeliveryId(self.last_delivery);
        self.ledger.insert((new.reactor, new.key), now);
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
        };
        self.deliveries.insert(id, Row { stored, attempts: 0, started: None });
        id
    }

    fn bury(&mut self, letter: DeadLetter, lane: Option<LaneKey>) {
        self.last_dead += 1;
        let stored = StoredDead { id: self.last_dead, redriving: false, letter };
        self.dead.insert(self.last_dead, (stored, lane));
    }

    fn admit(&mut self, admission: &Admission) -> Result<Vec<Admitted>> {
        let log = self.log(admission.channel)?;
        log.cursor = log.cursor.max(admission.cursor);
        admission.drop.iter().for_each(|offset| drop(log.records.remove(offset)));
        self.host = self.host.max(admission.now);
        let answers = admission.deliveries.iter().map(|new| self.enter(new, admission.now)).collect();
        for letter in &admission.dead {
            match letter.reactor {
                Some(reactor) => {
                    self.counts(reactor).delivered += 1;
                    self.counts(reactor).dead += 1;
                }
                None => self.invalid += u64::from(letter.reason != UNROUTED),
            }
            self.bury(letter.clone(), letter.parks);
        }
        self.unrouted += admission.unrouted;
        Ok(answers)
    }

    fn commit(&mut self, commit: &Commit, rejected: &mut Rejected) -> Result<Committed> {
        self.host = self.host.max(commit.now);
        self.last_commit = self.last_commit.max(commit.number.0);
        let row = self.deliveries.get(&commit.delivery);
        if row.is_none_or(|row| row.stored.reactor != commit.reactor || row.attempts + 1 != commit.attempt) {
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
        for (key, value) in &commit.writes {
            let key = (commit.reactor, key.clone());
            match value {
                Some(value) => drop(self.state.insert(key, (value.clone(), commit.number))),
                None => drop(self.state.remove(&key)),
            }
        }
        for (channel, message) in &commit.emits {
            self.append(*channel, [message])?;
        }
        self.counts(commit.reactor).emitted += commit.emits.len() as u64;
        self.end(commit)?;
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
            Ending::Dead { letter, forward, hold } => {
                self.counts(commit.reactor).dead += 1;
                let row = self.deliveries.remove(&commit.delivery);
                let lane = row.as_ref().and_then(|row| row.stored.lane);
                let key = row.as_ref().map(|row| row.stored.key);
                let before = row.and_then(|row| row.stored.redrive_of).and_then(|id| self.dead.get_mut(&id));
                if let Some((dead, _)) = before {
                    let old = &mut dead.letter;
                    old.history.extend(letter.history.iter().cloned());
                    (old.at, old.parks) = (letter.at, letter.parks);
                    (old.reason, old.detail) = (letter.reason.clone(), letter.detail.clone());
                    dead.redriving = false;
                } else {
                    self.bury(DeadLetter { key: key.unwrap_or(letter.key), ..letter.clone() }, lane);
                }
                forward.iter().try_for_each(|(channel, message)| self.append(*channel, [message]).map(drop))?;
                self.hold(hold);
            }
        }
        Ok(())
    }

    fn hold(&mut self, deliveries: &[DeliveryId]) {
        for id in deliveries {
            if let Some(row) = self.deliveries.get_mut(id) {
                (row.stored.place, row.stored.due) = (Place::Held, HostTime(0));
            }
        }
    }

    fn recover(&mut self, epoch: u64) -> Recovered {
        for (_, delivery, attempt) in self.claims.values().filter(|(claimed, ..)| *claimed < epoch) {
            if let Some(row) = self.deliveries.get_mut(delivery).filter(|row| row.attempts + 1 == *attempt) {
                row.started = Some(*attempt);
            }
        }
        self.claims.retain(|_, (claimed, ..)| *claimed >= epoch);
        let mut recovered = Recovered::default();
        let mut lanes = BTreeMap::new();
        for row in self.deliveries.values_mut() {
            if row.stored.place == Place::Memory {
                row.stored.place = Place::Spilled;
            }
            if let Some(attempt) = row.started {
                recovered.interrupted.push((row.stored.clone(), attempt));
            }
            match (row.stored.place, row.stored.lane) {
                (Place::Held, Some(lane)) => drop(lanes.entry((row.stored.reactor, lane)).or_insert(LaneState::Free)),
                (Place::Waiting, Some(lane)) => drop(lanes.insert((row.stored.reactor, lane), LaneState::Waiting)),
                _ => {}
            }
        }
        for (dead, _) in self.dead.values() {
            if let (Some(reactor), Some(lane)) = (dead.letter.reactor, dead.letter.parks) {
                lanes.insert((reactor, lane), LaneState::Parked);
            }
        }
        recovered.lanes = lanes.into_iter().map(|((reactor, lane), state)| (reactor, lane, state)).collect();
        recovered
    }

    fn redrive(&mut self, request: u64, id: u64) -> Option<StoredDelivery> {
        self.requests.remove(&request);
        let (dead, lane) = self.dead.get_mut(&id).filter(|(dead, _)| !dead.redriving)?;
        let reactor = dead.letter.reactor?;
        dead.redriving = true;
        let (origin, key, lane) = (dead.letter.origin, dead.letter.key, *lane);
        self.counts(reactor).dead -= 1;
        let new = NewDelivery { reactor, origin, key, window: Duration::ZERO, lane, place: Place::Memory };
        let delivery = self.insert(&new, self.host, Some(id));
        self.deliveries.get(&delivery).map(|row| row.stored.clone())
    }

    fn select(&self, limit: usize, wanted: impl Fn(&StoredDelivery) -> bool) -> Vec<StoredDelivery> {
        self.deliveries.values().map(|row| &row.stored).filter(|d| wanted(d)).take(limit).cloned().collect()
    }

    fn waiting(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Vec<StoredDelivery> {
        let mut found =
            self.select(usize::MAX, |d| d.reactor == reactor && d.place == Place::Waiting && (d.due, d.id) > after);
        found.sort_by_key(|d| (d.due, d.id));
        found
    }

    fn expire(&mut self, upkeep: &Upkeep) {
        self.host = self.host.max(upkeep.now);
        self.ledger.retain(|_, since| upkeep.now.since(*since) < upkeep.ledger_window);
        for (channel, retention) in &upkeep.retention {
            let origins: Vec<Origin> = self.deliveries.values().map(|row| row.stored.origin).collect();
            let needed = origins.iter().filter(|o| o.channel == *channel).map(|o| o.offset).min();
            if let Ok(log) = self.log(*channel) {
                let floor = needed.map_or(log.cursor, |offset| offset.min(log.cursor));
                log.records.retain(|offset, (host, _)| *offset >= floor || upkeep.now.since(*host) <= *retention);
            }
        }
    }

    fn stats(&self) -> Stats {
        let named = |n: &dyn Fn(&Log) -> u64| self.logs.iter().map(|log| (log.name.clone(), n(log))).collect();
        let mut reactors = self.reactors.clone();
        for row in self.deliveries.values() {
            if let Some(stats) = reactors.get_mut((row.stored.reactor.0 as usize).wrapping_sub(1)) {
                stats.active += 1;
                stats.waiting += u64::from(row.stored.place == Place::Waiting);
            }
        }
        Stats {
            published: named(&|log| log.next - 1),
            backlog: named(&|log| log.next.saturating_sub(log.cursor.0)),
            unrouted: self.unrouted,
            invalid: self.invalid,
            reactors,
        }
    }
}

/// The place of a name in a list, from 1, where it is added if need be.
fn number<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> u32 {
    let index = list.iter().position(is).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    });
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn numbered<'n>(names: impl Iterator<Item = &'n String>) -> impl Iterator<Item = (u32, String)> {
    (1..).zip(names.cloned())
}

impl Store for MemoryStore {
    fn reactor_id(&self, name: &str) -> Result<ReactorId> {
        let make = || ReactorStats { name: name.to_owned(), ..ReactorStats::default() };
        Ok(ReactorId(number(&mut self.read().reactors, |stats| stats.name == name, make)))
    }

    fn channel_id(&self, name: &str) -> Result<ChannelId> {
        let make = || Log { name: name.to_owned(), records: BTreeMap::new(), next: 1, cursor: Offset(1) };
        Ok(ChannelId(number(&mut self.read().logs, |log| log.name == name, make)))
    }

    fn reactor_names(&self) -> Result<Vec<(ReactorId, String)>> {
        Ok(numbered(self.read().reactors.iter().map(|stats| &stats.name)).map(|(id, n)| (ReactorId(id), n)).collect())
    }

    fn channel_names(&self) -> Result<Vec<(ChannelId, String)>> {
        Ok(numbered(self.read().logs.iter().map(|log| &log.name)).map(|(id, n)| (ChannelId(id), n)).collect())
    }

    fn append(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<Offset>> {
        ready(self.write().and_then(|mut inner| inner.append(channel, &messages))).boxed()
    }

    fn read_log(&self, channel: ChannelId, from: Offset, records: usize, bytes: usize) -> Result<Vec<LogRecord>> {
        let mut inner = self.read();
        let mut left = bytes;
        let mut found: Vec<LogRecord> = Vec::new();
        for (_, record) in inner.log(channel)?.records.range(from..).map(|(_, entry)| entry).take(records.max(1)) {
            let size = record.message.size();
            if !found.is_empty() && (left == 0 || size > left) {
                break;
            }
            left = left.saturating_sub(size);
            found.push(record.clone());
        }
        Ok(found)
    }

    fn cursor(&self, channel: ChannelId) -> Result<Offset> {
        self.read().log(channel).map(|log| log.cursor)
    }

    fn admit(&self, admission: Admission) -> BoxFuture<'_, Result<Vec<Admitted>>> {
        ready(self.write().and_then(|mut inner| inner.admit(&admission))).boxed()
    }

    fn mark_started(&self, slot: usize, delivery: DeliveryId, attempt: u32) -> Result<()> {
        self.slot(slot)?;
        self.write()?.claims.insert(slot, (self.epoch, delivery, attempt));
        Ok(())
    }

    fn mark_ended(&self, slot: usize) -> Result<()> {
        self.slot(slot)?;
        self.write()?.claims.remove(&slot);
        Ok(())
    }

    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>> {
        Ok(self.read().state.get(&(reactor, key.to_owned())).cloned())
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        ready(self.do_commit(&commits)).boxed()
    }

    fn next_commit(&self) -> Result<u64> {
        Ok(self.read().last_commit + 1)
    }

    fn recover(&self) -> Result<Recovered> {
        Ok(self.write()?.recover(self.epoch))
    }

    fn spilled(&self, reactor: ReactorId, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        Ok(self.read().select(limit, |d| d.reactor == reactor && d.place == Place::Spilled && d.id > after))
    }

    fn due(
        &self,
        reactor: ReactorId,
        after: (HostTime, DeliveryId),
        now: HostTime,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>> {
        Ok(self.read().waiting(reactor, after).into_iter().filter(|d| d.due <= now).take(limit).collect())
    }

    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>> {
        Ok(self.read().waiting(reactor, after).first().map(|d| d.due))
    }

    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        let lane = Some(lane);
        Ok(self
            .read()
            .select(limit, |d| d.reactor == reactor && d.place == Place::Held && d.lane == lane && d.id > after))
    }

    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        ready(self.write().map(|mut inner| inner.hold(&deliveries))).boxed()
    }

    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>> {
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let inner = self.read();
        let wanted = inner.dead.values().rev().map(|(dead, _)| dead).filter(|dead| {
            filter.reactor.is_none_or(|reactor| dead.letter.reactor == Some(reactor))
                && filter.reason.as_ref().is_none_or(|reason| dead.letter.reason == *reason)
                && filter.since.is_none_or(|since| dead.letter.at >= since)
        });
        let brief = |mut dead: StoredDead| {
            if filter.brief {
                dead.letter.message.body = Bytes::new();
            }
            dead
        };
        Ok(wanted.take(limit).cloned().map(brief).collect())
    }

    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>> {
        Ok(self.read().dead.get(&id).map(|(dead, _)| dead.clone()))
    }

    fn request(&self, request: Request) -> Result<()> {
        let mut inner = self.read();
        inner.last_request += 1;
        let id = inner.last_request;
        inner.requests.insert(id, request);
        Ok(())
    }

    fn requests(&self) -> Result<Vec<(u64, Request)>> {
        Ok(self.read().requests.iter().map(|(id, request)| (*id, request.clone())).collect())
    }

    fn redrive(&self, request: u64, dead: u64) -> Result<Option<StoredDelivery>> {
        Ok(self.write()?.redrive(request, dead))
    }

    fn drop_dead(&self, request: u64, dead: u64) -> Result<Option<(ReactorId, LaneKey)>> {
        let mut inner = self.write()?;
        inner.requests.remove(&request);
        if inner.dead.get(&dead).is_none_or(|(letter, _)| letter.redriving) {
            return Ok(None);
        }
        Ok(inner.dead.remove(&dead).and_then(|(dead, _)| dead.letter.reactor.zip(dead.letter.parks)))
    }

    fn foreign_changes(&self) -> Result<u64> {
        Ok(0)
    }

    fn host_time(&self) -> Result<HostTime> {
        Ok(self.read().host)
    }

    fn maintain(&self, upkeep: &Upkeep) -> Result<()> {
        self.write()?.expire(upkeep);
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(self.read().stats())
    }
}
