//! The embedded store: `SQLite`, one writer thread, group commit.
//!
//! `schema.sql` describes the tables. One thread (`writer`) writes everything: it takes all queued operations as one
//! transaction and syncs once. A pool of read-only connections (`readers`) reads everything. Attempts that have begun
//! are recorded in a small file beside the database (`claims`), and other processes ring (`bell`) after they have
//! written.
//!
//! Damage is detected: database pages have checksums (`seal`, `vfs`), the frames of the log have `SQLite`'s (`frames`),
//! and a note says how much of the log must be there (`note`, `guard`).

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]
#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

mod assure;
mod attempts;
mod bell;
mod checkpoint;
mod checks;
mod claims;
mod client;
mod commit;
mod create;
mod dead;
mod deliveries;
mod enter;
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
mod owner;
mod patience;
mod queue;
mod readers;
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
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rusqlite::Connection;

pub use self::inspect::{Accepted, Damage, Report, accept_loss, verify};
pub use self::owner::Owner;

use self::bell::Bell;
pub use self::folder::make as make_directory;
use reactor_core::store::{Result, StoreError};

use self::identity::Files;
use self::names::Kind;
use self::queue::Queue;
use self::readers::Readers;
use self::writer::Terms;

/// How long a client waits for another process.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// An owner's concurrent attempts; see [`StoreOwner::mark`](reactor_core::store::StoreOwner::mark).
    pub slots: usize,
    /// Bytes kept free for ending the work in progress when the disk fills up.
    pub reserve: u64,
    /// Rows of a ledger segment.
    pub segment_rows: usize,
    /// Bytes of the database at which the disk counts as full, for tests.
    pub size_limit: Option<u64>,
    /// How long to wait for another process.
    pub patience: Duration,
    /// Wait without a limit instead.
    pub endless: bool,
    /// How the folder is synced; tests replace it.
    pub sync_folder: fn(&Path) -> std::io::Result<()>,
}

impl OpenOptions {
    /// An owner that runs up to `slots` attempts at once.
    pub fn owner(slots: usize) -> Self {
        Self {
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
        Self { slots: 0, endless: false, ..Self::owner(0) }
    }
}

/// A store in its own directory; any number of processes may have it open, one of them as its [`Owner`].
///
/// Dropping it waits until all requested writes are done.
#[derive(Debug)]
pub struct SqliteStore<R = Client> {
    // Dropped in this order: the last connection to close moves the log into the database file, which read-only
    // connections cannot do.
    readers: Readers,
    changes: Mutex<Connection>,
    bell: Arc<Bell>,
    queue: Queue,
    /// The identity of the files; `None` for a store opened only to look at it.
    files: Option<Arc<Files>>,
    /// Why the store cannot go on.
    broken: Arc<OnceLock<StoreError>>,
    // Dropped last, with the owner's lock, when no more writes are possible.
    role: R,
}

/// A store that runs reactors; see [`SqliteStore::own`].
pub type SqliteOwner = SqliteStore<Owner>;

/// What only a client has: no extra data.
#[derive(Debug)]
pub struct Client(());

impl<R> SqliteStore<R> {
    /// Checks that the store can continue and is still the one that was opened. A failure ends the store.
    fn is_still_there(&self) -> Result<()> {
        if let Some(error) = self.broken.get() {
            return Err(error.clone());
        }
        let Some(files) = &self.files else { return Ok(()) };
        let found = files.look_inside();
        // If it is set already, the first failure is the one to report.
        found.inspect_err(|error| drop(self.broken.set(error.clone())))
    }

    fn name(&self, kind: Kind, name: &str) -> Result<u32> {
        if let Some(id) = self.readers.read(|conn| kind.find(conn, name))? {
            return Ok(id);
        }
        let name = name.to_owned();
        self.queue.wait(Terms::DURABLE, move |group| kind.find_or_make(group, &name))
    }
}
