//! Damage is refused by name, or changes nothing.

use std::collections::BTreeMap;
use std::fs;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::{TempDir, tempdir};

use reactor_core::store::{StoreClient, StoreError};
use reactor_store::conformance::{message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore, accept_loss, verify};

use crate::support::{Content, copy, killed, options, outcome, read, seed, times, work};

/// Alters copies of a killed store's file several times, and counts the outcomes.
fn damage(
    file: &str,
    kind: &str,
    random: &mut StdRng,
    killed: &(TempDir, Content),
    mut spoil: impl FnMut(&mut Vec<u8>, &mut StdRng) -> String,
) -> BTreeMap<&'static str, usize> {
    let mut outcomes = BTreeMap::new();
    for _ in 0..times() {
        let dir = tempdir().unwrap();
        copy(killed.0.path(), dir.path());
        let path = dir.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let what = format!("{file}: {kind} {}", spoil(&mut bytes, random));
        fs::write(&path, bytes).unwrap();
        *outcomes.entry(outcome(dir.path(), &killed.1, &what)).or_default() += 1;
    }
    println!("{file:<16} {kind:<12} {outcomes:?}");
    outcomes
}

#[test]
fn a_flipped_bit_is_refused_by_name_or_changes_nothing() {
    let seed = seed();
    println!("REACTOR_SEED={seed}");
    let (killed, mut random) = (killed(seed), StdRng::seed_from_u64(seed));
    for file in ["reactor.db", "reactor.db-wal", "durable", "claims", "lock", "turn", "reserve"] {
        let size = fs::metadata(killed.0.path().join(file)).unwrap().len();
        if size == 0 {
            continue;
        }
        let outcomes = damage(file, "flip", &mut random, &killed, |bytes, random| {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
            format!("in byte {at}")
        });
        if file == "reactor.db-wal" {
            assert_eq!(outcomes.get("refused"), Some(&times()), "every frame was answered as durable");
        } else if !file.starts_with("reactor.db") {
            assert_eq!(outcomes.get("whole"), Some(&times()), "{file} is no reason to refuse");
        }
    }
}

#[test]
fn what_is_missing_zeroed_or_moved_is_refused_by_name_or_changes_nothing() {
    let seed = seed();
    println!("REACTOR_SEED={seed}");
    let (killed, mut random) = (killed(seed), StdRng::seed_from_u64(seed));
    for file in ["reactor.db", "reactor.db-wal"] {
        damage(file, "cut", &mut random, &killed, |bytes, random| {
            bytes.truncate(random.random_range(0..bytes.len()));
            format!("to {} bytes", bytes.len())
        });
        for sector in [512, 4_096] {
            damage(file, &format!("zeroed {sector}"), &mut random, &killed, |bytes, random| {
                let at = random.random_range(0..bytes.len() / sector) * sector;
                bytes[at..at + sector].fill(0);
                format!("at {at}")
            });
        }
    }
    damage("reactor.db", "moved page", &mut random, &killed, |bytes, random| {
        let pages = bytes.len() / 4_096;
        let (from, to) = (random.random_range(0..pages) * 4_096, random.random_range(0..pages) * 4_096);
        bytes.copy_within(from..from + 4_096, to);
        format!("from {from} to {to}")
    });
    let gone = tempdir().unwrap();
    copy(killed.0.path(), gone.path());
    fs::remove_file(gone.path().join("reactor.db-wal")).unwrap();
    for error in [SqliteStore::look(gone.path()).unwrap_err(), SqliteOwner::own(gone.path(), &options()).unwrap_err()] {
        assert!(matches!(&error, StoreError::Damaged { path, .. } if path.ends_with("reactor.db-wal")), "{error}");
    }
    fs::remove_file(gone.path().join("reactor.db")).unwrap();
    for error in [SqliteStore::look(gone.path()).unwrap_err(), SqliteOwner::own(gone.path(), &options()).unwrap_err()] {
        assert!(matches!(&error, StoreError::Damaged { path, .. } if path.ends_with("reactor.db")), "{error}");
    }
    assert!(verify(gone.path()).unwrap().damage[0].file.ends_with("reactor.db"));
    let error = accept_loss(gone.path()).unwrap_err().to_string();
    assert!(error.contains("restore a back-up"), "{error}");
    assert!(!gone.path().join("reactor.db").exists(), "no empty one is made in its place");
    for file in ["claims", "durable", "lock", "turn", "reserve"] {
        let dir = tempdir().unwrap();
        copy(killed.0.path(), dir.path());
        fs::remove_file(dir.path().join(file)).unwrap();
        assert_eq!(outcome(dir.path(), &killed.1, file), "whole", "{file}");
    }
}

#[test]
fn damage_names_file_place_and_what_is_behind() {
    let killed = killed(7);
    let dir = tempdir().unwrap();
    copy(killed.0.path(), dir.path());
    let log = dir.path().join("reactor.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    bytes[32 + 4_120 * 3 + 100] ^= 4;
    fs::write(&log, bytes).unwrap();
    let text = SqliteStore::open(dir.path(), &OpenOptions::client()).unwrap_err().to_string();
    for part in ["reactor.db-wal is damaged", "frame 4 (byte 12392)", "frames behind it", "store verify", "accept-loss"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A page of the log that is damaged while the store is open is found before it reaches the database.
#[test]
fn a_log_that_changes_under_an_open_store_ends_it() {
    let dir = tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    work(&store, 0, 30, &mut random);
    let log = fs::OpenOptions::new().read(true).write(true).open(dir.path().join("reactor.db-wal")).unwrap();
    let size = log.metadata().unwrap().len();
    for frame in 0..(size - 32) / 4_120 {
        use std::os::unix::fs::FileExt;
        let mut byte = [0];
        let at = 32 + frame * 4_120 + 24 + 4_000;
        log.read_exact_at(&mut byte, at).unwrap();
        log.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
    let error = read(&store).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { path, .. } if path.ends_with("reactor.db-wal")), "{error}");
    let error = wait(store.append(reactor_core::event::ChannelId(1), vec![message("x")])).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

/// A restored copy of the database beside a log or note of another state.
#[test]
fn an_older_copy_of_the_database_is_noticed() {
    let dir = tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(5);
    work(&SqliteOwner::own(dir.path(), &options()).unwrap(), 0, 5, &mut random);
    let old = fs::read(dir.path().join("reactor.db")).unwrap();
    work(&SqliteOwner::own(dir.path(), &options()).unwrap(), 5, 5, &mut random);
    fs::write(dir.path().join("reactor.db"), old).unwrap();
    let text = SqliteOwner::own(dir.path(), &options()).unwrap_err().to_string();
    assert!(text.contains("if this is a back-up"), "{text}");
    fs::remove_file(dir.path().join("durable")).unwrap();
    SqliteOwner::own(dir.path(), &options()).unwrap();
}
