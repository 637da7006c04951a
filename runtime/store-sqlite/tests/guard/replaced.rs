//! Whether it is still the store that was opened.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;

use reactor_core::store::{StoreClient, StoreError, StoreOwner};
use reactor_store::conformance::{at, message, wait};

use crate::support::{fixture, guest, open, open_as, own, owned, sample, until, upkeep};

/// Waits until the file system's clock has advanced since the database was last written.
fn tick(dir: &Path) {
    let changed = |name: &str| fs::metadata(dir.join(name)).unwrap().modified().unwrap();
    until("time goes on", || {
        fs::write(dir.join("probe"), "").unwrap();
        changed("probe") > changed("reactor.db")
    });
}

/// Ways in which a store disappears, and whether a client can detect it, too.
type Way = (&'static str, bool, fn(&Path));

const WAYS: [Way; 9] = [
    ("the directory is removed", true, |dir| fs::remove_dir_all(dir).unwrap()),
    ("it is moved", true, |dir| fs::rename(dir, dir.with_extension("old")).unwrap()),
    ("another one is put in its place", true, |dir| {
        fs::rename(dir, dir.with_extension("old")).unwrap();
        fixture(&open(dir, &guest())).publish(&["another"]);
    }),
    ("a copy is put in its place", true, |dir| {
        fs::rename(dir, dir.with_extension("old")).unwrap();
        fs::create_dir(dir).unwrap();
        for entry in fs::read_dir(dir.with_extension("old")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
    }),
    ("a copy of the database is moved over it", true, |dir| {
        fs::copy(dir.join("reactor.db"), dir.join("copy")).unwrap();
        fs::rename(dir.join("copy"), dir.join("reactor.db")).unwrap();
    }),
    ("a copy of the database is written into it", false, |dir| {
        let copy = fs::read(dir.join("reactor.db")).unwrap();
        tick(dir);
        fs::write(dir.join("reactor.db"), copy).unwrap();
    }),
    ("the log is cut short", false, |dir| File::create(dir.join("reactor.db-wal")).map(drop).unwrap()),
    ("the log is removed", true, |dir| fs::remove_file(dir.join("reactor.db-wal")).unwrap()),
    ("the lock is removed", false, |dir| fs::remove_file(dir.join("lock")).unwrap()),
];

#[test]
fn a_store_that_goes_away_under_its_owner_ends_it() {
    for (what, _, go) in WAYS {
        let root = tempdir().unwrap();
        let dir = root.path().join("data");
        drop(open(&dir, &guest()));
        let store = own(&dir, &owned());
        let f = fixture(&store);
        let id = f.in_memory(1);
        f.publish(&["a"]);
        store.foreign_changes().unwrap();
        go(&dir);
        let looked = store.foreign_changes();
        assert!(matches!(looked, Err(StoreError::Gone { .. })), "{what}: {looked:?}");
        let done = wait(store.commit(vec![f.done(1, id)].into()));
        assert!(matches!(done, Err(StoreError::Gone { .. })), "{what}: {done:?}");
        assert!(store.maintain(&upkeep(&f, at(1))).is_err(), "{what}");
    }
}

/// Even between two checks, a write to files without a name is never reported as done.
#[test]
fn what_is_written_into_a_store_that_went_away_is_not_told_as_written() {
    for (what, clients_see_it, go) in WAYS {
        for owner in [true, false] {
            let root = tempdir().unwrap();
            let dir = root.path().join("data");
            drop(own(&dir, &owned()));
            let store = open_as(owner, &dir).unwrap();
            let channel = store.channel_id("shop").unwrap();
            wait(store.append(channel, vec![message("a")])).unwrap();
            go(&dir);
            // A write into the files themselves is found by the owner's check.
            if owner && what == "the lock is removed" || clients_see_it {
                let told = wait(store.append(channel, vec![message("b")]));
                assert!(matches!(told, Err(StoreError::Gone { .. })), "{what}, owner: {owner}: {told:?}");
            }
        }
    }
}

#[test]
fn a_replaced_database_is_left_as_it_is() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    let path = dir.path().join("reactor.db");
    let copy = fs::read(&path).unwrap();
    f.publish(&["d"]);
    tick(dir.path());
    fs::write(&path, &copy).unwrap();
    store.foreign_changes().unwrap_err();
    wait(store.append(f.channel, vec![message("e")])).unwrap_err();
    drop(store);
    assert!(fs::read(&path).unwrap() == copy, "the log was written into the copy");
}

#[test]
fn a_checkpoint_by_another_program_is_no_replacement() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    let other = Connection::open(dir.path().join("reactor.db")).unwrap();
    let mut accepted = f.bodies().len();
    'all: for how in ["PASSIVE", "FULL", "RESTART", "TRUNCATE", "PASSIVE"] {
        for round in 0..3 {
            match wait(f.store.append(f.channel, vec![message(how)])) {
                Ok(_) => accepted += 1,
                // It moves pages without their checksums, which is detected when one of them is read again.
                Err(StoreError::Damaged { detail, .. }) if detail.contains("lost its checksum") => break 'all,
                Err(error) => panic!("{how}, {round}: {error}"),
            }
            other.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).unwrap();
            if let Err(error @ StoreError::Gone { .. }) = store.foreign_changes() {
                panic!("{how}, {round}: {error}");
            }
        }
    }
    drop((other, store));
    let store = own(dir.path(), &owned());
    assert_eq!(fixture(&store).bodies().len(), accepted, "the next one gives the pages their checksums");
}

#[test]
fn its_own_checkpoints_are_no_replacement() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    let body = "x".repeat(1 << 20);
    for _ in 0..40 {
        f.publish(&[&body]);
        store.maintain(&upkeep(&f, at(0))).unwrap();
        store.foreign_changes().unwrap();
    }
}
