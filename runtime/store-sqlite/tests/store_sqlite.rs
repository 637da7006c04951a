//! Faults that only a store on a disk can have.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use reactor_core::event::{ChannelId, Offset, Origin};
use reactor_core::store::{
    Admitted, Asked, Batch, Committed, Fate, NewDelivery, Place, Request, StoreClient, StoreError, StoreOwner, Upkeep,
};
use reactor_store::conformance::{DAY, Fixture, at, key, message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore};

fn owner(dir: &Path) -> SqliteOwner {
    SqliteOwner::own(dir, &OpenOptions { reserve: 64 << 10, ..OpenOptions::owner(4) }).unwrap()
}

fn client(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, &OpenOptions::client()).unwrap()
}

fn fails(dir: &Path) -> StoreError {
    SqliteOwner::own(dir, &OpenOptions::owner(1)).unwrap_err()
}

fn fixture<S: StoreClient>(store: &S) -> Fixture<'_, S> {
    let (channel, reactor) = (store.channel_id("shop").unwrap(), store.reactor_id("inventory").unwrap());
    Fixture { store, channel, reactor }
}

/// A directory with a store that holds three records.
fn sample() -> TempDir {
    let dir = tempdir().unwrap();
    let store = owner(dir.path());
    fixture(&store).publish(&["a", "b", "c"]);
    drop(store);
    dir
}

// --- who may open what --------------------------------------------------------------------------------------------

#[test]
fn one_owner_at_a_time() {
    let dir = tempdir().unwrap();
    let first = owner(dir.path());
    match fails(dir.path()) {
        StoreError::Locked { pid, path } => {
            assert_eq!(pid, std::process::id().to_string());
            assert_eq!(path, dir.path().display().to_string());
        }
        other => panic!("{other}"),
    }
    drop(first);
    owner(dir.path());
}

#[test]
fn a_file_where_the_directory_should_be() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("data");
    fs::write(&path, "x").unwrap();
    assert!(fails(&path).to_string().contains("is a file, not a directory"));
    assert!(fails(&path.join("below")).to_string().contains("cannot make the data directory"));
}

#[tokio::test]
async fn whoever_appends_or_requests_is_heard() {
    let dir = tempdir().unwrap();
    let (owner, client) = (owner(dir.path()), client(dir.path()));
    let channel = owner.channel_id("shop").unwrap();
    let heard = async || tokio::time::timeout(Duration::from_secs(30), owner.rung()).await.is_ok();
    for store in [&owner as &dyn StoreClient, &client] {
        store.append(channel, vec![message("a")]).await.unwrap();
        assert!(heard().await, "an append");
        store.request(Request::Drop(7)).await.unwrap();
        assert!(heard().await, "a request");
    }
}

/// The flags in `.cargo/config.toml` assume that the store syncs with `fdatasync`; only this one of them can be
/// queried.
#[test]
fn sqlite_was_compiled_as_the_project_wants_it() {
    let conn = Connection::open_in_memory().unwrap();
    let mut select = conn.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "built without the flags: {options:?}");
}

#[test]
fn other_files_are_refused_untouched() {
    let sqlite = |sql: &str| {
        let dir = tempdir().unwrap();
        Connection::open(dir.path().join("reactor.db")).unwrap().execute_batch(sql).unwrap();
        dir
    };
    let dir = sqlite("CREATE TABLE t (a)");
    assert!(
        matches!(fails(dir.path()), StoreError::Foreign { reason, .. } if reason.contains("other SQLite database"))
    );
    let dir = tempdir().unwrap();
    let path = dir.path().join("reactor.db");
    fs::write(&path, "my thesis\n".repeat(100)).unwrap();
    assert!(matches!(fails(dir.path()), StoreError::Foreign { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "my thesis\n".repeat(100));
    fs::write(&path, "").unwrap();
    assert!(matches!(fails(dir.path()), StoreError::Damaged { .. }));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(fails(dir.path()), StoreError::Refused { .. }));
}

#[test]
fn newer_stores_are_refused() {
    let dir = sample();
    let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
    conn.execute_batch("PRAGMA user_version = 7").unwrap();
    assert!(matches!(fails(dir.path()), StoreError::Newer { found: 7, known: 5, .. }), "stamp in the log");
    drop(conn);
    assert!(matches!(fails(dir.path()), StoreError::Newer { found: 7, known: 5, .. }), "stamp in the file");
}

#[test]
fn older_stores_are_migrated() {
    let tables = "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
    let schema = |dir: &Path| -> Vec<String> {
        let conn = Connection::open(dir.join("reactor.db")).unwrap();
        let mut select = conn.prepare(tables).unwrap();
        let plain = |sql: String| -> String {
            let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
            lines.flat_map(str::split_whitespace).collect::<String>()
        };
        select.query_map([], |row| row.get(0)).unwrap().map(|sql| plain(sql.unwrap())).collect()
    };
    // What version 2 added, and what later versions added; pages had no checksums.
    let fifth = include_str!("before_version_5.sql");
    let fourth = "DROP TABLE dropped; DROP VIEW ledger_status; ALTER TABLE ledger DROP COLUMN channel;
                  ALTER TABLE ledger DROP COLUMN record; ALTER TABLE ledger DROP COLUMN part;";
    let view = include_str!("../src/schema.sql").rsplit_once("CREATE VIEW").unwrap().1;
    let group = "INSERT INTO meta VALUES ('group', 0);";
    let second = "DROP TABLE outbox; DROP INDEX deliveries_away; ALTER TABLE deliveries DROP COLUMN leased;";
    let third = |more: &str| format!("{fifth} {fourth} CREATE VIEW {view} {more}");
    for (version, without) in [(1, third(second)), (2, third("")), (3, third(group)), (4, format!("{fifth} {group}"))] {
        let dir = tempdir().unwrap();
        let sql = include_str!("../src/schema.sql").replace("('group', 0), ", "");
        let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
        conn.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA application_id = {}; {sql} {without} PRAGMA user_version = {version};
             INSERT INTO reactors (name) VALUES ('inventory');",
            0x5263_7452
        ))
        .unwrap();
        drop(conn);
        drop(client(dir.path()));
        assert_eq!(schema(dir.path()), schema(tempdir_with_store().path()), "as if it had been made so");
        let store = owner(dir.path());
        assert_eq!(store.reactor_names().unwrap().len(), 1, "nothing is lost");
        fixture(&store).publish(&["a"]);
    }
}

/// Before version 4 the ledger did not record the origin of a delivery's event.
#[test]
fn what_an_earlier_version_admitted_is_told_as_far_as_it_is_known() {
    let dir = tempdir().unwrap();
    let (schema, newer) = (include_str!("../src/schema.sql"), include_str!("before_version_5.sql"));
    let hex = |number| key(number).0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA application_id = {}; PRAGMA user_version = 3; {schema} {newer}
         DROP VIEW ledger_status; DROP TABLE dropped;
         ALTER TABLE ledger DROP COLUMN channel; ALTER TABLE ledger DROP COLUMN record; ALTER TABLE ledger DROP COLUMN part;
         INSERT INTO reactors (name) VALUES ('inventory'); INSERT INTO channels (name, next, cursor) VALUES ('shop', 3, 3);
         CREATE TABLE log_1 (offset INTEGER PRIMARY KEY, accepted_wall INTEGER NOT NULL, accepted_host INTEGER NOT NULL,
                             attributes TEXT, system TEXT, body BLOB NOT NULL);
         INSERT INTO log_1 VALUES (1, 0, 0, NULL, NULL, x'7b7d'), (2, 0, 0, NULL, NULL, x'7b7d');
         INSERT INTO ledger VALUES (1, 1, {}, x'{}');",
        0x5263_7452,
        at(0).0,
        hex(1)
    ))
    .unwrap();
    drop(conn);
    let store = owner(dir.path());
    let f = fixture(&store);
    f.admit(Vec::new(), at(10));
    f.publish(&["{}"]);
    let asked = |offset, number| {
        let origin = Origin { channel: f.channel, offset: Offset(offset), part: 0 };
        Asked { reactor: f.reactor, key: key(number), origin }
    };
    let fate = |offset, number| store.fates((f.channel, Offset(offset)), &[asked(offset, number)]).unwrap().remove(0);
    let third = NewDelivery { origin: asked(3, 1).origin, ..f.new_delivery(1, Place::Memory) };
    assert_eq!(f.admit(vec![third], at(11)), [Admitted::Duplicate]);
    assert_eq!(fate(3, 1), Some(Fate::Duplicate { first: None, fate: Box::new(Fate::Done) }));
    for offset in [1, 2] {
        assert_eq!(fate(offset, 1), Some(Fate::Done), "one of them did it");
    }
    assert_eq!(fate(2, 2), None);
    // What the earlier version admitted is noted only in part; everything admitted since is noted.
    let told = store.traces(f.channel, Offset(1), Offset(3)).unwrap();
    assert_eq!(told.complete_from, Offset(3));
    let told: Vec<_> = told.all.into_iter().map(|trace| (trace.origin.offset, trace.fate)).collect();
    assert_eq!(told, [(Offset(3), fate(3, 1).unwrap())]);
}

fn tempdir_with_store() -> TempDir {
    let dir = tempdir().unwrap();
    drop(owner(dir.path()));
    dir
}

#[test]
fn damage_is_named() {
    let dir = sample();
    let path = dir.path().join("reactor.db");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = fails(dir.path());
    assert!(matches!(&error, StoreError::Damaged { path, .. } if path.ends_with("reactor.db")), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes[..bytes.len() / 2], "it was touched");
    let mut noise = bytes.clone();
    noise[200..4096].fill(0xee);
    fs::write(&path, noise).unwrap();
    assert!(matches!(fails(dir.path()), StoreError::Damaged { .. }));
    fs::write(&path, bytes).unwrap();
    assert_eq!(fixture(&owner(dir.path())).bodies(), ["a", "b", "c"]);
}

#[test]
fn a_log_without_its_database() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("reactor.db-wal"), "x").unwrap();
    assert!(matches!(fails(dir.path()), StoreError::Damaged { .. }), "a new database would swallow it");
}

// --- creation -----------------------------------------------------------------------------------------------------

#[test]
fn many_creators_make_one_store() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a/b");
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| fixture(&client(&path)).publish(&["x"]));
        }
        scope.spawn(|| fixture(&owner(&path)).publish(&["x"]));
    });
    assert_eq!(fixture(&client(&path)).bodies().len(), 7);
    let names: Vec<String> =
        fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains("tmp")), "{names:?}");
}

#[test]
fn what_a_dead_creator_left_is_removed() {
    let dir = tempdir().unwrap();
    let stale = dir.path().join("reactor.db.tmp-1");
    fs::write(&stale, "half a database").unwrap();
    owner(dir.path());
    assert!(!stale.exists());
}

// --- crashes ------------------------------------------------------------------------------------------------------

/// Not a test of its own: the process that `what_is_answered_survives_kill_9` kills.
#[test]
fn child_that_publishes_until_killed() {
    let Ok(dir) = std::env::var("STORE_CHILD_DIR") else { return };
    let store = owner(Path::new(&dir));
    let f = fixture(&store);
    for number in 0_u64.. {
        let offset = f.publish(&[&number.to_string()]).0;
        let id = f.admit_one(f.new_delivery(number, Place::Memory));
        store.mark(&[(0, Some((id, 1)))]).unwrap();
        assert_eq!(f.commit(f.done(number + 1, id)), Committed::Applied);
        println!("acked {offset}");
    }
}

#[test]
fn what_is_answered_survives_kill_9() {
    for round in 1..=3 {
        let dir = tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_publishes_until_killed", "--nocapture"])
            .env("STORE_CHILD_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acked = |line: String| line.strip_prefix("acked ").map(|n| n.parse::<u64>().unwrap());
        let mut last = 0;
        while last < 10 * round {
            last = acked(lines.next().unwrap().unwrap()).unwrap_or(last);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.map_while(Result::ok).filter_map(acked).last().unwrap_or(last);
        let store = owner(dir.path());
        let f = fixture(&store);
        assert!(f.bodies().len() as u64 >= last, "{} of {last}", f.bodies().len());
        let counts = f.counts();
        assert!(counts.done >= last, "{} of {last}", counts.done);
        let recovered = f.recover(&[]);
        assert!(recovered.interrupted.len() <= f.spilled().len());
        assert_eq!(f.spilled().len() as u64, counts.active, "what was in memory can be loaded");
    }
}

#[test]
fn a_torn_tail_loses_only_what_was_not_synced() {
    let dir = tempdir().unwrap();
    let store = owner(dir.path());
    let f = fixture(&store);
    let mut sizes = Vec::new();
    for number in 0..12 {
        f.publish(&[&"x".repeat(3_000 + number)]);
        sizes.push(fs::metadata(dir.path().join("reactor.db-wal")).unwrap().len());
    }
    let (base, log) =
        (fs::read(dir.path().join("reactor.db")).unwrap(), fs::read(dir.path().join("reactor.db-wal")).unwrap());
    for cut in (0..log.len()).step_by(1_777).chain([log.len()]) {
        let next = tempdir().unwrap();
        fs::write(next.path().join("reactor.db"), &base).unwrap();
        fs::write(next.path().join("reactor.db-wal"), &log[..cut]).unwrap();
        let store = owner(next.path());
        let synced = sizes.iter().filter(|size| **size <= cut as u64).count();
        let found = match store.channel_names().unwrap()[..] {
            [] => 0,
            _ => fixture(&store).bodies().len(),
        };
        assert_eq!(found, synced, "cut at {cut} of {}", log.len());
    }
}

// --- groups -------------------------------------------------------------------------------------------------------

#[test]
fn a_bad_neighbour_harms_nobody() {
    let dir = tempdir().unwrap();
    let store = owner(dir.path());
    let f = fixture(&store);
    let answers = wait(join_all((0..60_u32).map(|number| {
        let channel = if number % 7 == 3 { ChannelId(99) } else { f.channel };
        store.append(channel, vec![message(&number.to_string())])
    })));
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), number % 7 == 3, "{number}: {answer:?}");
    }
    let expected: Vec<String> = (0..60).filter(|n| n % 7 != 3).map(|n: u32| n.to_string()).collect();
    assert_eq!(f.bodies(), expected);
}

#[test]
fn a_replaced_owner_writes_nothing() {
    let dir = tempdir().unwrap();
    let store = owner(dir.path());
    let f = fixture(&store);
    let id = f.in_memory(1);
    let other = Connection::open(dir.path().join("reactor.db")).unwrap();
    other.execute_batch("UPDATE meta SET value = value + 1 WHERE name = 'epoch'").unwrap();
    assert!(matches!(wait(store.commit(vec![f.done(1, id)].into())), Err(StoreError::Fenced)));
    other.execute_batch("UPDATE meta SET value = value - 1 WHERE name = 'epoch'").unwrap();
    let late = wait(store.append(f.channel, vec![message("late")]));
    assert!(matches!(late, Err(StoreError::Fenced)), "once is for ever");
    assert_eq!(f.counts().active, 1);
    assert!(f.bodies().is_empty());
}

#[test]
fn a_client_gets_its_turn() {
    let dir = tempdir().unwrap();
    let store = owner(dir.path());
    let f = fixture(&store);
    let (stop, other) = (AtomicBool::new(false), client(dir.path()));
    let channel = other.channel_id("other").unwrap();
    let mut slowest = Duration::ZERO;
    let mut rounds = 0_u32;
    let before = store.foreign_changes().unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut rounds = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                // Two at a time, so that the writer never has to wait for this thread.
                let answers = wait(join_all([0; 2].map(|_| store.append(f.channel, vec![message("a")]))));
                assert!(answers.iter().all(Result::is_ok));
                rounds += 1;
            }
            rounds
        });
        for _ in 0..40 {
            let start = Instant::now();
            wait(other.append(channel, vec![message("b")])).unwrap();
            slowest = slowest.max(start.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        rounds = writer.join().unwrap();
    });
    assert!(slowest < Duration::from_secs(3), "the client waited {slowest:?}");
    assert!(rounds >= 20, "the owner got {rounds} turns beside 40 of the client");
    assert_ne!(store.foreign_changes().unwrap(), before);
}

// --- a full disk --------------------------------------------------------------------------------------------------

#[test]
fn a_full_disk_refuses_intake_and_finishes_work() {
    let dir = tempdir().unwrap();
    let options = OpenOptions { reserve: 256 << 10, size_limit: Some(1 << 20), ..OpenOptions::owner(4) };
    let store = SqliteOwner::own(dir.path(), &options).unwrap();
    let f = fixture(&store);
    let reserve = dir.path().join("reserve");
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 256 << 10);
    let ids: Vec<_> = (0..20).map(|n| f.in_memory(n)).collect();
    let body = "x".repeat(20_000);
    let mut accepted = 0;
    let error = loop {
        match wait(store.append(f.channel, vec![message(&body)])) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the disk does not fill up");
    };
    assert!(matches!(error, StoreError::Full), "{error}");
    assert_eq!(f.bodies().len(), accepted, "what was refused is not there");
    assert!(!reserve.exists(), "the reserve is in use");
    assert!(matches!(wait(store.append(f.channel, vec![message("y")])), Err(StoreError::Full)));
    for (number, id) in (1..).zip(&ids) {
        let commit = if number % 2 == 0 { f.done(number, *id) } else { f.died(number, *id, f.letter(number)) };
        assert_eq!(f.commit(commit), Committed::Applied, "what is under way is finished");
    }
    assert_eq!(f.counts().active, 0);
    let upkeep = |now| Upkeep {
        now,
        ledger_window: DAY,
        retention: vec![(f.channel, Duration::from_secs(1))],
        away: 15 * DAY,
        history: DAY,
    };
    store.maintain(&upkeep(at(0))).unwrap();
    assert!(matches!(wait(store.append(f.channel, vec![message("y")])), Err(StoreError::Full)), "still no room");
    let cursor = Offset(accepted as u64 + 1);
    let refused = wait(store.enter(Batch { cursor: Some(cursor), ..f.batch(Vec::new(), at(1)) }));
    assert!(matches!(refused, Err(StoreError::Full)));
    let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
    conn.execute_batch(&format!("DELETE FROM log_{} WHERE offset > 1", f.channel)).unwrap();
    store.maintain(&upkeep(at(2))).unwrap();
    f.publish(&["there is room again"]);
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 256 << 10);
}

#[test]
fn the_lock_file_names_the_owner() {
    let dir = tempdir().unwrap();
    let _store = owner(dir.path());
    let mut pid = String::new();
    fs::File::open(dir.path().join("lock")).unwrap().read_to_string(&mut pid).unwrap();
    assert_eq!(pid, std::process::id().to_string());
}
