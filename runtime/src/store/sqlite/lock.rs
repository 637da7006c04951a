//! Who may do what: one owner for its lifetime, one writer at a time, one creator.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use crate::store::{Result, StoreError};

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(|e| cannot(path, &e))
}

fn cannot(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Other(format!("cannot open {} ({error}); check the directory's owner and permissions", path.display()))
}

/// The owner's lock on the directory; gone with the process, however it ends.
#[derive(Debug)]
pub(super) struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// Takes it, or names the process that has it.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("lock");
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if known { pid.trim().to_owned() } else { "?".to_owned() };
                return Err(StoreError::Locked { path: dir.display().to_string(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(cannot(&path, &e)),
        }
        // The pid is a courtesy; a full disk must not keep the host from starting.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// Fairness between the owner, which writes without pause, and clients, which come now and then.
///
/// `SQLite`'s own lock goes to whoever polls at the right moment, which an owner that writes back to back always wins.
/// So a client holds a shared lock on the file `turn` while it wants to write, and the owner pauses when it sees one.
#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    owner: bool,
}

impl Turn {
    /// The turnstile of a directory.
    pub(super) fn open(dir: &Path, owner: bool) -> Result<Self> {
        Ok(Self { file: open(&dir.join("turn"))?, owner })
    }

    /// Before a transaction.
    pub(super) fn give_way(&self) {
        if !self.owner {
            // Without the lock the client would only be slower to get its turn.
            let _ = self.file.lock_shared();
        } else if self.file.try_lock().is_ok() {
            let _ = self.file.unlock();
        } else {
            std::thread::sleep(Duration::from_micros(1_500));
        }
    }

    /// After it. A client that goes on at once would starve the owner in turn.
    pub(super) fn done(&self) {
        if !self.owner {
            let _ = self.file.unlock();
            std::thread::sleep(Duration::from_micros(500 + u64::from(rand::random::<u16>() % 512)));
        }
    }

    /// Runs `work` while nobody else creates or migrates the store.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.file.lock().map_err(|e| StoreError::Other(format!("cannot lock the data directory: {e}")))?;
        let result = work();
        let _ = self.file.unlock();
        result
    }
}
