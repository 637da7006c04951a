//! What kills and other programs leave is no damage.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

use reactor_core::event::Offset;
use reactor_core::store::{Place, StoreClient, StoreError, StoreOwner};
use reactor_store::conformance::{message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore, verify};

use crate::support::{copy, fixture, killed, options, outcome, seed, times, upkeep};

/// What other programs do with a store: read it, back it up, and move the log into it when they close it last.
#[test]
fn what_sqlite3_moved_out_of_the_log_is_taken_over() {
    let (left, content) = killed(3);
    let copied = tempdir().unwrap();
    {
        let other = rusqlite::Connection::open(left.path().join("reactor.db")).unwrap();
        let count: i64 = other.query_row("SELECT count(*) FROM dead", [], |row| row.get(0)).unwrap();
        assert_eq!(count as usize, content.letters.len());
        let target = copied.path().join("reactor.db");
        other.execute("VACUUM INTO ?1", [target.to_str().unwrap()]).unwrap();
    }
    assert!(!left.path().join("reactor.db-wal").exists(), "it was the last to close it");
    for dir in [left.path(), copied.path()] {
        assert_eq!(outcome(dir, &content, "taken over"), "whole");
        assert_eq!(outcome(dir, &content, "and again"), "whole");
        let mut bytes = fs::read(dir.join("reactor.db")).unwrap();
        for page in bytes.chunks_mut(4_096) {
            page[2_000] ^= 1;
        }
        fs::write(dir.join("reactor.db"), bytes).unwrap();
        assert!(outcome(dir, &content, "the checksums are there").starts_with("refused"));
    }
}

/// Not a test of its own: a host, or a client, that works until it is killed.
#[test]
fn child_that_works_until_killed() {
    let Ok(dir) = std::env::var("ROT_WORK_DIR") else { return };
    let publish = |store: &dyn StoreClient, number: u64| {
        let body = "x".repeat(if number.is_multiple_of(3) { 20_000 } else { 100 });
        wait(store.append(store.channel_id("shop").unwrap(), vec![message(&body)])).unwrap();
        println!("acked {number}");
    };
    if std::env::var("ROT_WORK_OWNER").is_err() {
        let store = match SqliteStore::open(Path::new(&dir), &OpenOptions::client()) {
            Ok(store) => store,
            Err(error) => return println!("failed {error}"),
        };
        for number in 0.. {
            publish(&store, number);
        }
    }
    let store = match SqliteOwner::own(Path::new(&dir), &options()) {
        Ok(store) => store,
        Err(error) => return println!("failed {error}"),
    };
    for number in 0.. {
        publish(&store, number);
        // Not durable, so the log continues behind the noted part.
        let f = fixture(&store);
        f.admit_one(f.new_delivery(rand::random(), Place::Spilled));
        store.maintain(&upkeep()).unwrap();
    }
}

/// Hosts and clients are killed at any moment, together or in turn, while checkpoints run: the store that remains opens
/// with everything that was answered; without its log, it opens only if nothing is missing.
#[test]
fn what_kills_leave_is_no_damage() {
    use std::io::{BufRead, BufReader};
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempdir().unwrap();
    let mut answered = 0;
    for round in 0..times() {
        let start = |owner: bool| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command
                .args(["--exact", "no_damage::child_that_works_until_killed", "--nocapture"])
                .env("ROT_WORK_DIR", dir.path());
            if owner {
                command.env("ROT_WORK_OWNER", "1");
            }
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        };
        let mut children = vec![start(true), start(false)];
        std::thread::sleep(Duration::from_millis(random.random_range(20..400)));
        if random.random_bool(0.5) {
            children.reverse();
        }
        for child in &mut children {
            child.kill().unwrap();
            if random.random_bool(0.5) {
                std::thread::sleep(Duration::from_millis(random.random_range(0..50)));
            }
        }
        for mut child in children {
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            for line in lines.map_while(Result::ok) {
                assert!(!line.starts_with("failed"), "round {round}: {line}");
                answered += usize::from(line.starts_with("acked"));
            }
            child.wait().unwrap();
        }
        let without = tempdir().unwrap();
        copy(dir.path(), without.path());
        let _ = fs::remove_file(without.path().join("reactor.db-wal"));
        let count = |store: &SqliteStore| {
            let channel = store.channel_names().unwrap().first().map(|(id, _)| *id);
            channel.map_or(0, |channel| store.read_log(channel, Offset(1), 1_000_000, usize::MAX).unwrap().len())
        };
        match SqliteStore::open(without.path(), &OpenOptions::client()) {
            Ok(store) => assert!(count(&store) >= answered, "round {round}: {} of {answered}", count(&store)),
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "round {round}: {error}"),
        }
        if random.random_bool(0.3) {
            let other = rusqlite::Connection::open(dir.path().join("reactor.db")).unwrap();
            let _: i64 = other.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        }
        let store = SqliteStore::open(dir.path(), &OpenOptions::client()).unwrap();
        assert!(count(&store) >= answered, "round {round}: {} of {answered}", count(&store));
        drop(store);
        assert!(verify(dir.path()).unwrap().damage.is_empty());
    }
    println!("{} kills, {answered} answers", times());
}
