//! The folder of one run of an emulator.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run::gone;

/// A folder that no other run uses as long as this exists; its files stay until the next run.
#[derive(Debug)]
pub(super) struct Slot {
    /// The folder, empty at first.
    pub(super) dir: PathBuf,
    _lock: File,
}

impl Slot {
    /// Takes the first folder of `home` that is free.
    pub(super) fn take(home: &Path) -> Result<Self> {
        for number in 1_u32.. {
            let lock = File::create(home.join(format!("run-{number}.lock"))).context("cannot make a lock file")?;
            if lock.try_lock().is_err() {
                continue;
            }
            let dir = home.join(format!("run-{number}"));
            gone(&dir, fs::remove_dir_all(&dir))?;
            fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            return Ok(Self { dir, _lock: lock });
        }
        unreachable!("more runs than numbers")
    }
}
