//! Disk space: the reserve, kept for ending the work in progress, and whether new events are rejected.
//!
//! The reserve is a file created with the store, so that the disk cannot be filled to the last byte, with or without a
//! host. Only an owner gives it up, when a write finds the disk full, and takes it again when twice as much is free. In
//! between, the row `refusing` of the table `meta` says that the room is not for new events; every writer reads it in
//! its own transaction. Without an owner, a client that finds the row looks for room itself.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use reactor_core::store::Result;

use super::fault::Sql;
use super::folder::{self, Kind};
use super::rows::num;

/// The file's name.
const NAME: &str = "reserve";
/// A disk with less free space than this is full.
const LITTLE: u64 = 256 << 10;

/// A file that takes up room until it is needed.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    used: bool,
    /// Bytes of the database at which the disk counts as full.
    limit: Option<u64>,
    owner: bool,
}

impl Reserve {
    /// An owner's reserve, which takes the room if there is any. `limit` stands for the size of the disk when a test
    /// needs a small one.
    pub(super) fn of_owner(dir: &Path, bytes: u64, limit: Option<u64>, conn: &Connection) -> Self {
        let mut this = Self { path: dir.join(NAME), bytes, used: true, limit, owner: true };
        if !this.restore(conn) {
            let path = this.path.display();
            tracing::warn!(%path, "there is no room for the reserve; refusing new events until space is free");
        }
        this
    }

    /// A client's reserve, which it does not touch.
    pub(super) fn of_client(dir: &Path, bytes: u64, limit: Option<u64>, conn: &Connection) -> Self {
        let this = Self { path: dir.join(NAME), bytes, used: false, limit, owner: false };
        this.apply_limit(conn);
        this
    }

    /// Whether the room has been given up, so that only endings may be written.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Whether there is room that can be given up.
    pub(super) fn can_be_released(&self) -> bool {
        self.owner && !self.used && self.bytes > 0
    }

    /// Releases the room.
    pub(super) fn release(&mut self, conn: &Connection) {
        self.used = true;
        let _ = fs::remove_file(&self.path);
        self.apply_limit(conn);
    }

    /// Takes the room again when twice as much is free, which avoids flapping at the limit. True if the room is taken.
    pub(super) fn restore(&mut self, conn: &Connection) -> bool {
        if self.owner && !self.used {
            return true;
        }
        let is_room = match self.limit {
            Some(limit) => used_bytes(conn).saturating_add(2 * self.bytes) <= limit,
            None => is_there(&self.path, self.bytes) || free(&self.path).is_none_or(|free| free >= 2 * self.bytes),
        };
        let taken = is_room && fill(&self.path, self.bytes);
        self.used = self.owner && !taken;
        self.apply_limit(conn);
        taken
    }

    fn apply_limit(&self, conn: &Connection) {
        if let Some(limit) = self.limit {
            let room = if self.used { limit } else { limit.saturating_sub(self.bytes) };
            let pages = (room / 4096).max(1);
            if let Err(error) = conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())) {
                tracing::warn!(%error, "cannot limit the size of the write-ahead log");
            }
        }
    }
}

/// Creates the reserve of a new store. False if there is no room for it.
pub(super) fn make(dir: &Path, bytes: u64) -> bool {
    let path = dir.join(NAME);
    is_there(&path, bytes) || (free(&path).is_none_or(|free| free >= 2 * bytes) && fill(&path, bytes))
}

/// Releases the reserve of a store that cannot even be opened. False if there was none.
pub(super) fn give_up(dir: &Path) -> bool {
    let path = dir.join(NAME);
    matches!(folder::look(&path, Kind::File), Ok(Some(_))) && fs::remove_file(path).is_ok()
}

fn is_there(path: &Path, bytes: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == bytes)
}

/// Takes the room. Releases it again if it is too little.
fn fill(path: &Path, bytes: u64) -> bool {
    if is_there(path, bytes) {
        return true;
    }
    let filled = (|| -> Result<(), String> {
        let mut file = folder::open(path).map_err(|error| error.to_string())?;
        let written = match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => file.set_len(bytes),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write_out(&mut file, bytes),
            Err(error) => Err(error.into()),
        };
        written.and_then(|()| file.sync_all()).map_err(|error| error.to_string())
    })();
    if let Err(error) = &filled {
        tracing::warn!(path = %path.display(), %error, "cannot create the reserve file");
        if matches!(folder::look(path, Kind::File), Ok(Some(_))) {
            let _ = fs::remove_file(path);
        }
    }
    filled.is_ok()
}

fn write_out(file: &mut fs::File, bytes: u64) -> std::io::Result<()> {
    // Not zeros, which some file systems do not store.
    let block = vec![0xa5_u8; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(&block[..part])?;
        left -= part as u64;
    }
    file.set_len(bytes)
}

/// Free bytes on the disk of a file, if the system reports them.
fn free(path: &Path) -> Option<u64> {
    let disk = statvfs(path.parent()?).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the disk of a file is out of bytes or inodes: SQLite does not always report it.
pub(super) fn is_full(path: &Path) -> bool {
    let Some(disk) = path.parent().and_then(|dir| statvfs(dir).ok()) else { return false };
    disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE || (disk.f_files > 0 && disk.f_favail == 0)
}

/// Whether a system error means that the disk is full.
pub(super) fn means_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn used_bytes(conn: &Connection) -> u64 {
    let number = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |row| num(row, 0)).unwrap_or(0);
    number("page_count").saturating_sub(number("freelist_count")) * 4096
}

/// Whether new events are rejected because the disk is full.
pub(super) fn is_refusing(conn: &Connection) -> Sql<bool> {
    let mut select = conn.prepare_cached("SELECT value FROM meta WHERE name = 'refusing'")?;
    Ok(select.query_row([], |row| row.get::<_, i64>(0)).optional()?.is_some_and(|value| value != 0))
}

/// Sets whether new events are rejected. A store created before this row existed gets it now.
pub(super) fn set_refusing(conn: &Connection, refusing: bool) -> Sql<()> {
    let upsert = "INSERT INTO meta VALUES ('refusing', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(upsert)?.execute(params![refusing])?;
    Ok(())
}
