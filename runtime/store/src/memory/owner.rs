//! The model store as its owner sees it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, LaneKey, Message, ReactorId, Version};
use reactor_core::store::{
    Batch, Commit, Committed, DeadLetter, Effect, Entered, Mark, OutboxRecord, Place, Recovered, Result, StoreError,
    StoreOwner, StoredDelivery, Target, Upkeep, Work,
};

use super::MemoryStore;
use super::inner::Inner;

impl StoreOwner for MemoryStore {
    fn enter(&self, batch: Batch) -> BoxFuture<'_, Result<Entered>> {
        ready(self.write().and_then(|mut inner| inner.enter(&batch))).boxed()
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

    fn next_commit(&self) -> Version {
        Version(self.next_commit.fetch_add(1, Ordering::Relaxed))
    }

    fn commit(&self, commits: Arc<[Commit]>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        ready(self.do_commit(&commits)).boxed()
    }

    fn recover(&self, leased: &[ChannelId]) -> BoxFuture<'_, Result<Recovered>> {
        ready(self.write().map(|mut inner| inner.recover(self.epoch, leased))).boxed()
    }

    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        ready(self.write().map(|mut inner| inner.hold(&deliveries))).boxed()
    }

    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        ready(self.write().map(|mut inner| inner.move_to(&deliveries, Place::Away))).boxed()
    }

    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>> {
        Ok(self.read().waiting(reactor, after).first().map(|d| d.due))
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

    fn redrive(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<StoredDelivery>>> {
        ready(self.write().map(|mut inner| inner.redrive(request, dead))).boxed()
    }

    fn drop_dead(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<(ReactorId, LaneKey)>>> {
        let dropped = self.write().map(|mut inner| {
            inner.requests.remove(&request);
            inner.drop_dead(dead)
        });
        ready(dropped).boxed()
    }

    fn maintain(&self, upkeep: &Upkeep) -> Result<()> {
        self.write()?.expire(upkeep);
        Ok(())
    }

    fn apart(self: Arc<Self>, work: Work) -> BoxFuture<'static, ()> {
        work(&*self);
        ready(()).boxed()
    }
}

impl MemoryStore {
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
        if let Some(highest) = commits.iter().map(|commit| commit.number.0).max() {
            self.next_commit.fetch_max(highest + 1, Ordering::Relaxed);
        }
        commits.iter().map(|commit| inner.commit(commit, &mut rejected)).collect()
    }
}
