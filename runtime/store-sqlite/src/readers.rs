//! Read-only connections, shared by all callers.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, OpenFlags};

use reactor_core::store::{Result, StoreError};

use super::fault::{Fault, Sql};
use super::patience::Patience;

/// Unused connections that are kept open.
const IDLE: usize = 8;

/// How connections are opened.
#[derive(Clone, Debug)]
pub(super) struct How {
    /// How long they wait.
    pub(super) patience: Patience,
    /// Whether no process can write the file meanwhile, so that neither a lock nor an index of the log is needed.
    pub(super) still: bool,
}

/// A pool; a connection is opened when all are in use.
#[derive(Debug)]
pub(super) struct Readers {
    file: PathBuf,
    how: How,
    idle: Mutex<Vec<Connection>>,
    /// Ends the writer, too: a guest with damaged state must be neither retried nor given up.
    broken: Arc<OnceLock<StoreError>>,
}

impl Readers {
    /// Readers of a database file.
    pub(super) fn new(file: &Path, how: How, broken: Arc<OnceLock<StoreError>>) -> Self {
        Self { file: file.to_owned(), how, idle: Mutex::default(), broken }
    }

    /// The database file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Runs `query`, which sees everything committed before.
    pub(super) fn read<T>(&self, query: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let told = |fault: Fault| {
            let error = fault.at(&self.file);
            if matches!(error, StoreError::Damaged { .. }) {
                // If it is set already, the first one is the one to report.
                let _ = self.broken.set(error.clone());
            }
            error
        };
        let conn = idle.map_or_else(|| open(&self.file, &self.how), Ok).map_err(told)?;
        let answer = query(&conn).map_err(told);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && conn.is_autocommit() {
            idle.push(conn);
        }
        answer
    }
}

/// A read-only connection.
pub(super) fn open(file: &Path, how: &How) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = if how.still {
        super::vfs::open(Path::new(&still(file)), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        super::vfs::open(file, flags)?
    };
    how.patience.set(&mut conn)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch("PRAGMA cache_size = -8192; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;")?;
    Ok(conn)
}

/// The URI of a file that does not change, in the form that `SQLite` expects.
fn still(file: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri + "?immutable=1"
}
