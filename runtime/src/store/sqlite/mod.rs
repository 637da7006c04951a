//! The embedded store: `SQLite`, one writer thread, group commit.
//!
//! `schema.sql` describes the tables. Everything is written by one thread (`writer`), which takes what is queued as
//! one transaction and syncs once. Everything is read through a pool of read-only connections (`readers`). Attempts
//! that have begun stand in a small file beside the database (`claims`), and other processes ring (`bell`) when they have
//! written something.
//!
//! Damage is found: pages of the database have checksums (`seal`, `vfs`), the frames of the log have `SQLite`'s (`frames`), and
//! a note says how much of the log must be there (`note`, `guard`).

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

mod admit;
mod assure;
mod attempts;
mod bell;
mod checkpoint;
mod checks;
mod claims;
mod commit;
mod create;
mod dead;
mod deliveries;
mod fates;
mod fault;
mod folder;
mod frames;
mod group;
mod guard;
mod holder;
mod identity;
mod index;
mod inspect;
mod ledger;
mod lock;
mod log;
mod look;
mod names;
mod note;
mod open;
mod outbox;
mod patience;
mod queue;
mod readers;
mod receive;
mod room;
mod rows;
mod seal;
mod statements;
mod stats;
mod traces;
mod upkeep;
mod vfs;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, params};

pub use self::inspect::{Accepted, Damage, Report, accept_loss, verify};

use self::bell::Bell;
use self::claims::Claims;
use self::fault::Fault;
pub use self::folder::make as make_directory;
use self::identity::Files;
use self::names::Kind;
use self::queue::Queue;
use self::readers::Readers;
use self::writer::Terms;
use super::{
    Admission, Admitted, Asked, AttemptsOf, Blocked, Commit, Committed, DeadFilter, DeadLetter, Entered, Fate,
    Incoming, KeptAttempt, LogRecord, Mark, OutboxRecord, Reception, Recovered, Request, Result, Stats, Store,
    StoreError, StoredDead, StoredDelivery, Traces, Upkeep,
};
use crate::event::{ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, ReactorId, Version};

/// How long a client waits for another process.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Run reactors: at most one owner at a time. Without it, only publishing, requests and reading are possible.
    pub owner: bool,
    /// Attempts at once; see [`Store::mark`].
    pub slots: usize,
    /// Bytes kept free for the endings of what is under way when the disk fills up.
    pub reserve: u64,
    /// Rows of a ledger segment.
    pub segment_rows: usize,
    /// Bytes of the database at which the disk counts as full, for tests.
    pub size_limit: Option<u64>,
    /// How long another process is waited for.
    pub patience: Duration,
    /// Wait for as long as it takes instead.
    pub endless: bool,
    /// How the folder is synced; another way is for tests.
    pub sync_folder: fn(&Path) -> std::io::Result<()>,
}

impl OpenOptions {
    /// An owner that runs up to `slots` attempts at once.
    pub fn owner(slots: usize) -> Self {
        Self {
            owner: true,
            slots,
            reserve: 8 << 20,
            segment_rows: 65_536,
            size_limit: None,
            patience: PATIENCE,
            endless: true,
            sync_folder: folder::sync,
        }
    }

    /// A client.
    pub fn client() -> Self {
        Self { owner: false, slots: 0, endless: false, ..Self::owner(0) }
    }
}

/// A store in a directory of its own; any number of processes may have it open, one of them as its owner.
///
/// Methods that are not `async` may block for the time of a transaction; dropping the store waits until what was
/// asked of it is written.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped in this order: the checkpointer ends when nobody can wake it, and the connection that is closed last
    // moves the log into the database file, which those that only read cannot.
    checkpoint: Option<std::sync::mpsc::SyncSender<()>>,
    readers: Readers,
    changes: Mutex<Connection>,
    bell: Arc<Bell>,
    queue: Queue,
    claims: Option<Claims>,
    /// Which files these are; not asked of what is only looked at.
    files: Option<Arc<Files>>,
    /// Why the store cannot go on.
    broken: Arc<OnceLock<StoreError>>,
    next_commit: AtomicU64,
    // Released last, when nothing can be written any more.
    _lock: Option<lock::OwnerLock>,
}

impl SqliteStore {
    fn owned(&self) -> Result<&Claims> {
        self.claims.as_ref().ok_or_else(|| StoreError::Other("only the store's owner can do this".into()))
    }

    /// That the store can go on, and is what it was when it was opened. What is found ends it.
    fn is_still_there(&self) -> Result<()> {
        if let Some(error) = self.broken.get() {
            return Err(error.clone());
        }
        let Some(files) = &self.files else { return Ok(()) };
        let found = files.look_inside();
        // Set already: the first failure is the one to tell.
        found.inspect_err(|error| drop(self.broken.set(error.clone())))
    }

    fn name(&self, kind: Kind, name: &str) -> Result<u32> {
        if let Some(id) = self.readers.read(|conn| kind.find(conn, name))? {
            return Ok(id);
        }
        let name = name.to_owned();
        self.queue.wait(Terms { durable: true, ..Terms::default() }, move |group| kind.find_or_make(group, &name))
    }
}

const DURABLE: Terms = Terms { durable: true, intake: false, rings: false, bytes: 256, commits: Vec::new() };
const SOON: Terms = Terms { durable: false, intake: false, rings: false, bytes: 256, commits: Vec::new() };

impl Store for SqliteStore {
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
        let terms = Terms { intake: true, rings: true, bytes, ..DURABLE };
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

    fn admit(&self, admission: Admission) -> BoxFuture<'_, Result<Vec<Admitted>>> {
        if let Err(error) = self.owned() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let dead: usize = admission.dead.iter().map(|letter| letter.message.size() + 512).sum();
        let bytes = admission.deliveries.len() * 256 + dead;
        let terms = Terms { intake: true, bytes, ..SOON };
        self.queue.ask(terms, move |group| admit::apply(group, &admission))
    }

    fn receive(&self, reception: Reception) -> BoxFuture<'_, Result<Entered>> {
        if let Err(error) = self.owned() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let weight = |incoming: &Incoming| incoming.message.size() + incoming.deliveries.len() * 256 + 256;
        let bytes = reception.messages.iter().map(weight).sum();
        let durable = reception.messages.iter().any(|one| !one.dead.is_empty() || one.unrouted > 0);
        let terms = Terms { durable, intake: true, bytes, ..SOON };
        self.queue.ask(terms, move |group| receive::apply(group, &reception))
    }

    fn mark(&self, marks: &[Mark]) -> Result<()> {
        self.owned()?.mark(marks)
    }

    fn state(&self, reactor: ReactorId, key: &str) -> Result<Option<(Bytes, Version)>> {
        self.readers.read(|conn| {
            let mut select = conn.prepare_cached("SELECT value, version FROM state WHERE reactor = ?1 AND key = ?2")?;
            let row =
                select.query_row(params![reactor.0, key], |row| Ok((row.get::<_, Vec<u8>>(0)?, rows::num(row, 1)?)));
            Ok(row.optional()?.map(|(value, version)| (value.into(), Version(version))))
        })
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        if let Err(error) = self.owned() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let numbers: Vec<Version> = commits.iter().map(|commit| commit.number).collect();
        if let Some(highest) = numbers.iter().max() {
            self.next_commit.fetch_max(highest.0.saturating_add(1), Ordering::Relaxed);
        }
        let bytes = commits.iter().map(Commit::weight).sum();
        let terms = Terms { bytes, commits: numbers, ..DURABLE };
        self.queue.ask(terms, move |group| commits.iter().map(|commit| commit::apply(group, commit)).collect())
    }

    fn next_commit(&self) -> Result<u64> {
        Ok(self.next_commit.load(Ordering::Relaxed))
    }

    fn recover(&self, leased: &[ChannelId]) -> Result<Recovered> {
        let claims = self.owned()?;
        let (left, leased) = (claims.left(), leased.to_vec());
        let recovered = self.queue.wait(DURABLE, move |group| deliveries::recover(group, &left, &leased))?;
        claims.clear()?;
        Ok(recovered)
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

    fn next_due(&self, reactor: ReactorId, after: (HostTime, DeliveryId)) -> Result<Option<HostTime>> {
        self.readers.read(|conn| deliveries::next_due(conn, reactor, after))
    }

    fn held(&self, reactor: ReactorId, lane: LaneKey, after: DeliveryId, limit: usize) -> Result<Vec<StoredDelivery>> {
        self.readers.read(|conn| deliveries::held(conn, reactor, lane, after, limit))
    }

    fn hold(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        if let Err(error) = self.owned() {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.queue.ask(SOON, move |group| deliveries::hold(group, &deliveries))
    }

    fn away(&self, deliveries: Vec<DeliveryId>) -> BoxFuture<'_, Result<()>> {
        if let Err(error) = self.owned() {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.queue.ask(SOON, move |group| deliveries::away(group, &deliveries))
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

    fn outbox_size(&self, channel: ChannelId) -> Result<(u64, u64)> {
        self.readers.read(|conn| outbox::size(conn, channel))
    }

    fn send(&self, channel: ChannelId, messages: Vec<Message>) -> BoxFuture<'_, Result<()>> {
        let bytes = messages.iter().map(|message| message.size() + 64).sum();
        let terms = Terms { intake: true, bytes, ..DURABLE };
        self.queue.ask(terms, move |group| messages.iter().try_for_each(|m| outbox::add(group, channel, m)))
    }

    fn sent(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(SOON, move |group| outbox::remove(group, &ids))
    }

    fn undeliverable(&self, letters: Vec<(u64, DeadLetter)>) -> BoxFuture<'_, Result<()>> {
        self.queue.ask(DURABLE, move |group| outbox::bury(group, &letters))
    }

    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<StoredDead>> {
        self.readers.read(|conn| dead::list(conn, filter))
    }

    fn dead_letter(&self, id: u64) -> Result<Option<StoredDead>> {
        self.readers.read(|conn| dead::get(conn, id))
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

    fn blocked(&self) -> Result<Vec<(ReactorId, Blocked)>> {
        self.readers.read(stats::blocked)
    }

    fn request(&self, request: Request) -> Result<()> {
        self.queue.wait(Terms { rings: true, ..DURABLE }, move |group| dead::request(group, &request))
    }

    fn requests(&self, after: u64) -> Result<Vec<(u64, Request)>> {
        self.readers.read(|conn| dead::requests(conn, after))
    }

    fn redrive(&self, request: u64, dead: u64) -> Result<Option<StoredDelivery>> {
        self.owned()?;
        self.queue.wait(DURABLE, move |group| dead::redrive(group, request, dead))
    }

    fn drop_dead(&self, request: u64, dead: u64) -> Result<Option<(ReactorId, LaneKey)>> {
        self.owned()?;
        self.queue.wait(DURABLE, move |group| dead::drop_dead(group, request, dead))
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

    fn host_time(&self) -> Result<HostTime> {
        self.readers.read(|conn| group::meta(conn, "host")).map(HostTime)
    }

    fn maintain(&self, upkeep: &Upkeep) -> Result<()> {
        self.owned()?;
        upkeep::run(&self.queue, upkeep)?;
        if let Some(wake) = &self.checkpoint {
            // A full channel means that it is awake already.
            let _ = wake.try_send(());
        }
        Ok(())
    }

    fn give_up(&self) {
        self.queue.give_up();
    }

    fn stats(&self) -> Result<Stats> {
        self.readers.read(stats::read)
    }
}
