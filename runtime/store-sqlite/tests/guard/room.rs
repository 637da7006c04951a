//! How much of the disk is taken, and what happens when it is full.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use reactor_core::event::ChannelId;
use reactor_core::store::{Committed, Request, StoreClient, StoreError, StoreOwner};
use reactor_store::conformance::{at, message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore};

use crate::support::{RESERVE, fixture, guest, open, open_as, own, owned, until, upkeep};

fn fill(store: &dyn StoreClient, channel: ChannelId) -> usize {
    let body = "x".repeat(20_000);
    for accepted in 0..1_000 {
        match wait(store.append(channel, vec![message(&body)])) {
            Ok(_) => {}
            Err(StoreError::Full) => return accepted,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the disk does not fill up")
}

#[test]
fn a_store_has_its_reserve_from_its_creation_on() {
    for owner in [true, false] {
        let dir = tempdir().unwrap();
        drop(open_as(owner, dir.path()).unwrap());
        let meta = fs::metadata(dir.path().join("reserve")).unwrap();
        assert_eq!(meta.len(), RESERVE);
        assert!(meta.blocks() * 512 >= RESERVE, "it takes up {} blocks", meta.blocks());
    }
}

#[test]
fn clients_do_not_use_up_the_reserve() {
    let dir = tempdir().unwrap();
    let store = own(dir.path(), &OpenOptions { size_limit: Some(1 << 20), ..owned() });
    let f = fixture(&store);
    let ids: Vec<_> = (0..20).map(|n| f.in_memory(n)).collect();
    let client = open(dir.path(), &guest());
    let accepted = fill(&store, f.channel);
    for _ in 0..3 {
        assert!(matches!(wait(client.append(f.channel, vec![message("y")])), Err(StoreError::Full)));
        let late = open(dir.path(), &guest());
        assert!(matches!(wait(late.append(f.channel, vec![message("y")])), Err(StoreError::Full)));
        assert!(matches!(wait(store.send(f.channel, vec![message("y")])), Err(StoreError::Full)));
    }
    wait(client.request(Request::Drop(1))).expect("a request brings no new event in");
    assert_eq!(f.bodies().len(), accepted, "what was refused is not there");
    for (number, id) in (1..).zip(&ids) {
        assert_eq!(f.commit(f.done(number, *id)), Committed::Applied, "what is under way is finished");
    }
    let cursor = Some(reactor_core::event::Offset(accepted as u64 + 1));
    wait(store.enter(reactor_core::store::Batch { cursor, ..f.batch(Vec::new(), at(1)) }))
        .expect_err("a batch brings new work in");
    let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
    conn.execute_batch(&format!("DELETE FROM log_{}", f.channel)).unwrap();
    store.maintain(&upkeep(&f, at(2))).unwrap();
    until("clients are let in again", || wait(client.append(f.channel, vec![message("there is room")])).is_ok());
}

#[test]
fn a_client_without_a_host_looks_for_room_itself() {
    let dir = tempdir().unwrap();
    let small = Some(1 << 20);
    let store = own(dir.path(), &OpenOptions { size_limit: small, ..owned() });
    let channel = store.channel_id("shop").unwrap();
    fill(&store, channel);
    drop(store);
    let client = open(dir.path(), &OpenOptions { size_limit: small, ..guest() });
    assert!(matches!(wait(client.append(channel, vec![message("y")])), Err(StoreError::Full)), "there is no room");
    drop(client);
    // The same on a disk with some room.
    let client = open(dir.path(), &guest());
    wait(client.append(channel, vec![message("y")])).unwrap();
    assert_eq!(fs::metadata(dir.path().join("reserve")).unwrap().len(), RESERVE);
    let limited = open(dir.path(), &OpenOptions { size_limit: Some(64 << 20), ..guest() });
    wait(limited.append(channel, vec![message("z")])).expect("it is noted in the store");
}

#[test]
fn clients_alone_leave_the_reserve_alone() {
    let dir = tempdir().unwrap();
    let client = open(dir.path(), &OpenOptions { size_limit: Some(1 << 20), ..guest() });
    let channel = client.channel_id("shop").unwrap();
    fill(&client, channel);
    assert_eq!(fs::metadata(dir.path().join("reserve")).unwrap().len(), RESERVE);
    drop(client);
    let store = own(dir.path(), &OpenOptions { size_limit: Some(1 << 20), ..owned() });
    wait(store.recover(&[])).expect("a host starts with what is left");
}

/// A real disk that is full to the last byte. Mounting it requires root:
/// `cargo test -p reactor-store-sqlite --test guard -- --ignored`
#[test]
#[ignore = "mounts a file system, which only root can do"]
fn an_owner_opens_a_store_on_a_full_disk() {
    let disk = Disk::of("40m");
    let dir = disk.0.path().join("data");
    let options = OpenOptions { reserve: 4 << 20, ..owned() };
    let client = open(&dir, &OpenOptions { reserve: 4 << 20, ..guest() });
    let channel = client.channel_id("shop").unwrap();
    let mut rest = File::create(disk.0.path().join("rest")).unwrap();
    rest.write_all(&vec![7; 20 << 20]).unwrap();
    let accepted = fill(&client, channel);
    drop(client);
    while rest.write(&[7; 4096]).is_ok_and(|written| written > 0) {}
    let look = SqliteStore::look(&dir).expect("what only reads works");
    assert_eq!(look.stats().unwrap().published, [("shop".to_owned(), accepted as u64)]);
    drop(look);
    let store = own(&dir, &options);
    assert!(!dir.join("reserve").exists(), "it was given up");
    store.reactor_id("inventory").expect("there is room to write");
    assert!(matches!(wait(store.append(channel, vec![message("y")])), Err(StoreError::Full)));
    drop(store);
    // Now even the space of the reserve is taken.
    rest.seek(SeekFrom::End(0)).unwrap();
    while rest.write(&[7; 4096]).is_ok_and(|written| written > 0) {}
    assert!(matches!(SqliteOwner::own(&dir, &options), Err(StoreError::Full) | Ok(_)));
    drop(rest);
    fs::remove_file(disk.0.path().join("rest")).unwrap();
    fixture(&own(&dir, &options)).publish(&["there is room again"]);
}

/// A mounted file system of this size.
struct Disk(TempDir);

impl Disk {
    fn of(size: &str) -> Self {
        let dir = tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", &format!("size={size}"), "none"];
        let status = Command::new("mount").args(mount).arg(dir.path()).status().unwrap();
        assert!(status.success(), "a file system cannot be mounted: only root can");
        Self(dir)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}
