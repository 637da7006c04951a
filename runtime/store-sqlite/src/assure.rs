//! What comes between the sync of a transaction and its answers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use reactor_core::store::Result;

use super::fault::broken;
use super::frames::Position;
use super::note::{Durable, Note};
use super::vfs;

/// The writer's means to make sure of what it answers.
pub(super) struct Assurance {
    dir: PathBuf,
    note: Arc<Note>,
    /// Syncs the folder; gone when that has been done.
    sync_folder: Option<fn(&Path) -> io::Result<()>>,
}

impl Assurance {
    pub(super) fn new(dir: &Path, note: Arc<Note>, sync_folder: fn(&Path) -> io::Result<()>) -> Self {
        Self { dir: dir.to_owned(), note, sync_folder: Some(sync_folder) }
    }

    /// After a transaction that was synced: only now may it be answered.
    ///
    /// `SQLite` syncs the folder when it has made a log, and takes no notice of an error: the log's entry might not outlast a
    /// power cut. As long as this process has the log open, none is made.
    pub(super) fn give(&mut self, conn: &Connection, group: u64, frames: &AtomicU32) -> Result<()> {
        let mut done = || {
            if let Some(sync) = self.sync_folder {
                sync(&self.dir)?;
                self.sync_folder = None;
            }
            let Some(salts) = vfs::salts(conn) else { return Ok(()) };
            let log = Position { salts, frames: frames.load(Ordering::Relaxed) };
            match self.note.write(&Durable { group, log }) {
                // Where writing in place takes room, the note says less than it could until there is some.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
                written => written,
            }
        };
        done().map_err(|e| broken(&self.dir, &e))
    }
}

impl Drop for Assurance {
    fn drop(&mut self) {
        // A note that does not last says too little, which is no fault.
        let _ = self.note.sync();
    }
}
