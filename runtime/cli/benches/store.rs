//! The store's cost of an event: `cargo xtask bench store`. `--smoke`: a small run, to check that it works.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, reason = "a bench prints")]
#![allow(clippy::unwrap_used, reason = "a bench stops at the first error")]

use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Identity, Message, Offset, Origin, ReactorId, Version};
use reactor_core::store::{
    Admitted, Batch, Commit, Committed, Effect, Ending, NewDelivery, Place, StoreClient, StoreOwner,
};
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

const BATCH: usize = 256;
const BODY: usize = 500;
const KEYS: u64 = 10_000;

/// User and system time of this process, from the kernel's accounting (10 ms steps).
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn measure(what: &str, events: usize, work: impl FnOnce()) {
    let (start, before) = (Instant::now(), cpu());
    work();
    let (wall, used) = (start.elapsed(), cpu().saturating_sub(before));
    let rate = events as f64 / wall.as_secs_f64();
    println!("{what:<58} {rate:>9.0} events/s {:>7.1} us CPU/event", used.as_secs_f64() * 1e6 / events as f64);
}

struct Bench {
    events: usize,
    store: SqliteOwner,
    channel: ChannelId,
    reactor: ReactorId,
    wait: tokio::runtime::Runtime,
    key: u64,
    commit: u64,
}

impl Bench {
    fn append(&self, depth: usize) {
        let messages = vec![Message::from_body(vec![b'x'; BODY]); BATCH];
        for _ in 0..self.events / BATCH / depth {
            let answers = join_all((0..depth).map(|_| self.store.append(self.channel, messages.clone())));
            assert!(self.wait.block_on(answers).iter().all(Result::is_ok));
        }
    }

    fn admit(&mut self, count: usize) -> Vec<DeliveryId> {
        let deliveries = (0..count).map(|_| {
            self.key += 1;
            NewDelivery {
                reactor: self.reactor,
                origin: Origin { channel: self.channel, offset: Offset(self.key), part: 0 },
                key: Identity::of(&[&self.key.to_le_bytes()]),
                window: Duration::from_secs(86_400),
                lane: None,
                place: Place::Memory,
                redrive: false,
            }
        });
        let (cursor, deliveries) = (Some(Offset(1)), deliveries.collect());
        let batch = Batch { cursor, deliveries, ..Batch::new(self.channel, HostTime(1)) };
        let entered = self.wait.block_on(self.store.enter(batch)).unwrap();
        let new = entered.answers.into_iter().map(|answer| match answer {
            Admitted::New(id) => id,
            other => panic!("a new key: {other:?}"),
        });
        new.collect()
    }

    fn commits(&mut self, ids: Vec<DeliveryId>, state: bool) -> Vec<Commit> {
        let commits = ids.into_iter().map(|delivery| {
            self.commit += 1;
            let key = format!("key-{}", self.commit.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS);
            Commit {
                number: Version(self.commit),
                delivery,
                reactor: self.reactor,
                attempt: 1,
                after: None,
                reads: Vec::new(),
                effects: if state { vec![Effect::Set { key, value: vec![b'v'; 100].into() }] } else { Vec::new() },
                ending: Ending::Done,
                note: None,
                now: HostTime(1),
            }
        });
        commits.collect()
    }

    fn process(&mut self, events: usize, batch: usize, depth: usize, state: bool) {
        for _ in 0..events / batch / depth {
            let batches: Vec<Vec<Commit>> = (0..depth)
                .map(|_| {
                    let ids = self.admit(batch);
                    self.commits(ids, state)
                })
                .collect();
            let answers =
                self.wait.block_on(join_all(batches.into_iter().map(|batch| self.store.commit(batch.into()))));
            for answer in answers {
                assert!(answer.unwrap().iter().all(|one| *one == Committed::Applied));
            }
        }
    }
}

fn plain_file(dir: &std::path::Path, events: usize) {
    let mut file = File::create(dir.join("plain")).unwrap();
    let batch = vec![b'x'; BODY * BATCH];
    for _ in 0..events / BATCH {
        file.write_all(&batch).unwrap();
        file.sync_data().unwrap();
    }
}

fn main() {
    let scale = if std::env::args().any(|arg| arg == "--smoke") { 50 } else { 1 };
    let events = 200 / scale * BATCH;
    let dir = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let path = dir.path().join("data");
    let store = SqliteOwner::own(&path, &OpenOptions::owner(64)).unwrap();
    let (channel, reactor) = (store.channel_id("bench").unwrap(), store.reactor_id("bench").unwrap());
    let wait = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut bench = Bench { events, store, channel, reactor, wait, key: 0, commit: 0 };

    println!("batches of {BATCH}, bodies of {BODY} bytes, one state write to one of {KEYS} keys, every batch synced");
    measure("a plain file, one write and fdatasync a batch", events, || plain_file(dir.path(), events));
    measure("append", events, || bench.append(1));
    measure("append, 4 batches at once", events, || bench.append(4));
    bench.process(2 * BATCH * 40 / scale, BATCH, 1, true);
    measure("admit + commit, empty ledger", events, || bench.process(events, BATCH, 1, true));
    measure("admit + commit, empty ledger, 4 batches at once", events, || bench.process(events, BATCH, 4, true));
    let fill = 1_000_000 / scale;
    measure("  (filling the ledger: batches of 4000, no state)", fill, || bench.process(fill, 4_000, 1, false));
    measure("admit + commit, a million in the ledger", events, || bench.process(events, BATCH, 1, true));
    measure("admit + commit, a million in the ledger, 4 at once", events, || bench.process(events, BATCH, 4, true));
    let log = fs::metadata(path.join("reactor.db-wal")).map_or(0, |meta| meta.len());
    println!("write-ahead log: {} MiB", log >> 20);
    drop(bench);
    let start = Instant::now();
    drop(SqliteOwner::own(&path, &OpenOptions::owner(64)).unwrap());
    println!("open and close with a million in the ledger: {:?}", start.elapsed());
}
