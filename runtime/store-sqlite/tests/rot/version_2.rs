//! A store of version 2 is brought up to date, also by a process that is killed while it does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

use reactor_core::store::StoreError;
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore};

use crate::support::{fixture, options, read, seed, times};

/// A store of version 2, which had no checksums.
fn version_2(dir: &Path) {
    let schema = include_str!("../../src/schema.sql").replace("('group', 0), ", "");
    let newer = include_str!("../before_version_5.sql");
    let old = rusqlite::Connection::open(dir.join("reactor.db")).unwrap();
    old.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;
         BEGIN; PRAGMA application_id = {}; PRAGMA user_version = 2; {schema} {newer}
         DROP VIEW ledger_status; DROP TABLE dropped;
         ALTER TABLE ledger DROP COLUMN channel; ALTER TABLE ledger DROP COLUMN record; ALTER TABLE ledger DROP COLUMN part;
         INSERT INTO channels (name, next) VALUES ('shop', 301); INSERT INTO reactors (name) VALUES ('inventory');
         CREATE TABLE log_1 (offset INTEGER PRIMARY KEY, accepted_wall INTEGER NOT NULL, accepted_host INTEGER NOT NULL,
                             attributes TEXT, system TEXT, body BLOB NOT NULL);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO log_1 SELECT i, 0, 0, NULL, NULL, CAST(printf('%d%.*c', i, i * 20, 'x') AS BLOB) FROM n;
         COMMIT;",
        0x5263_7452
    ))
    .unwrap();
}

#[test]
fn a_store_of_version_2_gets_checksums() {
    let dir = tempdir().unwrap();
    version_2(dir.path());
    let body = |number: usize| format!("{number}{}", "x".repeat(number * 20));
    let expected: Vec<String> = (1..=300).map(body).collect();
    drop(SqliteStore::open(dir.path(), &OpenOptions::client()).unwrap());
    let bytes = fs::read(dir.path().join("reactor.db")).unwrap();
    assert_eq!((bytes[20], bytes[63]), (8, 5), "room for checksums, and the version");
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    assert_eq!(fixture(&store).bodies(), expected);
    drop(store);
    let place = bytes.windows(100).position(|part| part.iter().all(|byte| *byte == b'x')).unwrap();
    let mut bytes = fs::read(dir.path().join("reactor.db")).unwrap();
    bytes[place] ^= 1;
    fs::write(dir.path().join("reactor.db"), bytes).unwrap();
    let store = SqliteOwner::own(dir.path(), &options());
    let error = store.and_then(|store| read(&store)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

/// Not a test of its own: the process that is killed while it migrates a store.
#[test]
fn child_that_migrates() {
    let Ok(dir) = std::env::var("ROT_CHILD_DIR") else { return };
    SqliteStore::open(Path::new(&dir), &OpenOptions::client()).unwrap();
}

#[test]
fn a_migration_that_is_killed_leaves_a_store_that_opens() {
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..times() {
        let dir = tempdir().unwrap();
        version_2(dir.path());
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "version_2::child_that_migrates"])
            .env("ROT_CHILD_DIR", dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.random_range(0..60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = SqliteOwner::own(dir.path(), &options()).unwrap();
        assert_eq!(fixture(&store).bodies().len(), 300);
        drop(store);
        assert_eq!(fs::read(dir.path().join("reactor.db")).unwrap()[20], 8);
    }
}
