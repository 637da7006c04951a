//! Who may enter the data directory.

use std::fs::{self, OpenOptions as FileOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use reactor_core::store::StoreError;
use reactor_store_sqlite::{SqliteOwner, SqliteStore};

use crate::support::{fixture, guest, mode, open, open_as, own, owned, sample};

#[test]
fn everything_is_private_whatever_the_umask() {
    for mask in ["000", "022", "777"] {
        let root = tempdir().unwrap();
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "other::child_that_is_in_the_way", "--nocapture"])
            .envs([("GUARD_WHAT", "makes a store without a umask"), ("GUARD_UMASK", mask)])
            .env("GUARD_DIR", root.path().join("data"))
            .output()
            .unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        let mut found: Vec<&str> = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        found.sort_unstable();
        let files = ["bell", "claims", "lock", "reactor.db", "reactor.db-shm", "reactor.db-wal", "reserve", "turn"];
        let mut wanted: Vec<String> = files.iter().map(|name| format!("600 {name}")).collect();
        wanted.push("700 data".into());
        for line in &wanted {
            assert!(found.contains(&line.as_str()), "umask {mask}: no {line} in {text}");
        }
        let open_to_others = found.iter().filter(|line| !line.starts_with("600 ") && !line.starts_with("700 "));
        assert_eq!(open_to_others.count(), 0, "umask {mask}: {text}");
    }
}

#[test]
fn what_was_open_to_others_is_closed() {
    let dir = sample();
    for name in ["reactor.db", "lock", "turn", "claims", "reserve"] {
        fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o666)).unwrap();
    }
    let store = open(dir.path(), &guest());
    fixture(&store).publish(&["d"]);
    for name in ["reactor.db", "reactor.db-wal", "reactor.db-shm", "lock", "turn", "claims", "reserve"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
}

/// The content of a file that a name in the data directory is made to lead to.
const THESIS: &str = "chapter one\n";

#[track_caller]
fn is_refused(dir: &Path, name: &str, what: &str) {
    for owner in [true, false] {
        let error = open_as(owner, dir).err().unwrap();
        assert!(matches!(error, StoreError::Refused { .. }), "{name}, {what}: {error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(what), "{error}");
    }
}

#[test]
fn links_lead_nowhere() {
    for name in ["lock", "turn", "claims", "reserve", "bell", "reactor.db", "reactor.db-wal", "reactor.db-shm"] {
        let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
        let (path, thesis) = (dir.path().join(name), elsewhere.path().join("thesis"));
        fs::write(&thesis, THESIS).unwrap();
        symlink(&thesis, &path).unwrap();
        is_refused(dir.path(), name, "symbolic link");
        fs::remove_file(&path).unwrap();
        symlink(elsewhere.path().join("new"), &path).unwrap();
        is_refused(dir.path(), name, "symbolic link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        is_refused(dir.path(), name, "a folder");
        fs::remove_dir(&path).unwrap();
        if name != "bell" {
            fs::hard_link(&thesis, &path).unwrap();
            is_refused(dir.path(), name, "hard links");
        }
        assert_eq!(fs::read_to_string(&thesis).unwrap(), THESIS, "{name}");
        assert!(!elsewhere.path().join("new").exists(), "{name}");
    }
}

#[test]
fn a_database_with_a_second_name_is_refused_until_it_has_one() {
    let dir = sample();
    let second = dir.path().join("second");
    fs::hard_link(dir.path().join("reactor.db"), &second).unwrap();
    is_refused(dir.path(), "reactor.db", "hard links");
    fs::remove_file(second).unwrap();
    assert_eq!(fixture(&own(dir.path(), &owned())).bodies(), ["a", "b", "c"]);
}

/// Only root can give a directory away; without root, the test uses one of root's.
#[test]
fn a_directory_of_another_user_is_refused() {
    let dir = sample();
    let is_root = fs::metadata(dir.path()).unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(dir.path(), Some(65_534), None).unwrap();
        is_refused(dir.path(), "sudo -u '#65534'", "belongs to user 65534");
        assert!(matches!(SqliteStore::look(dir.path()), Err(StoreError::Refused { .. })), "root can write there");
        std::os::unix::fs::chown(dir.path(), Some(0), None).unwrap();
        std::os::unix::fs::chown(dir.path().join("claims"), Some(65_534), None).unwrap();
        is_refused(dir.path(), "claims", "belongs to user 65534");
    } else {
        is_refused(Path::new("/"), "sudo -u '#0'", "belongs to user 0");
    }
}

#[test]
fn claims_of_three_gibibytes_are_not_read() {
    let dir = sample();
    FileOptions::new().write(true).open(dir.path().join("claims")).unwrap().set_len(3 << 30).unwrap();
    let error = SqliteOwner::own(dir.path(), &owned()).unwrap_err();
    assert!(matches!(&error, StoreError::Refused { path, .. } if path.ends_with("claims")), "{error}");
}
