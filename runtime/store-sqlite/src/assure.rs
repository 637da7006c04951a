//! The steps between the sync of a transaction and its answers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use reactor_core::store::Result;

use super::frames::Position;
use super::note::{Durable, Note};
use super::{guard, vfs};

/// What the writer needs to make its answers durable.
pub(super) struct Assurance {
    dir: PathBuf,
    note: Arc<Note>,
    /// Syncs the folder; `None` once that is done.
    sync_folder: Option<fn(&Path) -> io::Result<()>>,
}

impl Assurance {
    pub(super) fn new(dir: &Path, note: Arc<Note>, sync_folder: fn(&Path) -> io::Result<()>) -> Self {
        Self { dir: dir.to_owned(), note, sync_folder: Some(sync_folder) }
    }

    /// Runs after the sync of a transaction; only then may the transaction be answered.
    ///
    /// `SQLite` syncs the folder when it creates a log but ignores an error, so the log's directory entry might not
    /// survive a power cut. While this process has the log open, no new one is created.
    pub(super) fn give(&mut self, conn: &Connection, group: u64, frames: &AtomicU32) -> Result<()> {
        let mut done = || {
            if let Some(sync) = self.sync_folder {
                sync(&self.dir)?;
                self.sync_folder = None;
            }
            let Some(salts) = vfs::salts(conn) else { return Ok(()) };
            let log = Position { salts, frames: frames.load(Ordering::Relaxed) };
            match self.note.write(&Durable { group, log }) {
                // If an in-place write needs room and there is none, the note says less than it could until there is
                // room again.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
                written => written,
            }
        };
        done().map_err(|e| guard::broken(&self.dir, &e))
    }
}

impl Drop for Assurance {
    fn drop(&mut self) {
        // A note that does not last says too little, which is harmless.
        let _ = self.note.sync();
    }
}
