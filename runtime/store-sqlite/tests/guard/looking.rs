//! A look makes nothing and changes nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rusqlite::Connection;
use tempfile::tempdir;

use reactor_core::event::ChannelId;
use reactor_core::store::{Request, StoreClient, StoreError};
use reactor_store::conformance::{message, wait};
use reactor_store_sqlite::{SqliteStore, verify};

use crate::support::{fixture, own, owned, sample};

#[test]
fn looking_makes_nothing_and_changes_nothing() {
    let root = tempdir().unwrap();
    let dir = root.path().join("data");
    assert!(matches!(SqliteStore::look(&dir), Err(StoreError::Missing { .. })));
    assert!(!dir.exists());
    fs::create_dir(&dir).unwrap();
    assert!(matches!(SqliteStore::look(&dir), Err(StoreError::Missing { .. })));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);

    let dir = sample();
    let before = fs::read(dir.path().join("reactor.db")).unwrap();
    let store = SqliteStore::look(dir.path()).unwrap();
    assert_eq!(store.stats().unwrap().published, [("shop".to_owned(), 3)]);
    assert!(wait(store.append(ChannelId(1), vec![message("d")])).is_err());
    assert!(wait(store.request(Request::Drop(1))).is_err());
    drop(store);
    assert_eq!(fs::read(dir.path().join("reactor.db")).unwrap(), before);
    for name in ["durable", "claims", "lock", "reactor.db-wal"] {
        let (path, aside) = (dir.path().join(name), dir.path().join("aside"));
        let was_there = fs::rename(&path, &aside).is_ok();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        for error in [SqliteStore::look(dir.path()).unwrap_err(), verify(dir.path()).unwrap_err()] {
            assert!(matches!(&error, StoreError::Refused { path, .. } if path.ends_with(name)), "{error}");
        }
        fs::remove_file(&path).unwrap();
        if was_there {
            fs::rename(&aside, &path).unwrap();
        }
    }
    let host = own(dir.path(), &owned());
    fixture(&host).publish(&["d"]);
    let store = SqliteStore::look(dir.path()).unwrap();
    assert_eq!(store.stats().unwrap().published, [("shop".to_owned(), 4)], "beside a host");
}

/// No folder is read-only for root, so as root this shows only that the mode does not matter.
#[test]
fn looking_works_in_a_folder_that_cannot_be_written() {
    let dir = sample();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).unwrap();
    let published = SqliteStore::look(dir.path()).and_then(|store| store.stats()).map(|stats| stats.published);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(published.unwrap(), [("shop".to_owned(), 3)]);
}

#[test]
fn an_older_store_is_not_changed_by_a_look() {
    let dir = tempfile::tempdir().unwrap();
    let schema = include_str!("../../src/schema.sql");
    let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
    let stamp = format!("PRAGMA application_id = {}; PRAGMA user_version = 2;", 0x5263_7452);
    conn.execute_batch(&format!("PRAGMA journal_mode = WAL; {stamp} {schema}")).unwrap();
    drop(conn);
    let error = SqliteStore::look(dir.path()).unwrap_err().to_string();
    assert!(error.contains("older Reactor") && error.contains("reactor up"), "{error}");
}
