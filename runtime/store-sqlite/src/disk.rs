//! The disk that a file is on: what is free, and whether it is full.

use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::statvfs;

/// A disk with less free space than this is full.
const LITTLE: u64 = 256 << 10;

/// Free bytes on the disk of a file, if the system reports them.
pub(super) fn free(path: &Path) -> Option<u64> {
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
