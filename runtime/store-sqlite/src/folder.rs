//! The data directory and its files: their ownership, and the one way to open a file in it.
//!
//! The directory and everything in it belong to this user only: events and state are read from there, and a process
//! that can open `lock` or `turn` can keep a host or a publisher waiting. So the directory is created with mode 0700
//! and every file with 0600, regardless of the umask. A symbolic link, a second hard link, a file of another user or
//! anything that is not a regular file is rejected by name before it is written to. The path of the directory itself
//! may lead through links: the person who configured it decides that.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;

use reactor_core::store::{Result, StoreError};

/// The database.
pub(super) const DATABASE: &str = "reactor.db";
/// The plain files that may be in the directory.
const FILES: [&str; 8] = [DATABASE, "reactor.db-wal", "reactor.db-shm", "lock", "turn", "claims", "reserve", "durable"];
/// The named pipe.
pub(super) const BELL: &str = "bell";
/// The rights that only the owner may have on a file.
const OTHERS: u32 = 0o077;

/// What a path in the directory should lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file with one name.
    File,
    /// A named pipe.
    Pipe,
}

/// Creates a data directory if there is none, and makes sure that it belongs to this user.
///
/// # Errors
/// The directory cannot be created, is not a directory, or belongs to another user.
pub fn make(dir: &Path) -> Result<()> {
    let cannot = |what: &str, e: &io::Error| match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Other(format!(
            "cannot {what} the data directory {} ({e}); set another runtime.data-dir",
            dir.display()
        )),
    };
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => return belongs_to_us(dir, &meta),
        Ok(_) => return Err(no_directory(dir)),
        Err(_) => {}
    }
    // Each new directory's entry is in its parent, which must reach the disk as well.
    let new: Vec<&Path> = dir.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    for part in new.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(part) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            made => made.map_err(|e| cannot("make", &e))?,
        }
        // The umask may take rights from this user, too.
        fs::set_permissions(part, Permissions::from_mode(0o700)).map_err(|e| cannot("make", &e))?;
        let parent = part.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync(parent).map_err(|e| cannot("sync", &e))?;
    }
    belongs_to_us(dir, &fs::metadata(dir).map_err(|e| cannot("look at", &e))?)
}

fn no_directory(dir: &Path) -> StoreError {
    let dir = dir.display();
    StoreError::Other(format!("{dir} is a file, not a directory; move it away, or set another runtime.data-dir"))
}

/// Syncs a directory's entries to disk.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn refused(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Refused { path: path.display().to_string(), reason: reason.into() }
}

fn belongs_to_us(dir: &Path, meta: &Metadata) -> Result<()> {
    let (owner, us) = (meta.uid(), us());
    if owner == us {
        return Ok(());
    }
    let reason = format!(
        "the data directory belongs to user {owner}, and this is user {us}; run this as that user \
         (`sudo -u '#{owner}' reactor ...`), or set another runtime.data-dir"
    );
    Err(refused(dir, reason))
}

/// Checks everything in the directory before opening any of it: makes files private that others may open, and rejects
/// unexpected entries. `dir` belongs to this user.
pub(super) fn survey(dir: &Path) -> Result<()> {
    for (path, kind) in contents(dir) {
        if let Some(meta) = look(&path, kind)?
            && meta.mode() & OTHERS != 0
        {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|e| cannot(&path, &e))?;
        }
    }
    let mode = fs::metadata(dir).map_err(|e| cannot(dir, &e))?.mode() & 0o777;
    if mode & OTHERS != 0 {
        warn_of(dir, mode);
    }
    Ok(())
}

fn contents(dir: &Path) -> impl Iterator<Item = (PathBuf, Kind)> {
    let files = FILES.into_iter().map(|name| (name, Kind::File)).chain([(BELL, Kind::Pipe)]);
    files.map(|(name, kind)| (dir.join(name), kind))
}

/// Warns once for each directory that others have access.
fn warn_of(dir: &Path, mode: u32) {
    static TOLD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if !told.iter().any(|known| known == dir) {
        told.push(dir.to_owned());
        let dir = dir.display();
        tracing::warn!(
            "other users can access the data directory (mode {mode:03o}); run `chmod 700 {dir}` to prevent that"
        );
    }
}

/// The metadata of a path, `None` if it does not exist; an error unless it is of this kind and belongs to this user.
pub(super) fn look(path: &Path, kind: Kind) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => check(path, &meta, kind).map(|()| Some(meta)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(cannot(path, &e)),
    }
}

fn check(path: &Path, meta: &Metadata, kind: Kind) -> Result<()> {
    let found = meta.file_type();
    let (wanted, fits) = match kind {
        Kind::File => ("file", found.is_file()),
        Kind::Pipe => ("named pipe", found.is_fifo()),
    };
    if found.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        let target = target.display();
        return Err(refused(
            path,
            format!("it is a symbolic link to {target}, and links are not followed here; remove it"),
        ));
    }
    if !fits {
        let what = if found.is_dir() {
            "a folder"
        } else if found.is_file() {
            "a file"
        } else {
            "something else"
        };
        return Err(refused(path, format!("it is {what}, where a {wanted} should be; move it away")));
    }
    let us = us();
    if meta.uid() != us {
        let (path_text, owner) = (path.display(), meta.uid());
        let reason = format!(
            "it belongs to user {owner}, and this is user {us}; if it should be this user's, run \
             `chown {us} {path_text}`, otherwise move it away"
        );
        return Err(refused(path, reason));
    }
    if kind == Kind::File && meta.nlink() > 1 {
        let (name, links) = (path.display(), meta.nlink());
        let reason = format!(
            "it has {links} hard links, so it can be changed under another name; `cp -p {name} {name}.own && \
             mv {name}.own {name}` makes it a file of its own"
        );
        return Err(refused(path, reason));
    }
    Ok(())
}

fn cannot(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => {
            let path = path.display();
            StoreError::Other(format!("cannot open {path} ({error}); check the directory's owner and permissions"))
        }
    }
}

fn flags() -> i32 {
    // A pipe in place of a file must not block the open.
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Opens a file of the directory for reading and writing; creates it if there is none.
pub(super) fn open(path: &Path) -> Result<File> {
    loop {
        match make_new(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map_err(|e| cannot(path, &e)),
        }
        if look(path, Kind::File)?.is_none() {
            continue;
        }
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags()).open(path);
        let file = match file {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(|e| cannot(path, &e))?,
        };
        let meta = file.metadata().map_err(|e| cannot(path, &e))?;
        check(path, &meta, Kind::File)?;
        if meta.mode() & OTHERS != 0 {
            file.set_permissions(Permissions::from_mode(0o600)).map_err(|e| cannot(path, &e))?;
        }
        return Ok(file);
    }
}

/// Creates a file that must not exist yet.
pub(super) fn make_new(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Opens a file only for reading, without blocking on a pipe.
pub(super) fn open_to_look(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Opens a file that SQLite locks, only for reading, and keeps it open: closing a descriptor releases all locks that
/// this process has on the file, SQLite's too.
pub(super) fn keep_open(path: &Path) -> io::Result<Arc<File>> {
    static KEPT: Mutex<BTreeMap<(u64, u64), Arc<File>>> = Mutex::new(BTreeMap::new());
    let meta = fs::metadata(path)?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    match kept.entry((meta.dev(), meta.ino())) {
        Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
        Entry::Vacant(entry) => {
            let file = Arc::clone(entry.insert(Arc::new(open_to_look(path)?)));
            // Locks on a removed file block no other process.
            let is_there = |file: &File| file.metadata().is_ok_and(|meta| meta.nlink() > 0);
            kept.retain(|_, file| Arc::strong_count(file) > 1 || is_there(file));
            Ok(file)
        }
    }
}

/// Opens one end of a named pipe of the directory without waiting for the other.
pub(super) fn open_pipe(path: &Path, write: bool) -> io::Result<File> {
    let file = OpenOptions::new().read(!write).write(write).custom_flags(flags()).open(path)?;
    let meta = file.metadata()?;
    if !meta.file_type().is_fifo() || meta.uid() != us() {
        return Err(io::Error::other("it is no named pipe of this user"));
    }
    Ok(file)
}

/// Whether the directory takes new files from this process.
pub(super) fn is_writable(dir: &Path) -> bool {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Makes sure that a directory may be read: it and its content belong to this user, or cannot be changed anyway.
/// Returns whether it exists.
pub(super) fn may_look(dir: &Path) -> Result<bool> {
    match fs::metadata(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(cannot(dir, &e)),
        Ok(meta) if !meta.is_dir() => Err(no_directory(dir)),
        Ok(meta) if is_writable(dir) => {
            belongs_to_us(dir, &meta)?;
            contents(dir).try_for_each(|(path, kind)| look(&path, kind).map(drop)).map(|()| true)
        }
        Ok(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::tempdir;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private() {
        let root = tempdir().unwrap();
        let dir = root.path().join("a/b");
        make(&dir).unwrap();
        open(&dir.join("lock")).unwrap();
        assert_eq!([mode(&root.path().join("a")), mode(&dir), mode(&dir.join("lock"))], [0o700, 0o700, 0o600]);
    }

    #[test]
    fn what_was_open_to_others_is_closed() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("turn");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        survey(dir.path()).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn what_leads_elsewhere_is_refused_and_stays_as_it_is() {
        let dir = tempdir().unwrap();
        let other = dir.path().join("thesis");
        for name in FILES {
            let path = dir.path().join(name);
            fs::write(&other, "chapter one").unwrap();
            let refusal = |what: &str| {
                for error in
                    [open(&path).unwrap_err(), survey(dir.path()).unwrap_err(), may_look(dir.path()).unwrap_err()]
                {
                    let text = error.to_string();
                    assert!(matches!(error, StoreError::Refused { .. }), "{text}");
                    assert!(text.contains(name) && text.contains(what), "{text}");
                }
                assert_eq!(fs::read_to_string(&other).unwrap(), "chapter one", "{name}, {what}");
            };
            symlink(&other, &path).unwrap();
            refusal("symbolic link");
            fs::remove_file(&path).unwrap();
            symlink(dir.path().join("nowhere"), &path).unwrap();
            refusal("symbolic link");
            fs::remove_file(&path).unwrap();
            fs::hard_link(&other, &path).unwrap();
            refusal("hard links");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            refusal("a folder");
            fs::remove_dir(&path).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
            refusal("something else");
            fs::remove_file(&path).unwrap();
        }
        assert!(!dir.path().join("nowhere").exists());
    }

    /// Only root can give a file away: as root, the test creates a file of another user; otherwise it looks at one of
    /// root's.
    #[test]
    fn what_belongs_to_another_user_is_refused() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("claims");
        if us() == 0 {
            fs::write(&path, "").unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(open(&path).unwrap_err().to_string().contains("belongs to user 65534"));
            assert!(survey(dir.path()).unwrap_err().to_string().contains("belongs to user 65534"));
            std::os::unix::fs::chown(dir.path(), Some(65_534), None).unwrap();
            let error = make(dir.path()).unwrap_err().to_string();
            assert!(error.contains("sudo -u '#65534'"), "{error}");
        } else {
            let error = make(Path::new("/")).unwrap_err().to_string();
            assert!(error.contains("sudo -u '#0'"), "{error}");
            assert!(look(Path::new("/etc/passwd"), Kind::File).unwrap_err().to_string().contains("belongs to user 0"));
        }
    }
}
