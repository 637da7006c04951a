//! The store of a host: the model store behind a simulated disk.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reactor_core::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};
use reactor_core::store::{
    Asked, AttemptsOf, Batch, Blocked, Commit, Committed, DeadFilter, DeadLetter, Entered, Fate, KeptAttempt,
    LogRecord, Mark, OutboxRecord, Recovered, Request, Result, Stats, StoreClient, StoreError, StoreOwner, StoredDead,
    StoredDelivery, Traces, Upkeep, Work,
};
use reactor_store::memory::MemoryStore;

use crate::disk::Disk;

/// See the module.
pub struct SimStore {
    disk: Arc<Disk>,
    model: Arc<MemoryStore>,
}

impl SimStore {
    /// The store on a disk, as its next owner opens it.
    pub fn open(disk: &Arc<Disk>) -> Self {
        Self { disk: Arc::clone(disk), model: disk.open() }
    }
}

/// What a method of the model store, which never waits, answers.
fn at_once<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    answer.now_or_never().unwrap_or_else(|| Err(StoreError::Other("the model store waited".into())))
}

impl StoreOwner for SimStore {
    fn enter(&self, batch: Batch) -> BoxFuture<'_, Result<Entered>> {
        // Durable where a received message ends here; the model does not need to know more exactly.
        let durable = !batch.dead.is_empty();
        self.disk.write(&self.model, durable, move |store| at_once(store.enter(batch)))
    }

    fn mark(&self, marks: &[Mark]) -> Result<()> {
        self.model.mark(marks)
    }

    fn next_commit(&self) -> Version {
        self.model.next_commit()
    }

    fn commit(&self, commits: Arc<[Commit]>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        self.disk.write(&self.model, true, move |store| at_once(store.commit(commits)))
    }

    fn recover(&self, leased: &[ChannelId]) -> BoxFuture<'_, Result<Recovered>> {
        let leased = leased.to_vec();
        self.disk.write(&self.model, true, move |store| at_once(store.recover(&leased)))
    }

    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        self.disk.write(&self.model, false, move |store| at_once(store.hold(deliveries)))
    }

    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        self.disk.write(&self.model, false, move |store| at_once(store.away(deliveries)))
    }

    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>> {
        self.model.next_due(reactor, after)
    }

    fn outbox(&self, channel: ChannelId, after: u64, records: usize, bytes: usize) -> Result<Vec<OutboxRecord>> {
        self.model.outbox(channel, after, records, bytes)
    }

    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>> {
        self.disk.write(&self.model, true, move |store| at_once(store.send(channel, messages)))
    }

    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>> {
        self.disk.write(&self.model, false, move |store| at_once(store.sent(ids)))
    }

    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>> {
        self.disk.write(&self.model, true, move |store| at_once(store.undeliverable(letters)))
    }

    fn redrive(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<StoredDelivery>>> {
        self.disk.write(&self.model, true, move |store| at_once(store.redrive(request, dead)))
    }

    fn drop_dead(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<(ReactorId, LaneKey)>>> {
        self.disk.write(&self.model, true, move |store| at_once(store.drop_dead(request, dead)))
    }

    fn maintain(&self, upkeep: &Upkeep) -> Result<()> {
        self.model.maintain(upkeep)
    }

    fn apart(self: Arc<Self>, work: Work) -> BoxFuture<'static, ()> {
        let pause = self.disk.pause_to_read();
        Box::pin(async move {
            pause.await;
            work(&*self);
        })
    }
}

impl StoreClient for SimStore {
    fn reactor_id(&self, name: &str) -> Result<ReactorId> {
        self.model.reactor_id(name)
    }

    fn channel_id(&self, name: &str) -> Result<ChannelId> {
        self.model.channel_id(name)
    }

    fn reactor_names(&self) -> Result<Vec<(ReactorId, String)>> {
        self.model.reactor_names()
    }

    fn channel_names(&self) -> Result<Vec<(ChannelId, String)>> {
        self.model.channel_names()
    }

    fn append(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<Offset>> {
        self.disk.write(&self.model, true, move |store| at_once(store.append(channel, messages)))
    }

    fn read_log(&self, channel: ChannelId, from: Offset, records: usize, bytes: usize) -> Result<Vec<LogRecord>> {
        self.model.read_log(channel, from, records, bytes)
    }

    fn cursor(&self, channel: ChannelId) -> Result<Offset> {
        self.model.cursor(channel)
    }

    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>> {
        self.model.state(reactor, key)
    }

    fn spilled(&self, reactor: ReactorId, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        self.model.spilled(reactor, after, limit)
    }

    fn due(
        &self,
        reactor: ReactorId,
        after: (HostTime, DeliveryId),
        now: HostTime,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>> {
        self.model.due(reactor, after, now, limit)
    }

    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        self.model.held(reactor, lane, after, limit)
    }

    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>> {
        self.model.blocked()
    }

    fn fates(&self, from: (ChannelId, Offset), asked: &[Asked]) -> Result<Vec<Option<Fate>>> {
        self.model.fates(from, asked)
    }

    fn traces(&self, channel: ChannelId, first: Offset, last: Offset) -> Result<Traces> {
        self.model.traces(channel, first, last)
    }

    fn attempts(&self, of: &AttemptsOf) -> Result<Vec<KeptAttempt>> {
        self.model.attempts(of)
    }

    fn known(&self, asked: &[(ReactorId, Identity)], most: usize) -> Result<Vec<Option<HostTime>>> {
        self.model.known(asked, most)
    }

    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)> {
        self.model.outbox_size(channel)
    }

    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>> {
        self.model.dead_letters(filter)
    }

    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>> {
        self.model.dead_letter(id)
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<()>> {
        self.disk.write(&self.model, true, move |store| at_once(store.request(request)))
    }

    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>> {
        self.model.requests(after)
    }

    fn host_time(&self) -> Result<HostTime> {
        self.model.host_time()
    }

    fn stats(&self) -> Result<Stats> {
        self.model.stats()
    }

    fn foreign_changes(&self) -> Result<u64> {
        self.model.foreign_changes()
    }

    fn rung(&self) -> BoxFuture<'_, ()> {
        self.model.rung()
    }
}
