//! The writer thread: writes queued operations as one transaction, syncs at most once, and answers them all.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::Connection;

use reactor_core::event::Version;
use reactor_core::store::{Result, StoreError};

use super::assure::Assurance;
use super::bell::Bell;
use super::fault::{Fault, Sql};
use super::group::{Group, Live};
use super::identity::Files;
use super::lock::{Turn, is_owned};
use super::patience::Patience;
use super::room::{self, Reserve};
use super::{checkpoint, create, holder};

/// Maximum operations in a group.
const GROUP_OPS: usize = 512;
/// Bytes after which a group is closed.
const GROUP_BYTES: usize = 8 << 20;

/// What an operation requires of its group.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// Answer only after an fsync.
    pub(super) durable: bool,
    /// Brings in new work: rejected while only the reserve is left.
    pub(super) intake: bool,
    /// The owner has to be notified.
    pub(super) rings: bool,
    /// Approximate bytes it will write.
    pub(super) bytes: usize,
    /// Commits it carries.
    pub(super) commits: Vec<Version>,
}

impl Terms {
    /// A small write that answers after an fsync.
    pub(super) const DURABLE: Self =
        Self { durable: true, intake: false, rings: false, bytes: 256, commits: Vec::new() };
    /// A small write that is answered as soon as it is applied.
    pub(super) const SOON: Self = Self { durable: false, intake: false, rings: false, bytes: 256, commits: Vec::new() };
}

/// Something to write. Applied again from the start if another operation of its group failed and was removed.
pub(super) trait Operation: Send {
    /// Its requirements.
    fn terms(&self) -> &Terms;
    /// Writes it and keeps the answer.
    fn apply(&mut self, group: &mut Group<'_>) -> Sql<()>;
    /// Sends the answer, or the error instead.
    fn answer(self: Box<Self>, error: Option<StoreError>);
}

/// An operation made of a closure and a reply channel.
pub(super) struct Task<T, F, R> {
    /// Its requirements.
    pub(super) terms: Terms,
    /// Writes it.
    pub(super) run: F,
    /// What `run` answered.
    pub(super) value: Option<T>,
    /// Where the answer goes.
    pub(super) reply: R,
}

impl<T, F, R> Operation for Task<T, F, R>
where
    T: Send,
    F: FnMut(&mut Group<'_>) -> Sql<T> + Send,
    R: FnOnce(Result<T>) + Send,
{
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn apply(&mut self, group: &mut Group<'_>) -> Sql<()> {
        self.value = Some((self.run)(group)?);
        Ok(())
    }

    fn answer(self: Box<Self>, error: Option<StoreError>) {
        let this = *self;
        let broken = || StoreError::Broken { detail: "the writer lost an answer".into() };
        (this.reply)(match error {
            Some(error) => Err(error),
            None => this.value.ok_or_else(broken),
        });
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) live: Live,
    pub(super) file: PathBuf,
    pub(super) turn: Turn,
    pub(super) reserve: Reserve,
    pub(super) bell: Arc<Bell>,
    /// Frames in the write-ahead log after the last commit.
    pub(super) frames: Arc<AtomicU32>,
    /// Wakes the checkpointer.
    pub(super) wake: Option<SyncSender<()>>,
    /// The error that stopped the checkpointer.
    pub(super) broken: Arc<std::sync::OnceLock<StoreError>>,
    /// Whether the connection syncs at each commit.
    pub(super) full_sync: bool,
    /// The identity of the files.
    pub(super) files: Arc<Files>,
    /// How long to wait for other processes.
    pub(super) patience: Patience,
    /// Once set, ends everything.
    pub(super) stopped: Option<StoreError>,
    /// Progress in shortening a long log.
    pub(super) shortening: Shortening,
    /// The steps between the sync and the answers.
    pub(super) assurance: Assurance,
}

/// Log lengths, in frames.
#[derive(Debug, Default)]
pub(super) struct Shortening {
    /// At the last wake-up of the checkpointer.
    woken: u32,
    /// At the last attempt to shorten the log here.
    tried: u32,
    /// Whether the long log has been reported.
    told: bool,
}

type Queue = Vec<Box<dyn Operation>>;

/// Why a group was not written.
struct Failure {
    error: StoreError,
    /// The operation that failed, if there was one.
    culprit: Option<usize>,
}

impl Writer {
    /// Works until the last sender is dropped.
    pub(super) fn run(mut self, queue: &Receiver<Box<dyn Operation>>) {
        while let Ok(first) = queue.recv() {
            let mut bytes = first.terms().bytes;
            let mut group = vec![first];
            while group.len() < GROUP_OPS && bytes < GROUP_BYTES {
                let Ok(next) = queue.try_recv() else { break };
                bytes += next.terms().bytes;
                group.push(next);
            }
            self.write(group);
            if std::mem::take(&mut self.live.restore_reserve) {
                self.look_for_room();
            }
            self.shorten_log();
        }
        if let Some(error) = &self.stopped {
            // Damaged or replaced files stay as they are, even when the checkpointer's connection closes.
            let _ = self.broken.set(error.clone());
            let _ = create::keep_log(&self.conn, true);
        }
    }

    fn write(&mut self, mut group: Queue) {
        while !group.is_empty() {
            if let Some(error) = self.stopped.clone().or_else(|| self.broken.get().cloned()) {
                self.stopped = Some(error.clone());
                return self.refuse(group, &error);
            }
            if self.reserve.is_used() {
                let (intake, rest): (Queue, Queue) = group.into_iter().partition(|op| op.terms().intake);
                self.refuse(intake, &StoreError::Full);
                group = rest;
                if group.is_empty() {
                    return;
                }
            }
            match self.attempt(&mut group) {
                Ok(()) => {
                    if group.iter().any(|op| op.terms().durable)
                        && let Err(error) = self.assurance.give(&self.conn, self.live.group, &self.frames)
                    {
                        self.stop(&error);
                        return self.refuse(group, &error);
                    }
                    if group.iter().any(|op| op.terms().rings) {
                        self.bell.ring();
                    }
                    return group.into_iter().for_each(|op| op.answer(None));
                }
                Err(failure) => group = self.fail(group, failure),
            }
        }
    }

    /// Rolls back, answers the operations that cannot succeed, and returns the others for another attempt.
    fn fail(&mut self, mut group: Queue, failure: Failure) -> Queue {
        let Failure { error, culprit } = failure;
        if let Err(undo) = self.undo() {
            self.stopped = Some(undo.clone());
            self.refuse(group, &undo);
            return Vec::new();
        }
        match (&error, culprit) {
            (StoreError::Other(_), Some(index)) => {
                let op = group.remove(index);
                self.refuse(vec![op], &error);
                return group;
            }
            (StoreError::Full, _) if self.reserve.can_be_released() => {
                tracing::warn!(store = %self.file.display(), "the disk is full; refusing new events until there is room");
                if let Err(fault) = self.give_up_reserve() {
                    let error = fault.at(&self.file);
                    tracing::warn!(store = %self.file.display(), %error, "other processes cannot be told yet that the disk is full");
                }
                return group;
            }
            (StoreError::Full, None) if self.live.epoch.is_none() && self.live.refusing => {
                if self.find_room() {
                    return group;
                }
                let (intake, rest): (Queue, Queue) = group.into_iter().partition(|op| op.terms().intake);
                self.refuse(intake, &error);
                return rest;
            }
            // An owner waits without a limit.
            (StoreError::Busy { .. }, _) if self.patience.is_endless() => return group,
            (
                StoreError::Broken { .. } | StoreError::Fenced | StoreError::Gone { .. } | StoreError::Damaged { .. },
                _,
            ) => self.stop(&error),
            _ => {}
        }
        self.refuse(group, &error);
        Vec::new()
    }

    fn stop(&mut self, error: &StoreError) {
        tracing::error!(store = %self.file.display(), %error, "the store has failed and stops");
        self.stopped = Some(error.clone());
    }

    fn refuse(&mut self, group: Queue, error: &StoreError) {
        for op in group {
            for number in &op.terms().commits {
                self.live.rejected.refused(*number);
            }
            op.answer(Some(error.clone()));
        }
    }

    fn undo(&mut self) -> Result<()> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK").map_err(|e| Fault::from(e).at(&self.file))?;
        }
        self.live.reload(&self.conn).map_err(|e| e.at(&self.file))
    }

    /// Gives the reserve to the endings; no other process can take it, since the write lock is held.
    fn give_up_reserve(&mut self) -> Sql<()> {
        let result = self.conn.execute_batch("BEGIN IMMEDIATE");
        self.reserve.release(&self.conn);
        result?;
        self.set_refusing(true)
    }

    /// Takes the reserve again if there is room, and accepts new events again.
    fn look_for_room(&mut self) {
        let had_room = !self.reserve.is_used();
        let has_room = self.reserve.restore(&self.conn);
        if has_room && !had_room {
            tracing::info!(store = %self.file.display(), "there is room on the disk again; accepting new events");
        }
        let told = (|| {
            if room::is_refusing(&self.conn)? == has_room {
                self.conn.execute_batch("BEGIN IMMEDIATE")?;
                self.set_refusing(!has_room)?;
            }
            Ok::<_, Fault>(())
        })();
        if let Err(error) = told {
            let error = error.at(&self.file);
            tracing::warn!(store = %self.file.display(), %error, "cannot record whether there is room on the disk");
        }
    }

    /// Ends the open transaction.
    fn set_refusing(&self, refusing: bool) -> Sql<()> {
        let set = room::set_refusing(&self.conn, refusing);
        let done = set.and_then(|()| Ok(self.conn.execute_batch("COMMIT")?));
        if done.is_err() && !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        done
    }

    /// A client that finds the disk full looks for room itself if there is no owner to do it.
    fn find_room(&mut self) -> bool {
        let dir = self.file.parent().unwrap_or(&self.file);
        !is_owned(dir) && self.reserve.restore(&self.conn) && {
            let open = self.conn.execute_batch("BEGIN IMMEDIATE").map_err(Fault::from);
            open.and_then(|()| self.set_refusing(false)).is_ok()
        }
    }

    fn attempt(&mut self, ops: &mut Queue) -> std::result::Result<(), Failure> {
        let alone = |culprit| move |fault: Fault| (fault, culprit);
        let durable = ops.iter().any(|op| op.terms().durable);
        let intake = ops.iter().any(|op| op.terms().intake);
        let written = (|| {
            self.set_sync(durable).map_err(alone(None))?;
            self.turn.give_way();
            if self.live.epoch.is_none() {
                self.files.look().map_err(Fault::from).map_err(alone(None))?;
            }
            let mut group = Group::begin(&self.conn, &mut self.live).map_err(alone(None))?;
            if group.live.refusing && intake {
                return Err((StoreError::Full.into(), None));
            }
            for (index, op) in ops.iter_mut().enumerate() {
                op.apply(&mut group).map_err(alone(Some(index)))?;
            }
            group.commit().map_err(alone(None))?;
            // A write to files that are no longer the store does not count.
            self.files.look().map_err(Fault::from).map_err(alone(None))
        })();
        self.turn.done();
        written.map_err(|(fault, culprit)| Failure { error: fault.at(&self.file), culprit })
    }

    /// In WAL mode, FULL syncs the log at each commit and NORMAL does not.
    fn set_sync(&mut self, full: bool) -> Sql<()> {
        if self.full_sync != full {
            self.conn.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
            self.full_sync = full;
        }
        Ok(())
    }

    /// Checkpoints are the checkpointer's work; the writer helps only when it cannot keep up, so that the log can start
    /// over. Neither waits for readers: while a reader keeps its snapshot, the log grows.
    fn shorten_log(&mut self) {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < self.shortening.woken.max(self.shortening.tried) {
            if self.shortening.told {
                tracing::info!(store = %self.file.display(), "the write-ahead log has been reset");
            }
            self.shortening = Shortening::default();
        }
        if frames >= checkpoint::START.max(self.shortening.woken + checkpoint::AGAIN)
            && let Some(wake) = &self.wake
        {
            self.shortening.woken = frames;
            // A full channel means that it is already awake.
            let _ = wake.try_send(());
        }
        if frames < checkpoint::HELP.max(self.shortening.tried + checkpoint::START) || self.stopped.is_some() {
            return;
        }
        self.shortening.tried = frames;
        // A client leaves this to the owner, if there is one.
        if self.wake.is_none() && is_owned(self.file.parent().unwrap_or(&self.file)) {
            return;
        }
        if let Err(error) = checkpoint::run(&self.conn, &self.file, &self.files)
            && checkpoint::is_fatal(&error, &self.file)
        {
            self.stopped = Some(error);
        }
        if frames >= checkpoint::LONG && !self.shortening.told {
            self.shortening.told = true;
            let (who, mib) = (holder::name(&holder::of_snapshots(&self.file)), u64::from(frames) / 256);
            let why = "which prevents a reset; it grows until that process has finished";
            tracing::warn!(store = %self.file.display(), "the write-ahead log has {mib} MiB: {who} is reading an old state, {why}");
        }
    }
}
