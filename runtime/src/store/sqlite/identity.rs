//! Whether the files that are open are still the store: a directory may be removed, moved or replaced under a running
//! process, and what is written then is in files that have no name any more.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::folder::{self, DATABASE};
use crate::store::{Result, StoreError};

const LOG: &str = "reactor.db-wal";
const INDEX: &str = "reactor.db-shm";
const GONE: &str = "is not there any more";

/// Which files the store had when it was opened.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    known: Vec<(PathBuf, (u64, u64))>,
    /// What only checkpoints change, while there is an owner.
    content: Option<Mutex<Content>>,
}

/// How the database file stood after the last checkpoint.
#[derive(Debug)]
struct Content {
    /// Size and time of the last change.
    stamp: Stamp,
    /// How far checkpoints had come.
    progress: Progress,
    index: Arc<File>,
}

type Stamp = (u64, i64, i64);

/// What the index of the log says of checkpoints; its layout is part of SQLite's documented format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Frames in the log.
    frames: u32,
    /// Changes when the log starts over.
    salt: [u8; 8],
    /// Frames that checkpoints have moved.
    moved: u32,
}

impl Files {
    /// Of a store that has just been opened.
    pub(super) fn of(dir: &Path, owner: bool) -> Result<Self> {
        let names = [DATABASE, LOG, INDEX, "lock"];
        // A client takes no lock, so one that is not there yet may come.
        let names = names.into_iter().filter(|name| owner || *name != "lock");
        let mut this = Self { dir: dir.to_owned(), known: Vec::new(), content: None };
        for name in names {
            let path = dir.join(name);
            let number = number(&path).map_err(|detail| this.gone(name, detail))?;
            this.known.push((path, number));
        }
        if owner {
            let index = folder::keep_open(&dir.join(INDEX)).map_err(|_| this.gone(INDEX, GONE))?;
            this.content = Some(Mutex::new(Content { stamp: this.stamp()?, progress: progress(&index), index }));
        }
        Ok(this)
    }

    /// That the paths still lead to these files.
    pub(super) fn look(&self) -> Result<()> {
        for (path, known) in &self.known {
            let name = || path.file_name().unwrap_or_default().to_string_lossy();
            match number(path) {
                Ok(found) if found == *known => {}
                Ok(_) => return Err(self.gone(&name(), "is another file now")),
                Err(detail) => return Err(self.gone(&name(), detail)),
            }
        }
        Ok(())
    }

    /// The same, and that nothing but SQLite has written to the files.
    pub(super) fn look_inside(&self) -> Result<()> {
        self.look()?;
        match self.content.as_ref().map(Mutex::try_lock) {
            Some(Ok(mut known)) => self.compare(&mut known),
            Some(Err(TryLockError::Poisoned(known))) => self.compare(&mut known.into_inner()),
            // A checkpoint is under way.
            None | Some(Err(TryLockError::WouldBlock)) => Ok(()),
        }
    }

    /// Runs a checkpoint, which is the one thing that may change the database file.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.look()?;
        let Some(content) = &self.content else { return work() };
        let mut known = content.lock().unwrap_or_else(PoisonError::into_inner);
        self.compare(&mut known)?;
        let done = work()?;
        (known.stamp, known.progress) = (self.stamp()?, progress(&known.index));
        Ok(done)
    }

    fn compare(&self, known: &mut Content) -> Result<()> {
        let stamp = self.stamp()?;
        let mut now = progress(&known.index);
        if stamp != known.stamp {
            // A checkpoint by another program, such as `sqlite3`, can be seen in the index.
            if (now.salt, now.moved) == (known.progress.salt, known.progress.moved) {
                return Err(self.gone(DATABASE, "was written over by another program"));
            }
            known.stamp = stamp;
        }
        // Another program may make the log start over between the two looks, but not each time.
        let mut tries = 3;
        while fs::symlink_metadata(self.dir.join(LOG)).is_ok_and(|log| log.len() < length(now.frames)) {
            tries -= 1;
            if tries == 0 {
                return Err(self.gone(LOG, "was cut short by another program"));
            }
            now = progress(&known.index);
        }
        known.progress = now;
        Ok(())
    }

    fn stamp(&self) -> Result<Stamp> {
        match fs::symlink_metadata(self.dir.join(DATABASE)) {
            Ok(meta) => Ok((meta.size(), meta.mtime(), meta.mtime_nsec())),
            Err(_) => Err(self.gone(DATABASE, GONE)),
        }
    }

    fn gone(&self, name: &str, what: &str) -> StoreError {
        StoreError::Gone { path: self.dir.display().to_string(), detail: format!("`{name}` {what}") }
    }
}

/// Reads the index. What cannot be read is like nothing that was known before.
fn progress(index: &File) -> Progress {
    let mut bytes = [0; 100];
    let number = |bytes: &[u8; 100], at: usize| u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    match index.read_exact_at(&mut bytes, 0) {
        Ok(()) => Progress {
            frames: number(&bytes, 16),
            salt: std::array::from_fn(|i| bytes[32 + i]),
            moved: number(&bytes, 96),
        },
        Err(_) => Progress::default(),
    }
}

/// Bytes of a log with so many frames: each is a page and its head.
fn length(frames: u32) -> u64 {
    if frames == 0 { 0 } else { 32 + u64::from(frames) * (4_096 + 24) }
}

fn number(path: &Path) -> Result<(u64, u64), &'static str> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok((meta.dev(), meta.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(GONE),
        Err(_) => Err("cannot be looked at any more"),
    }
}
