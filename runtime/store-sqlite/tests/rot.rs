//! Damage of every kind to every file of a store: it is rejected by name, or no data is missing.
//!
//! `REACTOR_FLIPS=200 cargo test --package reactor-store-sqlite --test rot -- --nocapture` flips that many bits in each
//! file and prints the outcomes. `REACTOR_SEED` repeats a run.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::{TempDir, tempdir};

use reactor_core::event::{DeliveryId, Offset};
use reactor_core::store::{
    Commit, Committed, DeadFilter, Effect, Place, Request, StoreClient, StoreError, StoreOwner, Upkeep,
};
use reactor_store::conformance::{DAY, Fixture, at, message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore, accept_loss, verify};

/// The content of a store, as a program sees it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    bodies: Vec<String>,
    values: Vec<Option<(Vec<u8>, u64)>>,
    letters: Vec<String>,
    active: Vec<DeliveryId>,
}

const KEYS: usize = 12;

fn options() -> OpenOptions {
    OpenOptions { reserve: 64 << 10, ..OpenOptions::owner(4) }
}

fn fixture<S: StoreClient>(store: &S) -> Fixture<'_, S> {
    let (channel, reactor) = (store.channel_id("shop").unwrap(), store.reactor_id("inventory").unwrap());
    Fixture { store, channel, reactor }
}

fn read(store: &impl StoreClient) -> Result<Content, StoreError> {
    let Some((channel, _)) = store.channel_names()?.into_iter().next() else { return Ok(Content::default()) };
    let Some((reactor, _)) = store.reactor_names()?.into_iter().next() else { return Ok(Content::default()) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let records = store.read_log(channel, Offset(1), 10_000, usize::MAX)?;
    let values = (0..KEYS).map(|key| store.state(reactor, &format!("key-{key}")));
    store.stats()?;
    Ok(Content {
        bodies: records.iter().map(|record| text(&record.message.body)).collect(),
        values: values
            .map(|value| Ok(value?.map(|(value, version)| (value.to_vec(), version.0))))
            .collect::<Result<_, StoreError>>()?,
        letters: store.dead_letters(&DeadFilter::default())?.iter().map(|dead| format!("{:?}", dead.letter)).collect(),
        active: store.spilled(reactor, DeliveryId(0), 10_000)?.iter().map(|one| one.id).collect(),
    })
}

/// Some work: events of all sizes, state, dead letters, unfinished deliveries.
fn work(store: &SqliteOwner, from: u64, count: u64, random: &mut StdRng) {
    let f = fixture(store);
    for number in from..from + count {
        let size = [10, 300, 3_000, 12_000][random.random_range(0..4)];
        let body: String = (0..size).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
        f.publish(&[&body]);
        let place = if number % 5 == 4 { Place::Spilled } else { Place::Memory };
        let id = f.admit_one(f.new_delivery(number, place));
        if place == Place::Spilled {
            continue;
        }
        store.mark(&[(0, Some((id, 1)))]).unwrap();
        let commit = if number % 7 == 3 { f.died(number + 1, id, f.letter(number)) } else { f.done(number + 1, id) };
        let value = body.as_bytes()[..size.min(2_000)].to_vec();
        let key = format!("key-{}", random.random_range(0..KEYS));
        let effects = vec![Effect::Set { key, value: value.into() }];
        assert_eq!(f.commit(Commit { effects, ..commit }), Committed::Applied);
        store.mark(&[(0, None)]).unwrap();
    }
    // An admission is not durable by itself, but everything before a durable write is.
    f.publish(&["the end"]);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        // Memory shared between processes does not outlast them; a pipe has no content.
        if entry.file_type().unwrap().is_file() && !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The files of a store whose host was killed, with its content partly in the database and partly in the log; and the
/// content.
fn killed(seed: u64) -> (TempDir, Content) {
    let (dir, left) = (tempdir().unwrap(), tempdir().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    work(&SqliteOwner::own(dir.path(), &options()).unwrap(), 0, 40, &mut random);
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    work(&store, 40, 40, &mut random);
    let content = read(&store).unwrap();
    copy(dir.path(), left.path());
    (left, content)
}

fn seed() -> u64 {
    std::env::var("REACTOR_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}

fn times() -> usize {
    std::env::var("REACTOR_FLIPS").map_or(8, |flips| flips.parse().unwrap())
}

/// Looks at a store that has been tampered with, opens it, and returns the outcome, which must not be a loss.
fn outcome(dir: &Path, content: &Content, what: &str) -> &'static str {
    let looked = outcome_of(SqliteStore::look(dir), dir, content, &format!("{what}, looked at"));
    let opened = outcome_of(SqliteOwner::own(dir, &options()), dir, content, what);
    assert!(looked == "whole" || opened != "whole", "{what}: {opened}, but {looked} by a look");
    opened
}

fn outcome_of(store: Result<impl StoreClient, StoreError>, dir: &Path, content: &Content, what: &str) -> &'static str {
    let named = |error: &StoreError| match error {
        StoreError::Damaged { path, .. } | StoreError::Foreign { path, .. } | StoreError::Newer { path, .. } => {
            assert!(Path::new(path).starts_with(dir), "{what}: {error}");
        }
        other => panic!("{what}: {other}"),
    };
    let store = match store {
        Ok(store) => store,
        Err(error) => {
            named(&error);
            return "refused";
        }
    };
    match read(&store) {
        Ok(found) => {
            assert_eq!(found.bodies.len(), content.bodies.len(), "{what}");
            assert!(found == *content, "{what}: the content has changed");
            "whole"
        }
        Err(error) => {
            named(&error);
            assert!(
                wait(store.append(reactor_core::event::ChannelId(1), vec![message("x")])).is_err(),
                "{what}: goes on"
            );
            "refused when read"
        }
    }
}

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

fn upkeep() -> Upkeep {
    Upkeep { now: at(0), ledger_window: DAY, retention: Vec::new(), away: DAY, history: DAY }
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

/// A store of version 2, which had no checksums.
fn version_2(dir: &Path) {
    let schema = include_str!("../src/schema.sql").replace("('group', 0), ", "");
    let newer = include_str!("before_version_5.sql");
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
            .args(["--exact", "child_that_migrates"])
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

// --- verifying and accepting a loss ---------------------------------------------------------------------------------

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
                .args(["--exact", "child_that_verifies", "--nocapture"])
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

// --- what is not damage ---------------------------------------------------------------------------------------------

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
            command.args(["--exact", "child_that_works_until_killed", "--nocapture"]).env("ROT_WORK_DIR", dir.path());
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
