//! Opening a store: who may, whether it is one, and the threads that serve it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use rusqlite::Connection;

use super::assure::Assurance;
use super::bell::Bell;
use super::claims::Claims;
use super::fault::Sql;
use super::group::{Live, meta, set_meta};
use super::lock::{OwnerLock, Turn};
use super::note::Note;
use super::queue::Queue;
use super::readers::{self, Readers};
use super::reserve::Reserve;
use super::writer::{Shortening, Writer};
use super::{OpenOptions, SqliteStore, checkpoint, create, guard};
use crate::store::{Result, StoreError};

impl SqliteStore {
    /// Opens the store of a directory; makes it if there is none.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self> {
        create::directory(dir)?;
        let lock = if options.owner { Some(OwnerLock::take(dir)?) } else { None };
        let turn = Turn::open(dir, options.owner)?;
        let file = create::database(dir, &turn)?;
        let mut conn = guard::open(dir, &file, &turn, options.owner)?;
        let note = Arc::new(Note::open(dir, None).map_err(|e| guard::broken(dir, &e))?);

        let mut live = Live::default();
        live.ledger.segment_rows = options.segment_rows;
        let reserve = if options.owner {
            let epoch = take_over(&conn).map_err(|e| e.at(&file))?;
            live.epoch = Some(epoch);
            live.reload(&conn).map_err(|e| e.at(&file))?;
            Reserve::new(dir.join("reserve"), options.reserve, options.size_limit, &conn)
        } else {
            Reserve::none()
        };
        let claims = match live.epoch {
            Some(epoch) => Some(Claims::open(dir, options.slots, epoch)?),
            None => None,
        };
        let changes = readers::open(&file).map_err(|e| e.at(&file))?;
        let frames = Arc::new(AtomicU32::new(0));
        let counter = frames.clone();
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            counter.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        conn.wal_hook(Some(hook)).map_err(|e| super::Fault::from(e).at(&file))?;
        let next_commit = AtomicU64::new(meta(&conn, "commit").map_err(|e| e.at(&file))?.saturating_add(1));

        let broken = Arc::new(OnceLock::new());
        let mut threads = Vec::new();
        let wake = if options.owner {
            let conn = create::connect(&file).map_err(|e| e.at(&file))?;
            let (wake, woken) = mpsc::sync_channel(1);
            let (file, broken, note) = (file.clone(), broken.clone(), note.clone());
            threads.push(spawn("store-checkpoint", move || checkpoint::serve(&conn, &woken, &file, &broken, &note))?);
            Some(wake)
        } else {
            None
        };
        let readers = Readers::new(&file, Arc::clone(&broken));
        let checkpoint = wake.clone();
        let bell = Arc::new(Bell::new(dir, options.owner));
        let writer = Writer {
            conn,
            live,
            file,
            turn,
            reserve,
            bell: Arc::clone(&bell),
            frames,
            wake,
            broken,
            full_sync: true,
            stopped: None,
            shortening: Shortening::default(),
            assurance: Assurance::new(dir, note, options.sync_folder),
        };
        let (sender, queue) = mpsc::channel();
        threads.push(spawn("store-writer", move || writer.run(&queue))?);
        Ok(Self {
            queue: Queue::new(sender, threads),
            readers,
            claims,
            changes: Mutex::new(changes),
            bell,
            next_commit,
            checkpoint,
            _lock: lock,
        })
    }
}

/// Makes every earlier owner's transactions fail from here on.
fn take_over(conn: &Connection) -> Sql<u64> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let epoch = meta(conn, "epoch")? + 1;
    set_meta(conn, "epoch", epoch)?;
    conn.execute_batch("COMMIT")?;
    Ok(epoch)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|e| StoreError::Other(format!("cannot start the thread {name} ({e})")))
}
