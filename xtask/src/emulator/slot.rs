//! The folder of one run of an emulator.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run::gone;

/// A folder reserved for one run while this exists; its files stay until the next run.
#[derive(Debug)]
pub(super) struct Slot {
    /// The folder, empty at first.
    pub(super) dir: PathBuf,
    _lock: File,
}

impl Slot {
    /// Takes the first free folder of `home`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_at_once_have_two_folders_and_a_later_one_an_empty_folder() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) = (Slot::take(home.path()).unwrap(), Slot::take(home.path()).unwrap());
        assert_ne!(first.dir, second.dir);
        let dir = first.dir.clone();
        fs::write(dir.join("log.txt"), "old").unwrap();
        drop(first);
        assert!(dir.join("log.txt").exists(), "it can still be read");
        let third = Slot::take(home.path()).unwrap();
        assert_eq!((&third.dir, fs::read_dir(&third.dir).unwrap().count()), (&dir, 0));
    }
}
