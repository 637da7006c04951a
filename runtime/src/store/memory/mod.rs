//! The model store: plain maps under one lock, to compare other stores with and to run tests on.

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

mod fates;
mod history;
mod inner;
mod upkeep;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jiff::Timestamp;
use tokio::sync::Notify;

use self::inner::{Inner, Log};
use super::rejected::Rejected;
use super::{
    Admission, Admitted, Asked, AttemptsOf, Blocked, Commit, Committed, DeadFilter, DeadLetter, Effect, Entered, Fate,
    KeptAttempt, LogRecord, Mark, OutboxRecord, Place, ReactorStats, Reception, Recovered, Request, Result, Stats,
    Store, StoreError, StoredDead, StoredDelivery, Target, Traces, Upkeep,
};
use crate::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};

/// A store that lives as long as its last handle.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    epoch: u64,
    slots: usize,
    rejected: Mutex<Rejected>,
    bell: Arc<Notify>,
}

impl MemoryStore {
    /// An empty store for up to `slots` attempts at once.
    pub fn new(slots: usize) -> Self {
        let host = HostTime(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0));
        let inner = Inner { epoch: 1, host, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), epoch: 1, slots, rejected: Mutex::default(), bell: Arc::default() }
    }

    /// The same store as the next owner finds it: this handle is fenced off.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.epoch += 1;
        let epoch = inner.epoch;
        drop(inner);
        Self {
            inner: self.inner.clone(),
            epoch,
            slots: self.slots,
            rejected: Mutex::default(),
            bell: self.bell.clone(),
        }
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
            for (target, _) in commit.effects.iter().filter_map(Effect::put) {
                let (Target::Log(channel) | Target::Outbox(channel)) = target;
                inner.log(*channel)?;
            }
        }
        commits.iter().map(|commit| inner.commit(commit, &mut rejected)).collect()
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
        let appended = self.write().and_then(|mut inner| inner.append(channel, &messages));
        self.bell.notify_one();
        ready(appended).boxed()
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

    fn receive(&self, reception: Reception) -> BoxFuture<'_, Result<Entered>> {
        ready(self.write().and_then(|mut inner| inner.receive(&reception))).boxed()
    }

    fn mark(&self, marks: &[Mark]) -> Result<()> {
        marks.iter().try_for_each(|(slot, _)| self.slot(*slot))?;
        let claims = &mut self.write()?.claims;
        for (slot, attempt) in marks {
            match attempt {
                Some((delivery, attempt)) => drop(claims.insert(*slot, (self.epoch, *delivery, *attempt))),
                None => drop(claims.remove(slot)),
            }
        }
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

    fn recover(&self, leased: &[ChannelId]) -> Result<Recovered> {
        Ok(self.write()?.recover(self.epoch, leased))
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

    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        ready(self.write().map(|mut inner| inner.move_to(&deliveries, Place::Away))).boxed()
    }

    fn outbox(&self, channel: ChannelId, after: u64, records: usize, bytes: usize) -> Result<Vec<OutboxRecord>> {
        let inner = self.read();
        let mut left = bytes;
        let mut found: Vec<OutboxRecord> = Vec::new();
        for (id, (to, message)) in inner.outbox.range(after.saturating_add(1)..) {
            let full = found.len() >= records.max(1) || !found.is_empty() && (left == 0 || message.size() > left);
            if full {
                break;
            }
            if *to == channel {
                left = left.saturating_sub(message.size());
                found.push(OutboxRecord { id: *id, message: message.clone() });
            }
        }
        Ok(found)
    }

    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)> {
        let inner = self.read();
        let sizes =
            inner.outbox.values().filter(|(to, _)| *to == channel).map(|(_, message)| message.body.len() as u64);
        Ok(sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size)))
    }

    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>> {
        let put = |mut inner: MutexGuard<'_, Inner>| {
            messages.iter().try_for_each(|message| inner.put(Target::Outbox(channel), message))
        };
        ready(self.write().and_then(put)).boxed()
    }

    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>> {
        ready(self.write().map(|mut inner| inner.outbox.retain(|id, _| !ids.contains(id)))).boxed()
    }

    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>> {
        ready(self.write().map(|mut inner| inner.undeliverable(&letters))).boxed()
    }

    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>> {
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let inner = self.read();
        let wanted = inner.dead.values().rev().map(|dead| &dead.stored).filter(|dead| {
            filter.reactor.is_none_or(|reactor| dead.letter.reactor == Some(reactor))
                && filter.reason.as_ref().is_none_or(|reason| dead.letter.reason == *reason)
                && filter.since.is_none_or(|since| dead.letter.at >= since)
                && filter.below.is_none_or(|below| dead.id < below)
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
        Ok(self.read().dead.get(&id).map(|dead| dead.stored.clone()))
    }

    fn fates(&self, _: (ChannelId, Offset), asked: &[Asked]) -> Result<Vec<Option<Fate>>> {
        let inner = self.read();
        Ok(asked.iter().map(|asked| inner.fate(asked)).collect())
    }

    fn traces(&self, channel: ChannelId, first: Offset, last: Offset) -> Result<Traces> {
        Ok(self.read().traces(channel, first, last))
    }

    fn attempts(&self, of: &AttemptsOf) -> Result<Vec<KeptAttempt>> {
        Ok(self.read().attempts(of))
    }

    fn known(&self, asked: &[(ReactorId, Identity)], _: usize) -> Result<Vec<Option<HostTime>>> {
        let inner = self.read();
        Ok(asked.iter().map(|key| inner.ledger.get(key).map(|(since, ..)| *since)).collect())
    }

    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>> {
        Ok(self.read().blocked())
    }

    fn request(&self, request: Request) -> Result<()> {
        let mut inner = self.read();
        inner.last_request += 1;
        let id = inner.last_request;
        inner.requests.insert(id, request);
        self.bell.notify_one();
        Ok(())
    }

    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>> {
        let later = (Bound::Excluded(after), Bound::Unbounded);
        Ok(self.read().requests.range(later).map(|(id, request)| (*id, request.clone())).collect())
    }

    fn redrive(&self, request: u64, dead: u64) -> Result<Option<StoredDelivery>> {
        Ok(self.write()?.redrive(request, dead))
    }

    fn drop_dead(&self, request: u64, dead: u64) -> Result<Option<(ReactorId, LaneKey)>> {
        let mut inner = self.write()?;
        inner.requests.remove(&request);
        Ok(inner.drop_dead(dead))
    }

    fn foreign_changes(&self) -> Result<u64> {
        Ok(0)
    }

    fn rung(&self) -> BoxFuture<'_, ()> {
        self.bell.notified().boxed()
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
