//! Who waits for whom.

use std::fs;
use std::thread;
use std::time::Duration;

use tempfile::tempdir;

use reactor_core::store::{StoreClient, StoreError, StoreOwner};
use reactor_store::conformance::{at, message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

use crate::other::Other;
use crate::support::{SHORT, fixture, guest, open, open_as, own, owned, sample, until, upkeep};

#[test]
fn a_turn_that_is_kept_for_ever_stops_nobody() {
    let dir = sample();
    let store = open(dir.path(), &guest());
    let f = fixture(&store);
    let _other = Other::that("holds the turn", dir.path());
    f.publish(&["d", "e"]);
    f.publish(&["f"]);
    let host = own(dir.path(), &owned());
    fixture(&host).publish(&["g"]);
    assert_eq!(f.bodies(), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn who_keeps_a_store_from_being_made_is_named() {
    let dir = tempdir().unwrap();
    let other = Other::that("holds the turn", dir.path());
    for owner in [true, false] {
        let error = open_as(owner, dir.path()).err().unwrap();
        assert!(matches!(&error, StoreError::Busy { who, .. } if who.contains(&other.named())), "{error}");
    }
    drop(other);
    open(dir.path(), &guest());
}

#[test]
fn a_client_gives_up_on_a_busy_store_and_names_who_keeps_it() {
    let dir = sample();
    let store = open(dir.path(), &guest());
    let f = fixture(&store);
    for what in ["writes", "locks the index"] {
        let other = Other::that(what, dir.path());
        let error = wait(store.append(f.channel, vec![message("d")])).unwrap_err();
        assert!(matches!(&error, StoreError::Busy { who, .. } if who.contains(&other.named())), "{what}: {error}");
    }
    assert_eq!(f.bodies(), ["a", "b", "c"], "what failed was not accepted");
    f.publish(&["d"]);
}

#[test]
fn an_owner_waits_for_a_busy_store_as_long_as_it_takes() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    for what in ["writes", "locks the index"] {
        let other = Other::that(what, dir.path());
        thread::scope(|scope| {
            let append = scope.spawn(|| wait(store.append(f.channel, vec![message(what)])));
            thread::sleep(3 * SHORT);
            assert!(!append.is_finished(), "{what}: it did not wait");
            drop(other);
            append.join().unwrap().unwrap();
        });
    }
    assert_eq!(f.bodies()[3..], ["writes", "locks the index"]);
}

#[test]
fn an_owner_that_gives_up_waits_for_nobody() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    let other = Other::that("writes", dir.path());
    thread::scope(|scope| {
        let append = scope.spawn(|| wait(store.append(f.channel, vec![message("d")])));
        thread::sleep(SHORT);
        store.give_up();
        let error = append.join().unwrap().unwrap_err();
        assert!(matches!(&error, StoreError::Busy { who, .. } if who.contains(&other.named())), "{error}");
    });
    assert_eq!(f.bodies(), ["a", "b", "c"]);
}

#[test]
fn a_command_that_owns_the_store_for_a_moment_gives_up() {
    let dir = sample();
    let _other = Other::that("writes", dir.path());
    let opened = SqliteOwner::own(dir.path(), &OpenOptions { endless: false, ..owned() });
    assert!(matches!(opened, Err(StoreError::Busy { .. })), "{opened:?}");
}

#[test]
fn a_store_that_is_closed_while_it_waits_is_closed() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    let other = Other::that("writes", dir.path());
    // Requested, and not awaited.
    drop(store.append(f.channel, vec![message("d")]));
    drop(store);
    drop(other);
    assert_eq!(fixture(&open(dir.path(), &guest())).bodies(), ["a", "b", "c"], "it was given up");
}

/// Writes 256 MiB of log while another process keeps an old snapshot: neither the owner nor a client waits for it, and
/// when it has gone the log starts over.
#[test]
fn a_reader_that_keeps_its_state_stops_nobody() {
    let dir = sample();
    let store = own(dir.path(), &owned());
    let f = fixture(&store);
    let client = open(dir.path(), &OpenOptions { patience: Duration::from_secs(10), ..guest() });
    let log = || fs::metadata(dir.path().join("reactor.db-wal")).unwrap().len();
    let body = "x".repeat(1 << 20);
    let other = Other::that("reads an old state", dir.path());
    for _ in 0..67 {
        f.publish(&[body.as_str(); 4]);
        fixture(&client).publish(&["a client's"]);
    }
    assert!(log() > 256 << 20, "the log has {} bytes", log());
    drop(other);
    until("the log has started over", || {
        f.publish(&["y"]);
        store.maintain(&upkeep(&f, at(0))).unwrap();
        log() <= 128 << 20
    });
}
