//! Opening a store: access, validity, and the threads that serve it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use rusqlite::{Connection, ErrorCode};

use reactor_core::store::{Result, StoreError};

use super::assure::Assurance;
use super::bell::Bell;
use super::claims::Claims;
use super::fault::Sql;
use super::folder::{self, DATABASE};
use super::group::{Live, meta, set_meta};
use super::identity::Files;
use super::lock::{OwnerLock, Turn};
use super::note::Note;
use super::patience::Patience;
use super::queue::Queue;
use super::readers::{self, How, Readers};
use super::room::{self, Reserve};
use super::writer::{Shortening, Writer};
use super::{Client, OpenOptions, Owner, SqliteStore, checkpoint, create, guard, look};

impl SqliteStore {
    /// Opens the store of a directory as a client; creates it if there is none.
    ///
    /// # Errors
    /// The store cannot be created or opened, or is not safe to use.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self> {
        folder::make(dir)?;
        folder::survey(dir)?;
        open(dir, options, false).map(|(store, _)| store)
    }

    /// Opens the store of a directory only to look at it: creates nothing, and changes nothing except to add checksums
    /// that another program left out. It works in a read-only folder and on a full disk.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: there is none.
    pub fn look(dir: &Path) -> Result<Self> {
        let (file, how) = look::at(dir)?;
        let changes = readers::open(&file, &how).map_err(|e| e.at(&file))?;
        Ok(Self {
            queue: Queue::closed(how.patience.clone()),
            readers: Readers::new(&file, how, Arc::default()),
            files: None,
            broken: Arc::default(),
            changes: Mutex::new(changes),
            bell: Arc::new(Bell::new(dir, false)),
            role: Client(()),
        })
    }
}

impl SqliteStore<Owner> {
    /// Opens the store of a directory to run reactors; creates it if there is none. A store has one owner at a time.
    ///
    /// # Errors
    /// The store cannot be created or opened, or is not safe to use. [`StoreError::Full`]: no room even without the
    /// reserve.
    pub fn own(dir: &Path, options: &OpenOptions) -> Result<Self> {
        match Self::own_once(dir, options) {
            // The reserve is for this, too.
            Err(StoreError::Full) if room::give_up(dir) => Self::own_once(dir, options),
            opened => opened,
        }
    }

    fn own_once(dir: &Path, options: &OpenOptions) -> Result<Self> {
        folder::make(dir)?;
        folder::survey(dir)?;
        let lock = OwnerLock::take(dir)?;
        let (store, epoch) = open(dir, options, true)?;
        let claims = Claims::open(dir, options.slots, epoch)?;
        let last = store.readers.read(|conn| meta(conn, "commit"))?;
        let role = Owner { claims, next_commit: AtomicU64::new(last.saturating_add(1)), _lock: lock };
        let SqliteStore { readers, changes, bell, queue, files, broken, role: Client(()) } = store;
        Ok(Self { readers, changes, bell, queue, files, broken, role })
    }
}

/// Opens a store and starts the threads that serve it. Returns the fencing token of an owner, which must hold the lock;
/// 0 for a client.
fn open(dir: &Path, options: &OpenOptions, owner: bool) -> Result<(SqliteStore, u64)> {
    let file = dir.join(DATABASE);
    let patience = Patience::new(&file, options.endless, options.patience);
    let turn = Turn::open(dir, owner, patience.clone())?;
    create::database(&file, &turn, options.reserve)?;
    let mut conn = guard::open(dir, &file, &turn, owner, &patience)?;
    let note = Arc::new(Note::open(dir, None).map_err(|e| guard::broken(dir, &e))?);

    let mut live = Live::default();
    live.ledger.segment_rows = options.segment_rows;
    let reserve = enter(dir, options, owner, &conn, &mut live).map_err(|e| e.at(&file))?;
    let epoch = live.epoch.unwrap_or_default();
    let files = Arc::new(Files::of(dir, owner)?);
    let how = How { patience: patience.clone(), still: false };
    let changes = readers::open(&file, &how).map_err(|e| e.at(&file))?;
    let frames = count_frames(&mut conn).map_err(|e| e.at(&file))?;

    let broken = Arc::new(OnceLock::new());
    let mut threads = Vec::new();
    let mut wake = None;
    if owner {
        let conn = create::connect(&file, &patience).map_err(|e| e.at(&file))?;
        let (sender, woken) = mpsc::sync_channel(1);
        let (file, broken, files) = (file.clone(), broken.clone(), Arc::clone(&files));
        let note = Arc::clone(&note);
        let serve = move || checkpoint::serve(&conn, &woken, (&file, &files), &broken, &note);
        threads.push(spawn("store-checkpoint", serve)?);
        wake = Some(sender);
    }
    let readers = Readers::new(&file, how, Arc::clone(&broken));
    let bell = Arc::new(Bell::new(dir, owner));
    let writer = Writer {
        conn,
        live,
        file,
        turn,
        reserve,
        bell: Arc::clone(&bell),
        frames,
        wake: wake.clone(),
        broken: Arc::clone(&broken),
        files: Arc::clone(&files),
        patience: patience.clone(),
        full_sync: true,
        stopped: None,
        shortening: Shortening::default(),
        assurance: Assurance::new(dir, note, options.sync_folder),
    };
    let (sender, queue) = mpsc::channel();
    threads.push(spawn("store-writer", move || writer.run(&queue))?);
    let queue = Queue::new(sender, wake, threads, patience);
    let (files, changes) = (Some(files), Mutex::new(changes));
    Ok((SqliteStore { readers, changes, bell, queue, files, broken, role: Client(()) }, epoch))
}

/// Becomes the owner if requested, and checks how much room there is.
fn enter(dir: &Path, options: &OpenOptions, owner: bool, conn: &Connection, live: &mut Live) -> Sql<Reserve> {
    if !owner {
        return Ok(Reserve::of_client(dir, options.reserve, options.size_limit, conn));
    }
    let reserve = Reserve::of_owner(dir, options.reserve, options.size_limit, conn);
    live.epoch = Some(take_over(conn, reserve.is_used())?);
    live.reload(conn)?;
    Ok(reserve)
}

/// Counts the frames of the log after each commit, and limits the file's size after a time of unusual length.
fn count_frames(conn: &mut Connection) -> Sql<Arc<AtomicU32>> {
    conn.pragma_update(None, "journal_size_limit", checkpoint::USUAL)?;
    let frames = Arc::new(AtomicU32::new(0));
    let counter = frames.clone();
    conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
        counter.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(frames)
}

/// Makes every earlier owner's transactions fail from here on.
fn take_over(conn: &Connection, refusing: bool) -> Sql<u64> {
    // An owner waits without a limit; SQLite gives up in between.
    while let Err(error) = conn.execute_batch("BEGIN IMMEDIATE") {
        if error.sqlite_error_code() != Some(ErrorCode::FileLockingProtocolFailed) {
            return Err(error.into());
        }
    }
    let epoch = meta(conn, "epoch")? + 1;
    set_meta(conn, "epoch", epoch)?;
    room::set_refusing(conn, refusing)?;
    conn.execute_batch("COMMIT")?;
    Ok(epoch)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|e| StoreError::Other(format!("cannot start the thread {name} ({e})")))
}
