//! Locks: one owner for its lifetime, one writer at a time, one creator.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reactor_core::store::{Result, StoreError};

use super::patience::Patience;
use super::{folder, holder};

/// How often, and with which pauses, the owner's lock is tried: a client that checks for an owner holds it for a
/// moment.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);
/// How long a client waits for its turn before it continues without it.
const COURTESY: Duration = Duration::from_secs(3);

/// The owner's lock on the directory; released when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// Takes the lock, or names the process that holds it.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("lock");
        let mut file = folder::open(&path)?;
        let mut tries = 0;
        while !try_lock(&file).map_err(|e| cannot(&path, &e))? {
            tries += 1;
            if tries == TRIES {
                let (dir, pid) = (dir.display().to_string(), named(&path, &mut file));
                return Err(StoreError::Locked { path: dir, pid });
            }
            std::thread::sleep(PAUSE);
        }
        // The pid is only informative; a full disk must not keep the host from starting.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The holder of the lock: from the system's list, otherwise from what the holder has written.
fn named(path: &Path, file: &mut File) -> String {
    if let [pid, ..] = holder::of_lock(path)[..] {
        return pid.to_string();
    }
    let mut pid = String::new();
    let known = file.take(16).read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
    if known { pid.trim().to_owned() } else { "?".to_owned() }
}

/// Whether a directory has an owner now.
pub(super) fn is_owned(dir: &Path) -> bool {
    // Without a lock file, there never was an owner.
    let Ok(file) = folder::open_to_look(&dir.join("lock")) else { return false };
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(_) => true,
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn cannot(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Other(format!("cannot lock {} ({error}); the data directory belongs on a local disk", path.display()))
}

/// Fairness between the owner, which writes continuously, and clients, which write now and then.
///
/// `SQLite`'s own lock goes to the process that polls at the right moment, and an owner that writes back to back always
/// wins. So a client holds a shared lock on the file `turn` while it wants to write, and the owner pauses when it sees
/// one. The lock is a courtesy: a process that does not get it continues without it.
#[derive(Debug)]
pub(super) struct Turn {
    path: PathBuf,
    file: File,
    owner: bool,
    patience: Patience,
    /// Another process keeps the lock permanently.
    in_vain: AtomicBool,
}

impl Turn {
    /// Opens the `turn` file of a directory.
    pub(super) fn open(dir: &Path, owner: bool, patience: Patience) -> Result<Self> {
        let path = dir.join("turn");
        Ok(Self { file: folder::open(&path)?, path, owner, patience, in_vain: AtomicBool::new(false) })
    }

    /// Called before a transaction.
    pub(super) fn give_way(&self) {
        if !self.owner {
            if self.in_vain.load(Ordering::Relaxed) {
                return;
            }
            let shared = || match self.file.try_lock_shared() {
                Err(TryLockError::WouldBlock) => Ok(false),
                // Without the lock, the client only waits longer for its turn.
                Ok(()) | Err(TryLockError::Error(_)) => Ok(true),
            };
            let courtesy = self.patience.at_most(COURTESY);
            self.in_vain.store(courtesy.wait_for(&self.path, shared).is_ok_and(|taken| !taken), Ordering::Relaxed);
        } else if self.file.try_lock().is_ok() {
            let _ = self.file.unlock();
        } else {
            std::thread::sleep(Duration::from_micros(1_500));
        }
    }

    /// Called after a transaction. A client that continued at once would starve the owner.
    pub(super) fn done(&self) {
        if !self.owner {
            let _ = self.file.unlock();
            std::thread::sleep(Duration::from_micros(500 + u64::from(rand::random::<u16>() % 512)));
        }
    }

    /// Runs `work` while no other process creates or migrates the store.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let taken = self.patience.wait_for(&self.path, || try_lock(&self.file)).map_err(|e| cannot(&self.path, &e))?;
        if !taken {
            let who = holder::name(&holder::of_lock(&self.path));
            return Err(StoreError::Busy { path: self.path.display().to_string(), who });
        }
        let result = work();
        let _ = self.file.unlock();
        result
    }
}
