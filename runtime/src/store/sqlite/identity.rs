//! Whether the files that are open are still the store: a directory may be removed, moved or replaced under a running
//! process, and what is written then is in files that have no name any more.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use super::fault::Fault;
use super::folder::DATABASE;
use crate::store::{Result, StoreError};

/// Which files the store had when it was opened.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    files: Vec<(PathBuf, (u64, u64))>,
    /// What only the owner's checkpoints change, while there is an owner.
    content: Option<Mutex<Content>>,
}

/// How the database file stood after the last checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    /// Size and time of the last change.
    stamp: (u64, i64, i64),
    /// Frames that checkpoints have moved.
    moved: i64,
    /// The head of the log, which is another one when the log has started over.
    head: [u8; 32],
}

impl Files {
    /// Of a store that has just been opened, by this connection.
    pub(super) fn of(dir: &Path, conn: &Connection, owner: bool) -> Result<Self> {
        let names = [DATABASE, "reactor.db-wal", "reactor.db-shm", "lock"];
        // A client takes no lock, so one that is not there yet may come.
        let names = names.into_iter().filter(|name| owner || *name != "lock");
        let mut this = Self { dir: dir.to_owned(), files: Vec::new(), content: None };
        for name in names {
            let path = dir.join(name);
            let number = number(&path).map_err(|detail| this.gone(&path, detail))?;
            this.files.push((path, number));
        }
        if owner {
            this.content = Some(Mutex::new(this.content(conn)?));
        }
        Ok(this)
    }

    /// That the paths still lead to these files.
    pub(super) fn look(&self) -> Result<()> {
        for (path, known) in &self.files {
            match number(path) {
                Ok(found) if found == *known => {}
                Ok(_) => return Err(self.gone(path, "is another file now")),
                Err(detail) => return Err(self.gone(path, detail)),
            }
        }
        Ok(())
    }

    /// The same, and that nobody but SQLite has written to the database file. `connect` makes a connection that may ask
    /// how far checkpoints have come.
    pub(super) fn look_inside(&self, connect: impl FnOnce() -> Result<Connection>) -> Result<()> {
        self.look()?;
        let Some(content) = &self.content else { return Ok(()) };
        let mut known = match content.try_lock() {
            Ok(known) => known,
            Err(TryLockError::Poisoned(known)) => known.into_inner(),
            // A checkpoint is under way.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if self.stamp()? == known.stamp {
            known.head = self.head();
            return Ok(());
        }
        self.explain(&mut known, &connect()?)
    }

    /// Runs a checkpoint, which is the one thing that may change the database file.
    pub(super) fn during<T>(&self, conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.look()?;
        let Some(content) = &self.content else { return work() };
        let mut known: MutexGuard<'_, Content> = content.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stamp()? != known.stamp {
            self.explain(&mut known, conn)?;
        }
        let done = work()?;
        *known = self.content(conn)?;
        Ok(done)
    }

    /// The file has changed: by a checkpoint of another program, such as `sqlite3`, which can be seen in the log?
    fn explain(&self, known: &mut Content, conn: &Connection) -> Result<()> {
        let now = self.content(conn)?;
        if (now.moved, now.head) == (known.moved, known.head) {
            return Err(self.gone(&self.dir.join(DATABASE), "was written over by another program"));
        }
        *known = now;
        Ok(())
    }

    fn content(&self, conn: &Connection) -> Result<Content> {
        let moved = conn.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(2));
        let moved = moved.map_err(|error| Fault::from(error).at(&self.dir.join(DATABASE)))?;
        Ok(Content { stamp: self.stamp()?, moved, head: self.head() })
    }

    fn stamp(&self) -> Result<(u64, i64, i64)> {
        let path = self.dir.join(DATABASE);
        match fs::symlink_metadata(&path) {
            Ok(meta) => Ok((meta.size(), meta.mtime(), meta.mtime_nsec())),
            Err(_) => Err(self.gone(&path, "is not there any more")),
        }
    }

    fn head(&self) -> [u8; 32] {
        let mut head = [0; 32];
        // None yet: zeros, and another one as soon as there is one. No lock of SQLite is on this file.
        let _ = File::open(self.dir.join("reactor.db-wal")).and_then(|mut log| log.read_exact(&mut head));
        head
    }

    fn gone(&self, path: &Path, what: &str) -> StoreError {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        StoreError::Gone { path: self.dir.display().to_string(), detail: format!("`{name}` {what}") }
    }
}

fn number(path: &Path) -> Result<(u64, u64), &'static str> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok((meta.dev(), meta.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("is not there any more"),
        Err(_) => Err("cannot be looked at any more"),
    }
}
