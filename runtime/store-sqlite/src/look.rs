//! Opening a store only to look at it. How depends on its files: `SQLite` reads a write-ahead log through an index in a
//! file beside it, which must exist or be created.

use std::fs;
use std::path::{Path, PathBuf};

use reactor_core::store::{Result, StoreError};

use super::fault::Fault;
use super::folder::{self, DATABASE};
use super::guard::{self, First};
use super::patience::Patience;
use super::readers::{self, How};
use super::{OpenOptions, PATIENCE, SqliteStore, create, lock, room};

/// The database of a directory, and how to read it.
pub(super) fn at(dir: &Path) -> Result<(PathBuf, How)> {
    let file = dir.join(DATABASE);
    if !folder::may_look(dir)? {
        return Err(StoreError::Missing { path: dir.display().to_string() });
    }
    if !file.exists() {
        create::never_was(dir, &file)?;
        return Err(StoreError::Missing { path: dir.display().to_string() });
    }
    create::check_header(&file)?;
    let mut first = guard::first(&file)?;
    if first.foreign && folder::is_writable(dir) {
        // Opening it checks the pages that another program has written, and adds their checksums.
        SqliteStore::open(dir, &OpenOptions::client())?;
        first = guard::first(&file)?;
    }
    let patience = Patience::new(&file, false, PATIENCE);
    let how = How { patience, still: can_be_read_still(dir) && cannot_be_read_otherwise(dir) };
    try_to_read(dir, &file, first, &how).map_err(|error| explain(dir, error))?;
    Ok((file, how))
}

/// Without a log, everything is in the database, and without an owner, no process changes it.
fn can_be_read_still(dir: &Path) -> bool {
    fs::metadata(dir.join("reactor.db-wal")).map_or(true, |log| log.len() == 0) && !lock::is_owned(dir)
}

/// Whether the index of the log cannot be created.
fn cannot_be_read_otherwise(dir: &Path) -> bool {
    !dir.join("reactor.db-shm").exists() && (!folder::is_writable(dir) || room::is_full(&dir.join(DATABASE)))
}

/// A store of an older version cannot be read as it is, and looking does not migrate it; a damaged store must not look
/// like one with less data.
fn try_to_read(dir: &Path, file: &Path, first: First, how: &How) -> Result<()> {
    if first.foreign {
        return Err(StoreError::Other(format!(
            "another program has moved the log into {}, so pages of it have no checksums; copy the folder to a place that \
             can be written, and use --data-dir",
            file.display()
        )));
    }
    let conn = readers::open(file, how).map_err(|e| e.at(file))?;
    let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| Fault::from(e).at(file))?;
    create::is_current(file, version)?;
    if how.still {
        return guard::check_still(&conn, dir, file, !first.sealed);
    }
    guard::check(&conn, dir, file, !first.sealed).map(drop)
}

/// Adds what is missing when the log cannot be read.
fn explain(dir: &Path, error: StoreError) -> StoreError {
    let index = dir.join("reactor.db-shm");
    if !matches!(error, StoreError::Other(_) | StoreError::Broken { .. } | StoreError::Full) || index.exists() {
        return error;
    }
    let (dir, index) = (dir.display(), index.display());
    StoreError::Other(format!(
        "{dir} holds a write-ahead log, and its index {index} is missing and cannot be made there; copy the folder to a \
         place that can be written, and use --data-dir"
    ))
}
