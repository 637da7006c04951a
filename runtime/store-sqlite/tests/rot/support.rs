//! Stores with content, what a killed host leaves of one, and what comes of opening it.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::{TempDir, tempdir};

use reactor_core::event::{DeliveryId, Offset};
use reactor_core::store::{Commit, Committed, DeadFilter, Effect, Place, StoreClient, StoreError, StoreOwner, Upkeep};
use reactor_store::conformance::{DAY, Fixture, at, message, wait};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore};

/// The content of a store, as a program sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bodies: Vec<String>,
    values: Vec<Option<(Vec<u8>, u64)>>,
    pub(crate) letters: Vec<String>,
    active: Vec<DeliveryId>,
}

const KEYS: usize = 12;

pub(crate) fn options() -> OpenOptions {
    OpenOptions { reserve: 64 << 10, ..OpenOptions::owner(4) }
}

pub(crate) fn fixture<S: StoreClient>(store: &S) -> Fixture<'_, S> {
    let (channel, reactor) = (store.channel_id("shop").unwrap(), store.reactor_id("inventory").unwrap());
    Fixture { store, channel, reactor }
}

pub(crate) fn read(store: &impl StoreClient) -> Result<Content, StoreError> {
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
pub(crate) fn work(store: &SqliteOwner, from: u64, count: u64, random: &mut StdRng) {
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

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        // Memory shared between processes does not outlast them; a pipe has no content.
        if entry.file_type().unwrap().is_file() && !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The files of a store whose host was killed, with its content partly in the database and partly in the log; and the
/// content.
pub(crate) fn killed(seed: u64) -> (TempDir, Content) {
    let (dir, left) = (tempdir().unwrap(), tempdir().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    work(&SqliteOwner::own(dir.path(), &options()).unwrap(), 0, 40, &mut random);
    let store = SqliteOwner::own(dir.path(), &options()).unwrap();
    work(&store, 40, 40, &mut random);
    let content = read(&store).unwrap();
    copy(dir.path(), left.path());
    (left, content)
}

pub(crate) fn seed() -> u64 {
    std::env::var("REACTOR_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}

pub(crate) fn times() -> usize {
    std::env::var("REACTOR_FLIPS").map_or(8, |flips| flips.parse().unwrap())
}

/// Looks at a store that has been tampered with, opens it, and returns the outcome, which must not be a loss.
pub(crate) fn outcome(dir: &Path, content: &Content, what: &str) -> &'static str {
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

pub(crate) fn upkeep() -> Upkeep {
    Upkeep { now: at(0), ledger_window: DAY, retention: Vec::new(), away: DAY, history: DAY }
}
