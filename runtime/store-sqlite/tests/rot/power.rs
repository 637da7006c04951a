//! What was answered survives a loss of power, and nothing is answered that could not be synced.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

use reactor_core::store::{Place, Request, StoreClient, StoreError, StoreOwner};
use reactor_store::conformance::wait;
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore};

use crate::support::{copy, fixture, options, outcome, read, seed, times, upkeep, work};

/// After a power cut the log ends anywhere behind the synced part, and the note may be older.
#[test]
fn a_power_cut_loses_nothing_that_was_answered() {
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..3 {
        let dir = tempdir().unwrap();
        let store = SqliteOwner::own(dir.path(), &options()).unwrap();
        let f = fixture(&store);
        let (mut synced, mut notes) = (Vec::new(), Vec::new());
        for number in 0..20_u64 {
            f.publish(&[&"x".repeat(random.random_range(10..9_000))]);
            synced.push(fs::metadata(dir.path().join("reactor.db-wal")).unwrap().len());
            notes.push(fs::read(dir.path().join("durable")).unwrap());
            if random.random_bool(0.3) {
                f.admit_one(f.new_delivery(number, Place::Spilled));
            }
        }
        let log = fs::read(dir.path().join("reactor.db-wal")).unwrap();
        for _ in 0..times() {
            let next = tempdir().unwrap();
            copy(dir.path(), next.path());
            let answered = random.random_range(0..synced.len());
            let start = usize::try_from(synced[answered]).unwrap();
            let mut torn = log[..random.random_range(start..=log.len())].to_vec();
            for sector in (start.next_multiple_of(512)..torn.len()).step_by(512) {
                let end = (sector + 512).min(torn.len());
                if random.random_bool(0.3) {
                    torn[sector..end].fill(0);
                }
            }
            fs::write(next.path().join("reactor.db-wal"), torn).unwrap();
            fs::write(next.path().join("durable"), &notes[random.random_range(0..=answered)]).unwrap();
            let found = SqliteOwner::own(next.path(), &options()).unwrap();
            assert!(
                fixture(&found).bodies().len() > answered,
                "{} of {}",
                fixture(&found).bodies().len(),
                answered + 1
            );
        }
    }
}

/// Power is cut while a checkpoint writes the database: any of its sectors may be old or new.
#[test]
fn a_torn_checkpoint_loses_nothing() {
    let mut random = StdRng::seed_from_u64(seed());
    let (dir, before) = (tempdir().unwrap(), tempdir().unwrap());
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    work(&store, 0, 30, &mut random);
    let content = read(&store).unwrap();
    copy(dir.path(), before.path());
    let (old, database) = (fs::read(before.path().join("reactor.db")).unwrap(), dir.path().join("reactor.db"));
    store.maintain(&upkeep()).unwrap();
    while fs::metadata(&database).unwrap().len() as usize == old.len() {
        std::thread::yield_now();
    }
    // The checkpointer has finished one run when it has handled the next transaction.
    store.maintain(&upkeep()).unwrap();
    drop(store);
    let new = fs::read(&database).unwrap();
    for _ in 0..times() {
        let next = tempdir().unwrap();
        copy(before.path(), next.path());
        let mut torn = new[..random.random_range(old.len()..=new.len())].to_vec();
        for sector in (0..old.len()).step_by(512) {
            if random.random_bool(0.5) {
                torn[sector..sector + 512].copy_from_slice(&old[sector..sector + 512]);
            }
        }
        fs::write(next.path().join("reactor.db"), torn).unwrap();
        assert_eq!(outcome(next.path(), &content, "torn"), "whole");
    }
}

static SYNCS: AtomicUsize = AtomicUsize::new(0);

fn failing_sync(_: &Path) -> io::Result<()> {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    Err(io::Error::from_raw_os_error(5))
}

#[test]
fn a_folder_that_cannot_be_synced_ends_the_process_and_nothing_is_accepted() {
    let dir = tempdir().unwrap();
    drop(SqliteOwner::own(dir.path(), &options()).unwrap());
    for owner in [false, true] {
        let before = SYNCS.load(Ordering::Relaxed);
        let store: Box<dyn StoreClient> = if owner {
            let options = OpenOptions { sync_folder: failing_sync, ..options() };
            Box::new(SqliteOwner::own(dir.path(), &options).unwrap())
        } else {
            let options = OpenOptions { sync_folder: failing_sync, ..OpenOptions::client() };
            Box::new(SqliteStore::open(dir.path(), &options).unwrap())
        };
        let error = wait(store.request(Request::Drop(1))).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
        assert_eq!(SYNCS.load(Ordering::Relaxed), before + 1);
        let error = wait(store.request(Request::Drop(2))).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "once is for ever: {error}");
        assert_eq!(SYNCS.load(Ordering::Relaxed), before + 1, "it is never tried again");
    }
}
