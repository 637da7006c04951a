//! How long a connection waits for another process, and what it logs meanwhile.
//!
//! A host waits without a limit, since a back-up or an open `sqlite3` is no reason to stop; it logs which process keeps
//! it waiting. A command gives up after its limit, with nothing written. Both stop at once when the host gives up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::fault::Sql;
use super::holder;

/// How long a wait lasts before it is logged, and how often it is logged again.
const WORD: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(30);

/// When a store's waits end.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    limit: Duration,
    /// Whether to ignore the limit until the store is closed.
    endless: bool,
    database: PathBuf,
    end: Arc<AtomicU8>,
}

/// Waits as configured when it was opened.
const OPEN: u8 = 0;
/// No wait exceeds the limit.
const CLOSING: u8 = 1;
/// No more waits.
const OVER: u8 = 2;

impl Patience {
    /// The same with at most this limit.
    pub(super) fn at_most(&self, limit: Duration) -> Self {
        Self { limit: self.limit.min(limit), ..self.clone() }
    }

    /// The patience of a store opened with these options.
    pub(super) fn new(database: &Path, endless: bool, limit: Duration) -> Self {
        Self { limit, endless, database: database.to_owned(), end: Arc::new(AtomicU8::new(OPEN)) }
    }

    /// From now on, no wait exceeds the limit.
    pub(super) fn close(&self) {
        self.end.fetch_max(CLOSING, Ordering::Relaxed);
    }

    /// From now on, no operation waits.
    pub(super) fn give_up(&self) {
        self.end.fetch_max(OVER, Ordering::Relaxed);
    }

    /// Whether a wait that timed out should begin again.
    pub(super) fn is_endless(&self) -> bool {
        self.endless && self.end.load(Ordering::Relaxed) == OPEN
    }

    fn lasts(&self, waited: Duration) -> bool {
        match self.end.load(Ordering::Relaxed) {
            OVER => false,
            OPEN if self.endless => true,
            _ => waited < self.limit,
        }
    }

    /// Makes a connection wait like this: with short random sleeps, so that two processes that write continuously both
    /// get their turn.
    pub(super) fn set(&self, conn: &mut Connection) -> Sql<()> {
        let this = self.clone();
        let (mut since, mut told) = (Instant::now(), None);
        conn.busy_handler(Some(move |tries| {
            if tries == 0 {
                (since, told) = (Instant::now(), None);
            }
            std::thread::sleep(Duration::from_micros(400 + u64::from(rand::random::<u16>() % 512)));
            let waited = since.elapsed();
            if waited >= told.map_or(WORD, |at: Duration| at + AGAIN) {
                told = Some(waited);
                let (who, store) = (holder::name(&holder::of_database(&this.database)), this.database.display());
                tracing::warn!(%store, "{who} keeps the store busy; waiting for it for {:.0?} now", waited);
            }
            this.lasts(waited)
        }))?;
        Ok(())
    }

    /// Waits until `take` gets a lock on a file; false if the limit passes first.
    pub(super) fn wait_for(
        &self,
        lock: &Path,
        mut take: impl FnMut() -> std::io::Result<bool>,
    ) -> std::io::Result<bool> {
        let (since, mut told) = (Instant::now(), false);
        loop {
            if take()? {
                return Ok(true);
            }
            let waited = since.elapsed();
            if waited >= self.limit || self.end.load(Ordering::Relaxed) == OVER {
                return Ok(false);
            }
            if waited >= WORD && !told {
                told = true;
                let (who, lock) = (holder::name(&holder::of_lock(lock)), lock.display());
                tracing::warn!(%lock, "{who} holds a lock of the store; waiting for it");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
