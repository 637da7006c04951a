//! Whether the open files are still the store: a directory may be removed, moved or replaced under a running process,
//! and writes then go to files that no longer have a name.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use reactor_core::store::{Result, StoreError};

use super::folder::{self, DATABASE};
use super::holder;

const LOG: &str = "reactor.db-wal";
const INDEX: &str = "reactor.db-shm";
const GONE: &str = "is not there any more";

/// The files of the store when it was opened.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    known: Vec<(PathBuf, (u64, u64))>,
    /// What only checkpoints change while there is an owner.
    content: Option<Mutex<Content>>,
}

/// The state of the database file after the last checkpoint.
#[derive(Debug)]
struct Content {
    /// Size and time of the last change.
    stamp: Stamp,
    /// The progress of checkpoints.
    progress: Progress,
    index: Arc<File>,
}

type Stamp = (u64, i64, i64);

/// What the log's index says about checkpoints; its layout is part of SQLite's documented format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Frames in the log.
    frames: u32,
    /// Changes when the log starts over.
    salt: [u8; 8],
    /// Frames that checkpoints have moved, and that they have begun to move.
    moved: (u32, u32),
}

impl Files {
    /// The files of a newly opened store.
    pub(super) fn of(dir: &Path, owner: bool) -> Result<Self> {
        let names = [DATABASE, LOG, INDEX, "lock"];
        // A client takes no lock, so a missing lock file may appear later.
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

    /// Checks that the paths still lead to these files.
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

    /// Like `look`, and also checks that only SQLite has written to the files.
    pub(super) fn look_inside(&self) -> Result<()> {
        self.look()?;
        match self.content.as_ref().map(Mutex::try_lock) {
            Some(Ok(mut known)) => self.compare(&mut known),
            Some(Err(TryLockError::Poisoned(known))) => self.compare(&mut known.into_inner()),
            // A checkpoint is in progress.
            None | Some(Err(TryLockError::WouldBlock)) => Ok(()),
        }
    }

    /// Runs a checkpoint, the only thing that may change the database file.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.look()?;
        let Some(content) = &self.content else { return work() };
        let mut known = content.lock().unwrap_or_else(PoisonError::into_inner);
        self.compare(&mut known)?;
        let done = work();
        // A failed checkpoint may have written some pages, for example when the disk is full.
        (known.stamp, known.progress) = (self.stamp()?, progress(&known.index));
        done
    }

    fn compare(&self, known: &mut Content) -> Result<()> {
        let stamp = self.stamp()?;
        let mut now = progress(&known.index);
        if stamp != known.stamp {
            // A checkpoint by another program, such as `sqlite3`, shows in the index, or is in progress.
            let same = |now: Progress| (now.salt, now.moved) == (known.progress.salt, known.progress.moved);
            if same(now) {
                if !holder::of_checkpoint(&self.dir.join(DATABASE)).is_empty() {
                    return Ok(());
                }
                now = progress(&known.index);
                if same(now) {
                    return Err(self.gone(DATABASE, "was written over by another program"));
                }
            }
            known.stamp = stamp;
        }
        // Another program may make the log start over between the two reads, but not every time.
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

/// Reads the index. An unreadable index matches no earlier state.
fn progress(index: &File) -> Progress {
    let mut bytes = [0; 132];
    let number = |bytes: &[u8; 132], at: usize| u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    match index.read_exact_at(&mut bytes, 0) {
        Ok(()) => Progress {
            frames: number(&bytes, 16),
            salt: std::array::from_fn(|i| bytes[32 + i]),
            moved: (number(&bytes, 96), number(&bytes, 128)),
        },
        Err(_) => Progress::default(),
    }
}

/// Bytes of a log with this many frames, each a page and its header.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a store that are checked.
    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        [DATABASE, LOG, INDEX, "lock"].iter().for_each(|name| fs::write(dir.path().join(name), [0; 132]).unwrap());
        let files = Files::of(dir.path(), true).unwrap();
        (dir, files)
    }

    #[test]
    fn only_a_checkpoint_may_change_the_database() {
        let (dir, files) = files();
        let write = |text: &str| fs::write(dir.path().join(DATABASE), text).unwrap();
        files.look_inside().unwrap();
        files
            .during(|| {
                write("one");
                Ok(())
            })
            .unwrap();
        files.look_inside().unwrap();
        let failed = files.during(|| {
            write("a part of two");
            Err::<(), _>(StoreError::Full)
        });
        assert!(matches!(failed, Err(StoreError::Full)));
        files.look_inside().expect("a checkpoint that fails may have written some pages");
        write("by another program");
        assert!(matches!(files.look_inside(), Err(StoreError::Gone { .. })));
        assert!(matches!(files.during(|| Ok(())), Err(StoreError::Gone { .. })), "and nothing more is moved into it");
    }

    #[test]
    fn a_checkpoint_by_another_program_is_seen_in_the_index() {
        for at in [32, 96, 128] {
            let (dir, files) = files();
            let mut index = [0; 132];
            index[at] = 1;
            fs::write(dir.path().join(INDEX), index).unwrap();
            fs::write(dir.path().join(DATABASE), "by another program").unwrap();
            files.look_inside().unwrap_or_else(|error| panic!("{at}: {error}"));
        }
    }
}
