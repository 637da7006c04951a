//! Which process holds a lock, from the system's list of locks. Only for messages: nothing depends on the answer, and
//! where there is no list, or the holder is not visible from here, it is "another process".

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of `-shm` that stand for the locks of the log: writer, checkpoint, recovery.
const WRITERS: (u64, u64) = (120, 122);
/// One byte for each snapshot that readers hold.
const READERS: (u64, u64) = (123, 127);

/// How often the list is read while the holder is not on it.
const LOOKS: usize = 5;

/// The processes other than this one that hold a lock of this kind on some of these bytes of a file. The system returns
/// the list in pieces, and omits lines when other locks come and go between two of them.
fn holding(path: &Path, kind: &str, bytes: (u64, u64)) -> Vec<u32> {
    (0..LOOKS).map(|_| listed(path, kind, bytes)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn listed(path: &Path, kind: &str, bytes: (u64, u64)) -> Vec<u32> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Vec::new() };
    let Ok(locks) = fs::read_to_string("/proc/locks") else { return Vec::new() };
    let (inode, device) = (meta.ino(), meta.dev());
    let device = format!("{:02x}:{:02x}", rustix::fs::major(device), rustix::fs::minor(device));
    let mut found: Vec<u32> = locks.lines().filter_map(|line| held(line, kind, (&device, inode), bytes)).collect();
    found.retain(|pid| *pid != std::process::id());
    found.sort_unstable();
    found.dedup();
    found
}

/// The process of a line of the list, if the line is about this file. Example:
/// `3: POSIX  ADVISORY  WRITE 4711 fd:01:9443 120 120`; a line with an arrow is about a process that waits.
fn held(line: &str, kind: &str, (device, inode): (&str, u64), (first, last): (u64, u64)) -> Option<u32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, its_kind, _, _, pid, place, start, end] = fields[..] else { return None };
    let (its_device, its_inode) = place.rsplit_once(':')?;
    let end = if end == "EOF" { u64::MAX } else { end.parse().ok()? };
    let same = its_kind == kind && its_device == device && its_inode.parse() == Ok(inode);
    (same && start.parse::<u64>().ok()? <= last && end >= first).then_some(pid.parse().ok()?)
}

fn index_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-shm");
    name.into()
}

/// The processes that hold a `flock` on a file.
pub(super) fn of_lock(path: &Path) -> Vec<u32> {
    holding(path, "FLOCK", (0, u64::MAX))
}

/// The processes that block writes to a database.
pub(super) fn of_database(database: &Path) -> Vec<u32> {
    let index = index_of(database);
    let found = holding(&index, "POSIX", WRITERS);
    if found.is_empty() { holding(&index, "POSIX", READERS) } else { found }
}

/// The processes that checkpoint a database.
pub(super) fn of_checkpoint(database: &Path) -> Vec<u32> {
    holding(&index_of(database), "POSIX", (121, 121))
}

/// The processes that read from a snapshot of a database.
pub(super) fn of_snapshots(database: &Path) -> Vec<u32> {
    holding(&index_of(database), "POSIX", READERS)
}

/// Names processes for a message.
pub(super) fn name(pids: &[u32]) -> String {
    let one = |pid: &u32| {
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        match command.trim() {
            "" => format!("process {pid}"),
            command => format!("process {pid} ({command})"),
        }
    };
    match pids {
        [] => "another process".to_owned(),
        pids => pids.iter().map(one).collect::<Vec<_>>().join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list_names_who_holds_these_bytes_of_this_file() {
        let held = |line, bytes| held(line, "POSIX", ("fd:01", 9443), bytes);
        let line = "3: POSIX  ADVISORY  WRITE 4711 fd:01:9443 120 120";
        assert_eq!(held(line, (120, 122)), Some(4_711));
        assert_eq!(held(line, (121, 122)), None, "other bytes");
        assert_eq!(held("3: POSIX  ADVISORY  READ 4711 fd:01:9443 0 EOF", (121, 122)), Some(4_711));
        assert_eq!(held("3: POSIX  ADVISORY  WRITE 4711 fd:01:9444 120 120", (120, 122)), None, "another file");
        assert_eq!(held("3: POSIX  ADVISORY  WRITE 4711 fd:02:9443 120 120", (120, 122)), None, "another disk");
        assert_eq!(held("3: FLOCK  ADVISORY  WRITE 4711 fd:01:9443 0 EOF", (120, 122)), None, "another kind");
        assert_eq!(held("3: -> POSIX  ADVISORY  WRITE 4711 fd:01:9443 120 120", (120, 122)), None, "it waits");
        assert_eq!(held("", (0, 1)), None);
    }
}
