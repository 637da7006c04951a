//! A store whose answers a test can keep back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};
use reactor_core::store::{
    Asked, AttemptsOf, Batch, Blocked, Commit, Committed, DeadFilter, DeadLetter, Entered, Fate, KeptAttempt,
    LogRecord, Mark, OutboxRecord, Recovered, Request, Result, Stats, StoreClient, StoreError, StoreOwner, StoredDead,
    StoredDelivery, Traces, Upkeep, Work,
};

/// Another store, of which some methods are slow, or find no room.
pub(crate) struct Slow {
    store: Arc<dyn StoreOwner>,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    slow: HashSet<&'static str>,
    /// Answers that are kept back, and how many of them may go.
    kept: HashMap<&'static str, usize>,
    may_go: HashMap<&'static str, usize>,
    /// How many of the next calls find no room.
    full: HashMap<&'static str, usize>,
}

impl Slow {
    pub(crate) fn new(store: Arc<dyn StoreOwner>) -> Arc<Self> {
        Arc::new(Self { store, inner: Mutex::default(), changed: Condvar::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a method's answers are kept back: what it answers has been read by then.
    pub(crate) fn keep(&self, method: &'static str) {
        self.inner().slow.insert(method);
    }

    /// How many answers of a method are kept back.
    pub(crate) fn kept(&self, method: &'static str) -> usize {
        self.inner().kept.get(method).copied().unwrap_or_default()
    }

    /// Lets one answer of a method go.
    pub(crate) fn let_one_go(&self, method: &'static str) {
        self.inner().may_go.insert(method, 1);
        self.changed.notify_all();
    }

    /// Lets all go, and keeps none back from now on.
    pub(crate) fn let_go(&self) {
        self.inner().slow.clear();
        self.changed.notify_all();
    }

    /// So many of the next calls of a method find no room.
    pub(crate) fn fill(&self, method: &'static str, calls: usize) {
        self.inner().full.insert(method, calls);
    }

    /// How many of the next calls of a method find no room.
    pub(crate) fn left_full(&self, method: &'static str) -> usize {
        self.inner().full.get(method).copied().unwrap_or_default()
    }

    fn wait(&self, method: &'static str) {
        let mut inner = self.inner();
        *inner.kept.entry(method).or_default() += 1;
        while inner.slow.contains(method) {
            if let Some(left @ 1..) = inner.may_go.get_mut(method) {
                *left -= 1;
                break;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.kept.entry(method).and_modify(|kept| *kept -= 1);
    }

    fn is_full(&self, method: &'static str) -> bool {
        let mut inner = self.inner();
        let Some(left @ 1..) = inner.full.get_mut(method) else { return false };
        *left -= 1;
        true
    }
}

/// Methods that the other store answers.
macro_rules! pass {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($arg: $kind),*) -> $answer {
            self.store.$name($($arg),*)
        })*
    };
}

/// Reads whose answers can be kept back.
macro_rules! keep {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($arg: $kind),*) -> $answer {
            let answer = self.store.$name($($arg),*);
            self.wait(stringify!($name));
            answer
        })*
    };
}

/// Writes that can find no room.
macro_rules! fill {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($arg: $kind),*) -> $answer {
            if self.is_full(stringify!($name)) {
                return Box::pin(async { Err(StoreError::Full) });
            }
            self.store.$name($($arg),*)
        })*
    };
}

impl StoreClient for Slow {
    pass! {
        reactor_id(name: &str) -> Result<ReactorId>;
        channel_id(name: &str) -> Result<ChannelId>;
        append(channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<Offset>>;
        reactor_names() -> Result<Vec<(ReactorId, String)>>;
        channel_names() -> Result<Vec<(ChannelId, String)>>;
        cursor(channel: ChannelId) -> Result<Offset>;
        state(reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>>;
        blocked() -> Result<Vec<(ReactorId, Blocked)>>;
        fates(from: (ChannelId, Offset), asked: &[Asked]) -> Result<Vec<Option<Fate>>>;
        traces(channel: ChannelId, first: Offset, last: Offset) -> Result<Traces>;
        attempts(of: &AttemptsOf) -> Result<Vec<KeptAttempt>>;
        known(asked: &[(ReactorId, Identity)], most: usize) -> Result<Vec<Option<HostTime>>>;
        outbox_size(channel: ChannelId) -> Result<(u64, u64)>;
        dead_letters(filter: &DeadFilter) -> Result<Vec<StoredDead>>;
        request(request: Request) -> BoxFuture<'_, Result<()>>;
        host_time() -> Result<HostTime>;
        stats() -> Result<Stats>;
        rung() -> BoxFuture<'_, ()>;
        give_up() -> ();
    }
    keep! {
        read_log(channel: ChannelId, from: Offset, records: usize, bytes: usize) -> Result<Vec<LogRecord>>;
        spilled(reactor: ReactorId, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>>;
        due(reactor: ReactorId, after: (HostTime, DeliveryId), now: HostTime, limit: usize) -> Result<Vec<StoredDelivery>>;
        held(reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>>;
        dead_letter(id: u64) -> Result<Option<StoredDead>>;
        requests(after: u64) -> Result<Vec<(u64, Request)>>;
        foreign_changes() -> Result<u64>;
    }
}

impl StoreOwner for Slow {
    pass! {
        enter(batch: Batch) -> BoxFuture<'_, Result<Entered>>;
        mark(marks: &[Mark]) -> Result<()>;
        next_commit() -> Version;
        commit(commits: Arc<[Commit]>) -> BoxFuture<'_, Result<Vec<Committed>>>;
        recover(leased: &[ChannelId]) -> BoxFuture<'_, Result<Recovered>>;
        hold(deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;
        away(deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>>;
        next_due(reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>>;
        send(channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>>;
        sent(ids: Vec<u64>) -> BoxFuture<'_, Result<()>>;
        undeliverable(letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>>;
        maintain(upkeep: &Upkeep) -> Result<()>;
    }
    keep! {
        outbox(channel: ChannelId, after: u64, records: usize, bytes: usize) -> Result<Vec<OutboxRecord>>;
    }
    fn apart(self: Arc<Self>, work: Work) -> BoxFuture<'static, ()> {
        let work = tokio::task::spawn_blocking(move || work(&*self));
        Box::pin(async { drop(work.await) })
    }
    fill! {
        redrive(request: u64, dead: u64) -> BoxFuture<'_, Result<Option<StoredDelivery>>>;
        drop_dead(request: u64, dead: u64) -> BoxFuture<'_, Result<Option<(ReactorId, LaneKey)>>>;
    }
}
