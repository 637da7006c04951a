//! Moves the write-ahead log into the database file, off the commit path.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use super::fault::Fault;
use super::guard;
use super::note::Note;
use crate::store::{Result, StoreError};

/// Frames (4 KiB pages) at which the checkpointer starts: 16 MiB.
pub(super) const START: u32 = 4_096;
/// Frames after which it is woken again: each time costs two syncs, however little there is to move.
pub(super) const AGAIN: u32 = 1_024;
/// Frames at which the writer finishes what the checkpointer left, so that the log can start over: 64 MiB.
pub(super) const HELP: u32 = 16_384;
/// Frames at which the writer waits for readers, too: 256 MiB.
pub(super) const FORCE: u32 = 65_536;

/// Checkpoints whenever woken, until the other end is gone. A failed sync ends the store.
pub(super) fn serve(
    conn: &Connection,
    wake: &Receiver<()>,
    file: &Path,
    broken: &Arc<OnceLock<StoreError>>,
    note: &Note,
) {
    while wake.recv().is_ok() {
        match run(conn, "PASSIVE", file).and_then(|()| note.sync().map_err(|e| guard::broken(file, &e))) {
            Ok(()) => {}
            Err(error @ (StoreError::Broken { .. } | StoreError::Damaged { .. })) => {
                // Set already: the first failure is the one to tell.
                let _ = broken.set(error);
                return;
            }
            // A full disk: the log grows meanwhile, and the writer says so when it cannot.
            Err(error) => tracing::warn!(store = %file.display(), %error, "a checkpoint was not possible"),
        }
    }
}

/// One checkpoint.
pub(super) fn run(conn: &Connection, how: &str, file: &Path) -> Result<()> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).map_err(|e| Fault::from(e).at(file))
}
