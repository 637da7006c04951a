//! The store and its environment: who may use the data directory, who waits for whom, how much disk space is taken, and
//! that the store notices when its files are replaced.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

use std::fs::{self, File, OpenOptions as FileOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use reactor_core::event::ChannelId;
use reactor_core::store::{Committed, Request, Result, StoreClient, StoreError, StoreOwner, Upkeep};
use reactor_store::conformance::{DAY, Fixture, at, message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore, verify};

/// How long a client waits in these tests.
const SHORT: Duration = Duration::from_millis(200);
const RESERVE: u64 = 256 << 10;

fn owned() -> OpenOptions {
    OpenOptions { reserve: RESERVE, patience: SHORT, ..OpenOptions::owner(4) }
}

fn guest() -> OpenOptions {
    OpenOptions { reserve: RESERVE, patience: SHORT, ..OpenOptions::client() }
}

fn own(dir: &Path, options: &OpenOptions) -> SqliteOwner {
    SqliteOwner::own(dir, options).unwrap()
}

fn open(dir: &Path, options: &OpenOptions) -> SqliteStore {
    SqliteStore::open(dir, options).unwrap()
}

/// Opens a store as its owner, or as a client.
fn open_as(owner: bool, dir: &Path) -> Result<Arc<dyn StoreClient>> {
    if owner {
        SqliteOwner::own(dir, &owned()).map(|store| Arc::new(store) as Arc<dyn StoreClient>)
    } else {
        SqliteStore::open(dir, &guest()).map(|store| Arc::new(store) as Arc<dyn StoreClient>)
    }
}

fn fixture<S: StoreClient>(store: &S) -> Fixture<'_, S> {
    let (channel, reactor) = (store.channel_id("shop").unwrap(), store.reactor_id("inventory").unwrap());
    Fixture { store, channel, reactor }
}

/// A directory with a store that holds three records.
fn sample() -> TempDir {
    let dir = tempdir().unwrap();
    fixture(&own(dir.path(), &owned())).publish(&["a", "b", "c"]);
    dir
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Waits until a condition holds, or panics.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the file system's clock has advanced since the database was last written.
fn tick(dir: &Path) {
    let changed = |name: &str| fs::metadata(dir.join(name)).unwrap().modified().unwrap();
    until("time goes on", || {
        fs::write(dir.join("probe"), "").unwrap();
        changed("probe") > changed("reactor.db")
    });
}

// --- another process ----------------------------------------------------------------------------------------------

/// A separate process that does what it is told by name, until it is dropped.
struct Other(Child);

impl Other {
    fn that(what: &str, dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_in_the_way", "--nocapture"])
            .envs([("GUARD_WHAT", what), ("GUARD_DIR", dir.to_str().unwrap())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("it is so")), "the child has failed");
        Self(child)
    }

    fn named(&self) -> String {
        format!("process {}", self.0.id())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: the process that [`Other`] starts.
#[test]
fn child_that_is_in_the_way() {
    let Ok(what) = std::env::var("GUARD_WHAT") else { return };
    let dir = std::env::var("GUARD_DIR").unwrap();
    let dir = Path::new(&dir);
    let file = |name: &str| FileOptions::new().read(true).write(true).open(dir.join(name)).unwrap();
    let until_killed = || {
        println!("it is so");
        let _ = std::io::stdin().read(&mut [0]);
    };
    match what.as_str() {
        "holds the turn" => {
            let turn = FileOptions::new().create(true).append(true).open(dir.join("turn")).unwrap();
            turn.lock().unwrap();
            until_killed();
        }
        "writes" => {
            let conn = Connection::open(dir.join("reactor.db")).unwrap();
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            until_killed();
        }
        "reads an old state" => {
            let conn = Connection::open(dir.join("reactor.db")).unwrap();
            conn.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
            until_killed();
        }
        "locks the index" => {
            let index = file("reactor.db-shm");
            rustix::fs::fcntl_lock(&index, rustix::fs::FlockOperation::NonBlockingLockShared).unwrap();
            until_killed();
        }
        "makes a store without a umask" => {
            let mask = u32::from_str_radix(&std::env::var("GUARD_UMASK").unwrap(), 8).unwrap();
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let store = own(dir, &owned());
            fixture(&store).publish(&["a"]);
            runtime.block_on(async { tokio::time::timeout(SHORT, store.rung()).await }).unwrap();
            for entry in [Ok(dir.to_owned())].into_iter().chain(fs::read_dir(dir).unwrap().map(|e| Ok(e?.path()))) {
                let path: std::io::Result<_> = entry;
                let path = path.unwrap();
                println!("{:o} {}", mode(&path), path.file_name().unwrap().to_str().unwrap());
            }
            println!("it is so");
        }
        other => panic!("{other}"),
    }
}

// --- who may enter ------------------------------------------------------------------------------------------------

#[test]
fn everything_is_private_whatever_the_umask() {
    for mask in ["000", "022", "777"] {
        let root = tempdir().unwrap();
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_in_the_way", "--nocapture"])
            .envs([("GUARD_WHAT", "makes a store without a umask"), ("GUARD_UMASK", mask)])
            .env("GUARD_DIR", root.path().join("data"))
            .output()
            .unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        let mut found: Vec<&str> = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        found.sort_unstable();
        let files = ["bell", "claims", "lock", "reactor.db", "reactor.db-shm", "reactor.db-wal", "reserve", "turn"];
        let mut wanted: Vec<String> = files.iter().map(|name| format!("600 {name}")).collect();
        wanted.push("700 data".into());
        for line in &wanted {
            assert!(found.contains(&line.as_str()), "umask {mask}: no {line} in {text}");
        }
        let open_to_others = found.iter().filter(|line| !line.starts_with("600 ") && !line.starts_with("700 "));
        assert_eq!(open_to_others.count(), 0, "umask {mask}: {text}");
    }
}

#[test]
fn what_was_open_to_others_is_closed() {
    let dir = sample();
    for name in ["reactor.db", "lock", "turn", "claims", "reserve"] {
        fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o666)).unwrap();
    }
    let store = open(dir.path(), &guest());
    fixture(&store).publish(&["d"]);
    for name in ["reactor.db", "reactor.db-wal", "reactor.db-shm", "lock", "turn", "claims", "reserve"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
}

/// The content of a file that a name in the data directory is made to lead to.
const THESIS: &str = "chapter one\n";

#[track_caller]
fn is_refused(dir: &Path, name: &str, what: &str) {
    for owner in [true, false] {
        let error = open_as(owner, dir).err().unwrap();
        assert!(matches!(error, StoreError::Refused { .. }), "{name}, {what}: {error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(what), "{error}");
    }
}

#[test]
fn links_lead_nowhere() {
    for name in ["lock", "turn", "claims", "reserve", "bell", "reactor.db", "reactor.db-wal", "reactor.db-shm"] {
        let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
        let (path, thesis) = (dir.path().join(name), elsewhere.path().join("thesis"));
        fs::write(&thesis, THESIS).unwrap();
        symlink(&thesis, &path).unwrap();
        is_refused(dir.path(), name, "symbolic link");
        fs::remove_file(&path).unwrap();
        symlink(elsewhere.path().join("new"), &path).unwrap();
        is_refused(dir.path(), name, "symbolic link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        is_refused(dir.path(), name, "a folder");
        fs::remove_dir(&path).unwrap();
        if name != "bell" {
            fs::hard_link(&thesis, &path).unwrap();
            is_refused(dir.path(), name, "hard links");
        }
        assert_eq!(fs::read_to_string(&thesis).unwrap(), THESIS, "{name}");
        assert!(!elsewhere.path().join("new").exists(), "{name}");
    }
}

#[test]
fn a_database_with_a_second_name_is_refused_until_it_has_one() {
    let dir = sample();
    let second = dir.path().join("second");
    fs::hard_link(dir.path().join("reactor.db"), &second).unwrap();
    is_refused(dir.path(), "reactor.db", "hard links");
    fs::remove_file(second).unwrap();
    assert_eq!(fixture(&own(dir.path(), &owned())).bodies(), ["a", "b", "c"]);
}

/// Only root can give a directory away; without root, the test uses one of root's.
#[test]
fn a_directory_of_another_user_is_refused() {
    let dir = sample();
    let is_root = fs::metadata(dir.path()).unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(dir.path(), Some(65_534), None).unwrap();
        is_refused(dir.path(), "sudo -u '#65534'", "belongs to user 65534");
        assert!(matches!(SqliteStore::look(dir.path()), Err(StoreError::Refused { .. })), "root can write there");
        std::os::unix::fs::chown(dir.path(), Some(0), None).unwrap();
        std::os::unix::fs::chown(dir.path().join("claims"), Some(65_534), None).unwrap();
        is_refused(dir.path(), "claims", "belongs to user 65534");
    } else {
        is_refused(Path::new("/"), "sudo -u '#0'", "belongs to user 0");
    }
}

#[test]
fn claims_of_three_gibibytes_are_not_read() {
    let dir = sample();
    FileOptions::new().write(true).open(dir.path().join("claims")).unwrap().set_len(3 << 30).unwrap();
    let error = SqliteOwner::own(dir.path(), &owned()).unwrap_err();
    assert!(matches!(&error, StoreError::Refused { path, .. } if path.ends_with("claims")), "{error}");
}

// --- who waits for whom -------------------------------------------------------------------------------------------

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

// --- whether it is still the store --------------------------------------------------------------------------------

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
        let done = wait(store.commit(vec![f.done(1, id)]));
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

// --- room ---------------------------------------------------------------------------------------------------------

fn upkeep(f: &Fixture<'_, SqliteOwner>, now: reactor_core::event::HostTime) -> Upkeep {
    Upkeep {
        now,
        ledger_window: DAY,
        retention: vec![(f.channel, Duration::from_secs(1))],
        away: 15 * DAY,
        history: DAY,
    }
}

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
/// `cargo test -p reactor-store-sqlite --test store_guard -- --ignored`
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

// --- looking ------------------------------------------------------------------------------------------------------

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
    let schema = include_str!("../src/schema.sql");
    let conn = Connection::open(dir.path().join("reactor.db")).unwrap();
    let stamp = format!("PRAGMA application_id = {}; PRAGMA user_version = 2;", 0x5263_7452);
    conn.execute_batch(&format!("PRAGMA journal_mode = WAL; {stamp} {schema}")).unwrap();
    drop(conn);
    let error = SqliteStore::look(dir.path()).unwrap_err().to_string();
    assert!(error.contains("older Reactor") && error.contains("reactor up"), "{error}");
}
