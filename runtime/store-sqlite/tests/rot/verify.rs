//! A look at everything, and the way on.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

use reactor_core::store::{StoreError, StoreOwner};
use reactor_store_sqlite::{SqliteOwner, accept_loss, verify};

use crate::support::{copy, fixture, killed, options, outcome, read, seed, times, upkeep, work};

#[test]
fn verify_finds_what_was_done_to_a_store() {
    let mut random = StdRng::seed_from_u64(seed());
    let (left, content) = killed(11);
    let report = verify(left.path()).unwrap();
    assert_eq!((report.damage.len(), report.checksums), (0, true), "{report:?}");
    assert!(report.pages > 10 && report.frames > 10, "{report:?}");
    assert_eq!(outcome(left.path(), &content, "verified"), "whole", "it changes nothing");
    let closed = fs::read(left.path().join("reactor.db")).unwrap();
    for _ in 0..times() {
        let dir = tempdir().unwrap();
        copy(left.path(), dir.path());
        let pages = closed.len() / 4_096;
        let mut places: Vec<usize> = (0..random.random_range(1..4)).map(|_| random.random_range(0..pages)).collect();
        places.sort_unstable();
        places.dedup();
        let mut bytes = closed.clone();
        for page in &places {
            bytes[page * 4_096 + random.random_range(100..4_096)] ^= 1 << random.random_range(0..8);
        }
        fs::write(dir.path().join("reactor.db"), bytes).unwrap();
        let report = verify(dir.path()).unwrap();
        let file = dir.path().join("reactor.db");
        let named = |page: &usize| {
            let text = format!("page {} (byte {})", page + 1, page * 4_096);
            report.damage.iter().any(|one| one.file == file && one.detail.contains(&text))
        };
        assert!(places.iter().all(named), "{places:?}: {report:?}");
    }
}

#[test]
fn verify_works_beside_a_host() {
    let dir = tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(2);
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    work(&store, 0, 10, &mut random);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..10 {
                work(&store, 10 + round * 10, 10, &mut StdRng::seed_from_u64(round));
                store.maintain(&upkeep()).unwrap();
            }
        });
        // In a separate process, as the command is: closing a descriptor releases all locks of this process on the
        // file.
        while !writer.is_finished() {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "verify::child_that_verifies", "--nocapture"])
                .env("ROT_VERIFY_DIR", dir.path())
                .output()
                .unwrap();
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        }
    });
}

/// Not a test of its own: the process that verifies another's store.
#[test]
fn child_that_verifies() {
    let Ok(dir) = std::env::var("ROT_VERIFY_DIR") else { return };
    let report = verify(Path::new(&dir)).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
}

#[test]
fn a_loss_in_the_log_is_accepted_and_counted() {
    let mut random = StdRng::seed_from_u64(seed());
    let killed = killed(13);
    for _ in 0..times() {
        let dir = tempdir().unwrap();
        copy(killed.0.path(), dir.path());
        let log = dir.path().join("reactor.db-wal");
        let mut bytes = fs::read(&log).unwrap();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1;
        fs::write(&log, &bytes).unwrap();
        SqliteOwner::own(dir.path(), &options()).unwrap_err();
        let accepted = accept_loss(dir.path()).unwrap().unwrap();
        assert_eq!(fs::read(accepted.kept.join("reactor.db-wal")).unwrap(), bytes);
        assert!(accepted.transactions.unwrap() > 0 && accepted.pages.is_empty(), "{accepted:?}");
        let store = SqliteOwner::own(dir.path(), &options()).unwrap();
        let found = read(&store).unwrap();
        assert!(found.bodies.len() < killed.1.bodies.len());
        assert_eq!(found.bodies[..], killed.1.bodies[..found.bodies.len()], "what is before the damage is there");
        work(&store, 1_000, 3, &mut random);
        drop(store);
        assert!(verify(dir.path()).unwrap().damage.is_empty());
        assert!(accept_loss(dir.path()).unwrap().is_none(), "nothing is damaged any more");
    }
}

#[test]
fn a_damaged_page_is_used_as_it_is_only_when_asked_for() {
    let dir = tempdir().unwrap();
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    fixture(&store).publish(&["a", "mississippi", "c"]);
    drop(store);
    let file = dir.path().join("reactor.db");
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.windows(11).position(|part| part == b"mississippi").unwrap();
    bytes[place] = b'M';
    fs::write(&file, &bytes).unwrap();
    assert!(SqliteOwner::own(dir.path(), &options()).and_then(|store| read(&store)).is_err());
    let accepted = accept_loss(dir.path()).unwrap().unwrap();
    assert_eq!(accepted.pages, [place as u64 / 4_096 * 4_096]);
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    assert_eq!(fixture(&store).bodies(), ["a", "Mississippi", "c"]);
    drop(store);
    let page = place / 4_096 * 4_096;
    bytes[page..page + 4_096].fill(0);
    fs::write(&file, &bytes).unwrap();
    let error = accept_loss(dir.path()).unwrap_err();
    assert!(error.to_string().contains("only a back-up helps"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
}

#[test]
fn a_loss_is_not_accepted_under_a_running_host() {
    let dir = tempdir().unwrap();
    let _store = SqliteOwner::own(dir.path(), &options()).unwrap();
    assert!(matches!(accept_loss(dir.path()).unwrap_err(), StoreError::Locked { .. }));
}
