//! Stores to look at, and how they are opened.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use reactor_core::store::{Result, StoreClient, Upkeep};
use reactor_store::conformance::{DAY, Fixture};
use reactor_store_sqlite::{OpenOptions, SqliteOwner, SqliteStore};

/// How long a client waits in these tests.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
pub(crate) const RESERVE: u64 = 256 << 10;

pub(crate) fn owned() -> OpenOptions {
    OpenOptions { reserve: RESERVE, patience: SHORT, ..OpenOptions::owner(4) }
}

pub(crate) fn guest() -> OpenOptions {
    OpenOptions { reserve: RESERVE, patience: SHORT, ..OpenOptions::client() }
}

pub(crate) fn own(dir: &Path, options: &OpenOptions) -> SqliteOwner {
    SqliteOwner::own(dir, options).unwrap()
}

pub(crate) fn open(dir: &Path, options: &OpenOptions) -> SqliteStore {
    SqliteStore::open(dir, options).unwrap()
}

/// Opens a store as its owner, or as a client.
pub(crate) fn open_as(owner: bool, dir: &Path) -> Result<Arc<dyn StoreClient>> {
    if owner {
        SqliteOwner::own(dir, &owned()).map(|store| Arc::new(store) as Arc<dyn StoreClient>)
    } else {
        SqliteStore::open(dir, &guest()).map(|store| Arc::new(store) as Arc<dyn StoreClient>)
    }
}

pub(crate) fn fixture<S: StoreClient>(store: &S) -> Fixture<'_, S> {
    let (channel, reactor) = (store.channel_id("shop").unwrap(), store.reactor_id("inventory").unwrap());
    Fixture { store, channel, reactor }
}

/// A directory with a store that holds three records.
pub(crate) fn sample() -> TempDir {
    let dir = tempdir().unwrap();
    fixture(&own(dir.path(), &owned())).publish(&["a", "b", "c"]);
    dir
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Waits until a condition holds, or panics.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn upkeep(f: &Fixture<'_, SqliteOwner>, now: reactor_core::event::HostTime) -> Upkeep {
    Upkeep {
        now,
        ledger_window: DAY,
        retention: vec![(f.channel, Duration::from_secs(1))],
        away: 15 * DAY,
        history: DAY,
    }
}
