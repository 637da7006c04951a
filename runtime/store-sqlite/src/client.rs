//! The store as any process sees it.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rusqlite::{OptionalExtension, params};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};
use reactor_core::store::{
    Asked, AttemptsOf, Blocked, DeadFilter, Fate, KeptAttempt, LogRecord, Request, Result, Stats, StoreClient,
    StoredDead, StoredDelivery, Traces,
};

use super::fault::Fault;
use super::names::Kind;
use super::writer::Terms;
use super::{SqliteStore, attempts, dead, deliveries, fates, group, log, outbox, rows, stats, traces};

impl<R: Send + Sync + 'static> StoreClient for SqliteStore<R> {
    fn reactor_id(&self, name: &str) -> Result<ReactorId> {
        self.name(Kind::Reactor, name).map(ReactorId)
    }

    fn channel_id(&self, name: &str) -> Result<ChannelId> {
        self.name(Kind::Channel, name).map(ChannelId)
    }

    fn reactor_names(&self) -> Result<Vec<(ReactorId, String)>> {
        let names = self.readers.read(|conn| Kind::Reactor.all(conn))?;
        Ok(names.into_iter().map(|(id, name)| (ReactorId(id), name)).collect())
    }

    fn channel_names(&self) -> Result<Vec<(ChannelId, String)>> {
        let names = self.readers.read(|conn| Kind::Channel.all(conn))?;
        Ok(names.into_iter().map(|(id, name)| (ChannelId(id), name)).collect())
    }

    fn append(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<Offset>> {
        let bytes = messages.iter().map(|message| message.size() + 64).sum();
        let terms = Terms { intake: true, rings: true, bytes, ..Terms::DURABLE };
        self.queue.ask(terms, move |group| log::append(group, channel, messages.iter()))
    }

    fn read_log(
        &self,
        channel: ChannelId,
        from: Offset,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogRecord>> {
        self.readers.read(|conn| log::read(conn, channel, from, max_records, max_bytes))
    }

    fn cursor(&self, channel: ChannelId) -> Result<Offset> {
        self.readers.read(|conn| log::cursor(conn, channel))
    }

    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>> {
        self.readers.read(|conn| {
            let mut select = conn.prepare_cached("SELECT value, version FROM state WHERE reactor = ?1 AND key = ?2")?;
            let row =
                select.query_row(params![reactor.0, key], |row| Ok((row.get::<_, Vec<u8>>(0)?, rows::num(row, 1)?)));
            Ok(row.optional()?.map(|(value, version)| (value.into(), Version(version))))
        })
    }

    fn spilled(&self, reactor: ReactorId, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        self.readers.read(|conn| deliveries::spilled(conn, reactor, after, limit))
    }

    fn due(
        &self,
        reactor: ReactorId,
        after: (HostTime, DeliveryId),
        now: HostTime,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>> {
        self.readers.read(|conn| deliveries::due(conn, reactor, after, now, limit))
    }

    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        self.readers.read(|conn| deliveries::held(conn, reactor, lane, after, limit))
    }

    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>> {
        self.readers.read(stats::blocked)
    }

    fn fates(&self, from: (ChannelId, Offset), asked: &[Asked]) -> Result<Vec<Option<Fate>>> {
        self.readers.read(|conn| fates::find(conn, from, asked))
    }

    fn traces(&self, channel: ChannelId, first: Offset, last: Offset) -> Result<Traces> {
        self.readers.read(|conn| traces::find(conn, channel, first, last))
    }

    fn attempts(&self, of: &AttemptsOf) -> Result<Vec<KeptAttempt>> {
        self.readers.read(|conn| attempts::find(conn, of))
    }

    fn known(&self, asked: &[(ReactorId, Identity)], most: usize) -> Result<Vec<Option<HostTime>>> {
        self.readers.read(|conn| fates::known(conn, asked, most))
    }

    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)> {
        self.readers.read(|conn| outbox::size(conn, channel))
    }

    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>> {
        self.readers.read(|conn| dead::list(conn, filter))
    }

    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>> {
        self.readers.read(|conn| dead::get(conn, id))
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(Terms { rings: true, ..Terms::DURABLE }, move |group| dead::request(group, &request))
    }

    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>> {
        self.readers.read(|conn| dead::requests(conn, after))
    }

    fn host_time(&self) -> Result<HostTime> {
        self.readers.read(|conn| group::meta(conn, "host")).map(HostTime)
    }

    fn stats(&self) -> Result<Stats> {
        self.readers.read(stats::read)
    }

    fn foreign_changes(&self) -> Result<u64> {
        self.is_still_there()?;
        let conn = self.changes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let version = conn
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut pragma| pragma.query_row([], |row| rows::num(row, 0)))
            .map_err(Fault::from);
        version.map_err(|e| e.at(self.readers.file()))
    }

    fn rung(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.bell.rung())
    }

    fn give_up(&self) {
        self.queue.give_up();
    }
}
