//! The store as its owner sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;

use reactor_core::event::{ChannelId, DeliveryId, HostTime, LaneKey, Message, ReactorId, Version};
use reactor_core::store::{
    Batch, Commit, Committed, DeadLetter, Entered, Mark, OutboxRecord, Recovered, Result, StoreOwner, StoredDelivery,
    Upkeep, Work,
};

use super::claims::Claims;
use super::lock::OwnerLock;
use super::writer::Terms;
use super::{SqliteStore, commit, dead, deliveries, enter, outbox, upkeep};

/// What only the owner of a store has.
#[derive(Debug)]
pub struct Owner {
    pub(super) claims: Claims,
    pub(super) next_commit: AtomicU64,
    /// Held for as long as writes are possible.
    pub(super) _lock: OwnerLock,
}

impl StoreOwner for SqliteStore<Owner> {
    fn enter(&self, batch: Batch) -> BoxFuture<'_, Result<Entered>> {
        let messages: usize = batch.messages.iter().map(|one| one.message.size() + 256).sum();
        let dead: usize = batch.dead.iter().map(|letter| letter.message.size() + 512).sum();
        let bytes = messages + batch.deliveries.len() * 256 + dead;
        // A record of the log would be read again; an acknowledged message does not come back.
        let durable = batch.cursor.is_none() && (!batch.dead.is_empty() || batch.unrouted > 0);
        let terms = Terms { durable, intake: true, bytes, ..Terms::SOON };
        self.queue.ask(terms, move |group| enter::apply(group, &batch))
    }

    fn mark(&self, marks: &[Mark]) -> Result<()> {
        self.role.claims.mark(marks)
    }

    fn next_commit(&self) -> Version {
        Version(self.role.next_commit.fetch_add(1, Ordering::Relaxed))
    }

    fn commit(&self, commits: Arc<[Commit]>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        let numbers: Vec<Version> = commits.iter().map(|commit| commit.number).collect();
        if let Some(highest) = numbers.iter().max() {
            self.role.next_commit.fetch_max(highest.0.saturating_add(1), Ordering::Relaxed);
        }
        let bytes = commits.iter().map(Commit::weight).sum();
        let terms = Terms { bytes, commits: numbers, ..Terms::DURABLE };
        self.queue.ask(terms, move |group| commits.iter().map(|commit| commit::apply(group, commit)).collect())
    }

    fn recover(&self, leased: &[ChannelId]) -> BoxFuture<'_, Result<Recovered>> {
        let (left, leased) = (self.role.claims.left(), leased.to_vec());
        let recovered = self.queue.ask(Terms::DURABLE, move |group| deliveries::recover(group, &left, &leased));
        Box::pin(async move {
            let recovered = recovered.await?;
            self.role.claims.clear()?;
            Ok(recovered)
        })
    }

    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(Terms::SOON, move |group| deliveries::hold(group, &deliveries))
    }

    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(Terms::SOON, move |group| deliveries::away(group, &deliveries))
    }

    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>> {
        self.readers.read(|conn| deliveries::next_due(conn, reactor, after))
    }

    fn outbox(
        &self,
        channel: ChannelId,
        after: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<OutboxRecord>> {
        self.readers.read(|conn| outbox::read(conn, channel, after, max_records, max_bytes))
    }

    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>> {
        let bytes = messages.iter().map(|message| message.size() + 64).sum();
        let terms = Terms { intake: true, bytes, ..Terms::DURABLE };
        self.queue.ask(terms, move |group| messages.iter().try_for_each(|m| outbox::add(group, channel, m)))
    }

    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(Terms::SOON, move |group| outbox::remove(group, &ids))
    }

    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(Terms::DURABLE, move |group| outbox::bury(group, &letters))
    }

    fn redrive(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<StoredDelivery>>> {
        self.queue.ask(Terms::DURABLE, move |group| dead::redrive(group, request, dead))
    }

    fn drop_dead(&self, request: u64, dead: u64) -> BoxFuture<'_, Result<Option<(ReactorId, LaneKey)>>> {
        self.queue.ask(Terms::DURABLE, move |group| dead::drop_dead(group, request, dead))
    }

    fn maintain(&self, upkeep: &Upkeep) -> Result<()> {
        upkeep::run(&self.queue, upkeep)?;
        self.queue.checkpoint();
        Ok(())
    }

    fn apart(self: Arc<Self>, work: Work) -> BoxFuture<'static, ()> {
        let done = tokio::task::spawn_blocking(move || work(&*self));
        // A panic leaves the work unanswered, which is an error for its caller.
        Box::pin(async move { drop(done.await) })
    }
}
