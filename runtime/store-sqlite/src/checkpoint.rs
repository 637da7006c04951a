//! Moves the write-ahead log into the database file, off the commit path.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use reactor_core::store::{Result, StoreError};

use super::create;
use super::fault::{self, Fault};
use super::identity::Files;
use super::note::Note;

/// Frames (4 KiB pages) at which the checkpointer starts: 16 MiB.
pub(super) const START: u32 = 4_096;
/// Frames after which it is woken again: each time costs two syncs, however little there is to move.
pub(super) const AGAIN: u32 = 1_024;
/// Frames at which the writer finishes what the checkpointer left, so that the log can start over: 64 MiB.
pub(super) const HELP: u32 = 16_384;
/// Frames at which somebody must be keeping the log from starting over, which is told once: 256 MiB.
pub(super) const LONG: u32 = 65_536;
/// Bytes that a log which has been longer is cut to when it starts over: what is usual stays as it is.
pub(super) const USUAL: u32 = 128 << 20;

/// Checkpoints whenever woken, until the other end is gone. What makes one impossible ends the store, unless it passes.
pub(super) fn serve(
    conn: &Connection,
    wake: &Receiver<()>,
    (file, files): (&Path, &Files),
    broken: &Arc<OnceLock<StoreError>>,
    note: &Note,
) {
    while wake.recv().is_ok() {
        if broken.get().is_some() {
            continue;
        }
        let done = run(conn, file, files).and_then(|()| note.sync().map_err(|e| fault::broken(file, &e)));
        if let Err(error) = done
            && is_fatal(&error, file)
        {
            // Set already: the first failure is the one to tell.
            let _ = broken.set(error);
        }
    }
    if broken.get().is_some() {
        let _ = create::keep_log(conn, true);
    }
}

/// One checkpoint. It never waits: what readers still need stays in the log, which grows meanwhile.
pub(super) fn run(conn: &Connection, file: &Path, files: &Files) -> Result<()> {
    let passive = || conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    files.during(|| passive().map_err(|e| Fault::from(e).at(file)))
}

/// Whether a failed checkpoint ends the store; if not, it is said.
pub(super) fn is_fatal(error: &StoreError, file: &Path) -> bool {
    match error {
        StoreError::Full => {
            // The log grows meanwhile, and the writer says so when it cannot.
            tracing::warn!(store = %file.display(), %error, "a checkpoint was not possible; trying again later");
            false
        }
        StoreError::Busy { .. } => false,
        error => {
            tracing::error!(store = %file.display(), %error, "a checkpoint failed; the store stops");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_lets_the_store_go_on() {
        let (path, detail) = (|| "reactor.db".to_owned(), || "it was seen".to_owned());
        let is_fatal = |error| is_fatal(&error, Path::new("reactor.db"));
        assert!(!is_fatal(StoreError::Full));
        assert!(!is_fatal(StoreError::Busy { path: path(), who: detail() }));
        assert!(is_fatal(StoreError::Broken { detail: detail() }));
        assert!(is_fatal(StoreError::Damaged { path: path(), detail: detail() }));
        assert!(is_fatal(StoreError::Gone { path: path(), detail: detail() }));
        assert!(is_fatal(StoreError::Other(detail())));
    }
}
