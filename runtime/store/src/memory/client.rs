//! The model store as any process sees it.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};
use reactor_core::store::{
    Asked, AttemptsOf, Blocked, DeadFilter, Fate, KeptAttempt, LogRecord, Place, ReactorStats, Request, Result, Stats,
    StoreClient, StoredDead, StoredDelivery, Traces,
};

use super::MemoryStore;
use super::inner::Log;

impl StoreClient for MemoryStore {
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

    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>> {
        Ok(self.read().state.get(&(reactor, key.to_owned())).cloned())
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

    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        let lane = Some(lane);
        Ok(self
            .read()
            .select(limit, |d| d.reactor == reactor && d.place == Place::Held && d.lane == lane && d.id > after))
    }

    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>> {
        Ok(self.read().blocked())
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

    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)> {
        let inner = self.read();
        let sizes =
            inner.outbox.values().filter(|(to, _)| *to == channel).map(|(_, message)| message.body.len() as u64);
        Ok(sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size)))
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

    fn request(&self, request: Request) -> BoxFuture<'_, Result<()>> {
        let mut inner = self.read();
        inner.last_request += 1;
        let id = inner.last_request;
        inner.requests.insert(id, request);
        self.bell.notify_one();
        ready(Ok(())).boxed()
    }

    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>> {
        let later = (Bound::Excluded(after), Bound::Unbounded);
        Ok(self.read().requests.range(later).map(|(id, request)| (*id, request.clone())).collect())
    }

    fn host_time(&self) -> Result<HostTime> {
        Ok(self.read().host)
    }

    fn stats(&self) -> Result<Stats> {
        Ok(self.read().stats())
    }

    fn foreign_changes(&self) -> Result<u64> {
        Ok(0)
    }

    fn rung(&self) -> BoxFuture<'_, ()> {
        self.bell.notified().boxed()
    }
}

/// The position of an item in a list, counted from 1; a missing item is added.
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
