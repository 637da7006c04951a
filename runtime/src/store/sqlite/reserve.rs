//! Room kept for the endings of what is under way when the disk fills up.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use rusqlite::Connection;

/// A file that takes up room until it is needed.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    used: bool,
    limit: Option<u64>,
}

impl Reserve {
    /// Takes the room, if there is any. `limit` stands for the size of the disk, where a test wants a small one.
    pub(super) fn new(path: PathBuf, bytes: u64, limit: Option<u64>, conn: &Connection) -> Self {
        let mut this = Self { path, bytes, used: true, limit };
        this.restore(conn);
        this
    }

    /// None at all: a client's.
    pub(super) fn none() -> Self {
        Self { path: PathBuf::new(), bytes: 0, used: false, limit: None }
    }

    /// Whether the room has been given up, so that only endings may be written.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Gives the room up; false if that has happened already.
    pub(super) fn release(&mut self, conn: &Connection) -> bool {
        if self.used || self.bytes == 0 {
            return false;
        }
        self.used = true;
        let _ = std::fs::remove_file(&self.path);
        self.apply_limit(conn);
        true
    }

    /// Takes the room again when twice as much is free, so that the host does not flutter at the edge.
    pub(super) fn restore(&mut self, conn: &Connection) {
        if !self.used {
            return;
        }
        if self.limit.is_some_and(|limit| used_bytes(conn).saturating_add(2 * self.bytes) > limit) {
            self.apply_limit(conn);
            return;
        }
        match self.fill() {
            Ok(()) => self.used = false,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "no room for the reserve: new events are refused");
                let _ = std::fs::remove_file(&self.path);
            }
        }
        self.apply_limit(conn);
    }

    fn fill(&self) -> std::io::Result<()> {
        if std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() == self.bytes) {
            return Ok(());
        }
        let mut file = File::create(&self.path)?;
        // Not zeros, which some file systems do not store.
        let block = vec![0xa5_u8; 64 << 10];
        let mut left = 2 * self.bytes;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            file.write_all(&block[..part])?;
            left -= part as u64;
        }
        file.sync_all()?;
        file.set_len(self.bytes)?;
        file.sync_all()
    }

    fn apply_limit(&self, conn: &Connection) {
        if let Some(limit) = self.limit {
            let room = if self.used { limit } else { limit.saturating_sub(self.bytes) };
            let pages = (room / 4096).max(1);
            if let Err(error) = conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())) {
                tracing::warn!(%error, "the size limit was not set");
            }
        }
    }
}

fn used_bytes(conn: &Connection) -> u64 {
    let number =
        |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |row| super::rows::num(row, 0)).unwrap_or(0);
    number("page_count").saturating_sub(number("freelist_count")) * 4096
}
