//! Existing data must not slow a host down: the same events with one subscription and with 10,000, with an empty ledger
//! and with ten million entries, with an empty log and with ten million events, without and with a million waiting
//! retries. Prints events/s and memory, each beside the small case of the same run; asserts nothing.
//!
//! Options: `--events N`; `--of NAME` for one of `subscriptions`, `ledger`, `log`, `retries`; `--smoke` for a
//! thousandth of everything, to check that it runs.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reactor_cli::bench::meter;
use reactor_cli::bench::rig::Rig;
use reactor_cli::kinds::KINDS;
use reactor_core::event::{AttemptRecord, ChannelId, HostTime, Identity, Message, Offset, Origin, ReactorId};
use reactor_core::store::{Admitted, Batch, Commit, Ending, NewDelivery, Place, StoreClient, StoreOwner};
use reactor_signal::Signals;
use reactor_store_sqlite::SqliteOwner;

use host::{ACCOUNTS, event, reactor};

const CHANNEL: &str = "[channels.in]\nkind = \"local\"\nretention = \"1d\"\n";
const ROUNDS: usize = 3;

fn main() {
    let scale = if host::is_smoke() { 1_000 } else { 1 };
    let events = host::number("--events", 60_000 / scale.min(300));
    let args: Vec<String> = std::env::args().collect();
    let only = args.iter().position(|arg| arg == "--of").map(|at| args[at + 1].clone());
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    if wanted("subscriptions") {
        compare("subscriptions", events, 10_000 / scale, &subscriptions);
    }
    let filled = |fill: fn(&SqliteOwner, usize)| {
        move |count: usize| {
            let rig = host::rig(&format!("{CHANNEL}{}", reactor("r", "added", "")));
            fill(rig.store(), count);
            rig
        }
    };
    if wanted("ledger") {
        compare("ledger entries", events, 10_000_000 / scale, &filled(ledger));
    }
    if wanted("log") {
        compare("logged events", events, 10_000_000 / scale, &filled(log));
    }
    if wanted("retries") {
        compare("waiting retries", events, 1_000_000 / scale, &filled(retries));
    }
}

/// Runs the events with little and with much data, in turns.
fn compare(what: &str, events: usize, much: usize, make: &dyn Fn(usize) -> Rig) {
    let mut results = [Vec::new(), Vec::new()];
    let mut preparing = Duration::ZERO;
    // The large case is filled only once, because writing its data takes minutes.
    let counts = [1, much];
    for (count, results) in counts.iter().zip(&mut results) {
        let start = Instant::now();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&done);
        let signals = Signals::watched(Arc::new(move |_| _ = counted.fetch_add(1, Ordering::Relaxed)));
        let signals = Arc::new(signals);
        let mut rig = make(*count).with_signals(Arc::clone(&signals));
        preparing += start.elapsed();
        for round in 0..ROUNDS {
            meter::forget_peak();
            let store = Arc::clone(rig.store());
            let channel = store.channel_id("in").expect("a channel");
            let start = Instant::now();
            let mut running = rig.run().expect("a host");
            while signals.ready().is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let (ready, start) = (start.elapsed(), Instant::now());
            host::append(&*store, channel, (0..events).map(|n| event(round * events + n + (1 << 40), n % ACCOUNTS)));
            while done.load(Ordering::Relaxed) < (round + 1) * events {
                std::thread::sleep(Duration::from_millis(1));
            }
            let rate = events as f64 / start.elapsed().as_secs_f64();
            results.push(Result { rate, ready: ready.as_secs_f64(), peak: meter::peak(), now: meter::resident() });
            running.stop().expect("the host ends");
            rig = running.again();
        }
    }
    println!("{what}: {events} events, medians of {ROUNDS} rounds ({:.0} s to fill)", preparing.as_secs_f64());
    let median = |results: &[Result], of: fn(&Result) -> f64| host::median(results.iter().map(of));
    let base = median(&results[0], |one| one.rate);
    for (count, results) in counts.iter().zip(&results) {
        let rate = median(results, |one| one.rate);
        println!(
            "  {count:>10} {rate:>8.0} events/s ({:.2})   memory {:>4.0} MiB, most {:>4.0} MiB   ready after {:.2} s",
            rate / base,
            median(results, |one| one.now as f64) / f64::from(1 << 20),
            median(results, |one| one.peak as f64) / f64::from(1 << 20),
            median(results, |one| one.ready)
        );
    }
}

struct Result {
    /// Events/s.
    rate: f64,
    /// Seconds from the start of the host until it accepted events.
    ready: f64,
    /// Bytes of memory: the peak, and at the end.
    peak: u64,
    now: u64,
}

/// This many reactors, each with its own event type; all of them run the same module.
fn subscriptions(count: usize) -> Rig {
    let mut text = format!("{CHANNEL}{}", reactor("r", "added", ""));
    let (_, mut modules) = host::load(&text);
    let guest = modules.remove("r").expect("its module").guest;
    text.extend((1..count).map(|n| reactor(&format!("r{n}"), &format!("type-{n}.*"), "")));
    let config = reactor_config::parse(&text, &std::env::temp_dir().join("reactors.toml"), &|_| None, KINDS)
        .expect("valid")
        .config;
    let guests: BTreeMap<_, _> = config.reactors.keys().map(|name| (name.clone(), Arc::clone(&guest))).collect();
    Rig::new(config, &std::env::temp_dir(), guests).expect("a store")
}

const BATCH: usize = 4_096;

/// Ranges of ids, one per batch.
fn batches(count: usize) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..count).step_by(BATCH).map(move |first| first as u64..count.min(first + BATCH) as u64)
}

fn names(store: &SqliteOwner) -> (ChannelId, ReactorId) {
    (store.channel_id("in").expect("a channel"), store.reactor_id("r").expect("a reactor"))
}

fn admit(store: &SqliteOwner, deliveries: std::ops::Range<u64>) -> Vec<(reactor_core::event::DeliveryId, ReactorId)> {
    let (channel, reactor) = names(store);
    let delivery = |n: u64| NewDelivery {
        reactor,
        origin: Origin { channel, offset: Offset(0), part: 0 },
        key: Identity::of(&[b"fill", &n.to_le_bytes()]),
        window: Duration::from_secs(14 * 86_400),
        lane: None,
        place: Place::Memory,
        redrive: false,
    };
    let now = store.host_time().expect("a time");
    let deliveries = deliveries.map(delivery).collect();
    let batch = Batch { cursor: Some(Offset(1)), deliveries, ..Batch::new(channel, now) };
    let entered = host::wait(store.enter(batch)).expect("entered");
    let id = |answer| match answer {
        Admitted::New(id) => (id, reactor),
        other => panic!("a new one: {other:?}"),
    };
    entered.answers.into_iter().map(id).collect()
}

fn end(store: &SqliteOwner, deliveries: std::ops::Range<u64>, ending: &Ending) {
    let now = store.host_time().expect("a time");
    let commit = |(delivery, reactor)| Commit {
        number: store.next_commit(),
        delivery,
        reactor,
        attempt: 1,
        after: None,
        reads: Vec::new(),
        effects: Vec::new(),
        ending: ending.clone(),
        note: None,
        now,
    };
    let commits = admit(store, deliveries).into_iter().map(commit).collect();
    host::wait(store.commit(commits)).expect("committed");
}

fn ledger(store: &SqliteOwner, count: usize) {
    batches(count).for_each(|batch| end(store, batch, &Ending::Done));
}

/// Events that have been read and that no reactor wanted.
fn log(store: &SqliteOwner, count: usize) {
    let (channel, _) = names(store);
    for batch in batches(count) {
        let messages: Vec<Message> = batch.map(|n| event(n as usize, 0)).collect();
        let count = messages.len() as u64;
        let first = host::wait(store.append(channel, messages)).expect("appended");
        let cursor = Offset(first.0 + count);
        let now = store.host_time().expect("a time");
        let read = Batch { cursor: Some(cursor), unrouted: count, ..Batch::new(channel, now) };
        host::wait(store.enter(read)).expect("read");
    }
}

/// Deliveries that have failed once and wait for a day.
fn retries(store: &SqliteOwner, count: usize) {
    let record = AttemptRecord {
        number: 1,
        code: "retry".to_owned(),
        error: "not yet".to_owned(),
        at: jiff::Timestamp::now(),
        module: "0".repeat(64),
    };
    let due = HostTime(store.host_time().expect("a time").0 + 86_400_000);
    let ending = Ending::Wait { due, record, hold: Vec::new() };
    batches(count).for_each(|batch| end(store, batch, &ending));
}
