//! Moves the write-ahead log into the database file, off the commit path.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use reactor_core::store::{Result, StoreError};

use super::fault::Fault;
use super::identity::Files;
use super::note::Note;
use super::{create, guard};

/// Frames (4 KiB pages) at which the checkpointer starts: 16 MiB.
pub(super) const START: u32 = 4_096;
/// Frames after which it is woken again: each run costs two syncs, however little there is to move.
pub(super) const AGAIN: u32 = 1_024;
/// Frames at which the writer completes the checkpointer's work, so that the log can start over: 64 MiB.
pub(super) const HELP: u32 = 16_384;
/// Frames at which a reader must be keeping the log from starting over, which is logged once: 256 MiB.
pub(super) const LONG: u32 = 65_536;
/// Bytes to which a longer log is cut when it starts over; a log of normal size keeps its length.
pub(super) const USUAL: u32 = 128 << 20;

/// Checkpoints whenever woken, until the other end is gone. A permanent failure ends the store.
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
        let done = run(conn, file, files).and_then(|()| note.sync().map_err(|e| guard::broken(file, &e)));
        if let Err(error) = done
            && is_fatal(&error, file)
        {
            // If it is set already, the first failure is the one to report.
            let _ = broken.set(error);
        }
    }
    if broken.get().is_some() {
        let _ = create::keep_log(conn, true);
    }
}

/// Runs one checkpoint without waiting: frames that readers still need stay in the log, which grows meanwhile.
pub(super) fn run(conn: &Connection, file: &Path, files: &Files) -> Result<()> {
    let passive = || conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    files.during(|| passive().map_err(|e| Fault::from(e).at(file)))
}

/// Whether a failed checkpoint ends the store; otherwise the failure is logged.
pub(super) fn is_fatal(error: &StoreError, file: &Path) -> bool {
    match error {
        StoreError::Full => {
            // The log grows meanwhile, and the writer reports it when it cannot grow further.
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
