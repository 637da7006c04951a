//! The embedded store: `SQLite`, one writer thread, group commit.
//!
//! `schema.sql` describes the tables. Everything is written by one thread (`writer`), which takes what is queued as
//! one transaction and syncs once. Everything is read through a pool of read-only connections (`readers`). Attempts
//! that have begun stand in a small file beside the database (`claims`), and other processes ring (`bell`) when they have
//! written something.
//!
//! Damage is found: pages of the database have checksums (`seal`, `vfs`), the frames of the log have `SQLite`'s (`frames`), and
//! a note says how much of the log must be there (`note`, `guard`).

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
mod disk;
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
    /// Attempts of an owner at once; see [`StoreOwner::mark`](reactor_core::store::StoreOwner::mark).
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

/// A store in a directory of its own; any number of processes may have it open, one of them as its [`Owner`].
///
/// Dropping it waits until what was asked of it is written.
#[derive(Debug)]
pub struct SqliteStore<R = Client> {
    // Dropped in this order: the connection that is closed last moves the log into the database file, which those that
    // only read cannot.
    readers: Readers,
    changes: Mutex<Connection>,
    bell: Arc<Bell>,
    queue: Queue,
    /// Which files these are; not asked of what is only looked at.
    files: Option<Arc<Files>>,
    /// Why the store cannot go on.
    broken: Arc<OnceLock<StoreError>>,
    // Dropped last, with the owner's lock, when nothing can be written any more.
    role: R,
}

/// A store that runs reactors; see [`SqliteStore::own`].
pub type SqliteOwner = SqliteStore<Owner>;

/// What only a client has: nothing.
#[derive(Debug)]
pub struct Client(());

impl<R> SqliteStore<R> {
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
        self.queue.wait(Terms::DURABLE, move |group| kind.find_or_make(group, &name))
    }
}
