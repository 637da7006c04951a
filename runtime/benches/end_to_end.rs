//! End to end, with every event durable before it is acknowledged and its effects before it is settled: events/s for
//! 10,000 and 200,000 events, latency at 200 events/s, and where the CPU time goes. Prints figures; asserts nothing.
//!
//! One reactor (tests/guests/tally) that parses JSON, reads and writes one state key of 10,000, in a fresh instance for
//! each event of about 500 bytes. Options: the numbers of events, as arguments.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reactor_runtime::clock::{Clock, SystemClock};
use reactor_runtime::config;
use reactor_runtime::event::Message;
use reactor_runtime::pipeline::host::{Control, Host, Parts};
use reactor_runtime::pipeline::invoke::Guest;
use reactor_runtime::store::Store;
use reactor_runtime::store::sqlite::{OpenOptions, SqliteStore};
use reactor_runtime::wasm::{Engine, EngineOptions, GuestSpec, Limits};
use tokio::sync::mpsc;

const ACCOUNTS: usize = 10_000;
const BATCH: usize = 256;
const CONFIG: &str = r#"
[channels.in]
kind = "local"
[reactors.tally]
module = "tally.wasm"
from = ["in"]
on = ["added"]
allow = { state = true }
"#;

fn main() {
    let mut sizes: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 200_000];
    }
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-unknown-unknown/guest/guest_tally.wasm");
    let module = std::env::var_os("TALLY_WASM").map_or(module, Into::into);
    let bytes = std::fs::read(&module).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask bench`, which builds the guests", module.display())
    });
    for size in sizes {
        throughput(&bytes, size);
    }
    latency(&bytes);
}

/// A host in a folder of its own.
struct Bench {
    dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    runtime: tokio::runtime::Runtime,
    _guests: tokio::runtime::Runtime,
    tell: mpsc::Sender<Control>,
    host: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn start(module: &[u8]) -> Self {
        let dir = tempfile::TempDir::new().expect("a temporary folder");
        let path = dir.path().join("tally.wasm");
        std::fs::write(&path, module).expect("the module");
        let file = dir.path().join("reactors.toml");
        let loaded = config::parse(CONFIG, &file, &|_| None).expect("a valid configuration");
        let config = Arc::new(loaded.config);
        let options = OpenOptions::owner(config.runtime.concurrency);
        let store = Arc::new(SqliteStore::open(&config.runtime.data_dir, &options).expect("a store"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let cache_dir = config.runtime.data_dir.join("modules");
        let options = EngineOptions { cache_dir, instances: config.runtime.concurrency, max_memory: 64 << 20 };
        let engine = Engine::new(options).expect("an engine");
        let reactor = &config.reactors["tally"];
        let spec = GuestSpec {
            reactor: reactor.name.clone(),
            timeout: reactor.timeout,
            cpu: reactor.cpu,
            memory: reactor.memory,
            allow_state: true,
            emit: Vec::new(),
            config: BTreeMap::new(),
            hop_limit: 16,
            limits: Limits::default(),
            clock: Arc::clone(&clock),
        };
        let guest: Arc<dyn Guest> = engine.load(&path, spec).expect("a module").guest;
        let runtime = threads("host", 1);
        let guests = threads("guest", 2);
        let parts = Parts {
            config,
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock,
            guests: BTreeMap::from([("tally".to_owned(), guest)]),
            remotes: BTreeMap::default(),
            guest_threads: guests.handle().clone(),
        };
        let (tell, told) = mpsc::channel(1);
        let host = runtime.spawn(async move {
            let host = Host::new(parts).await.expect("a host");
            host.run(told).await.expect("the host runs");
        });
        Self { dir, store, runtime, _guests: guests, tell, host }
    }
}

fn threads(name: &str, count: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(count).thread_name(name).enable_all().build().expect("threads")
}

fn event(id: usize, account: &str) -> Message {
    let pad = "x".repeat(330);
    Message::from_body(format!(
        r#"{{"eventId":"event-{id:09}","eventType":"added","eventVersion":1,"timestamp":"2026-03-02T09:00:00Z","source":"bench","correlationId":"flow-{id:09}","data":{{"account":"{account}","amount":{id},"pad":"{pad}"}}}}"#
    ))
}

/// Publishes as fast as it can while the host runs; from the first event to the last one done.
fn throughput(module: &[u8], events: usize) {
    let bench = Bench::start(module);
    let channel = bench.store.channel_id("in").expect("a channel");
    let before = cpu_by_thread();
    let start = Instant::now();
    let publisher = Arc::clone(&bench.store);
    let publish = bench.runtime.spawn(async move {
        for first in (0..events).step_by(BATCH) {
            let batch = (first..events.min(first + BATCH)).map(|id| event(id, &format!("a{:05}", id % ACCOUNTS)));
            publisher.append(channel, batch.collect()).await.expect("accepted");
        }
        start.elapsed()
    });
    let Bench { dir, store, runtime, tell, host, _guests } = bench;
    let published = runtime.block_on(publish).expect("published");
    tell.blocking_send(Control::WhenIdle).expect("the host listens");
    runtime.block_on(host).expect("the host ends");
    let took = start.elapsed();
    let stats = store.stats().expect("counts");
    let done = stats.reactors.iter().map(|reactor| reactor.done).sum::<u64>();
    println!("\n{events} events of {} bytes, published while the host runs", event(0, "a00000").size());
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    println!("  done                  {done}");
    println!("  publish               {:>10.0} events/s", rate(published));
    println!("  publish to done       {:>10.0} events/s", rate(took));
    let mut sum = 0.0;
    for (name, time) in cpu_by_thread() {
        let used = time.saturating_sub(before.get(&name).copied().unwrap_or_default());
        let each = used.as_secs_f64() * 1e6 / events as f64;
        sum += each;
        if each >= 0.05 {
            println!(
                "  CPU of `{name}`{:width$} {each:>8.1} us/event",
                "",
                width = 12_usize.saturating_sub(name.len())
            );
        }
    }
    println!("  CPU in all            {sum:>8.1} us/event");
    drop(store);
    drop(dir);
}

/// One event every 5 ms: from before it is published until its effect can be read, which is after the fsync.
fn latency(module: &[u8]) {
    const EVENTS: usize = 2_000;
    let bench = Bench::start(module);
    let channel = bench.store.channel_id("in").expect("a channel");
    let reactor = bench.store.reactor_id("tally").expect("a reactor");
    let (mut accepted, mut done) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    for id in 0..EVENTS {
        let due = begin + Duration::from_millis(5) * u32::try_from(id).expect("small");
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let key = format!("single-{id}");
        let start = Instant::now();
        bench.runtime.block_on(bench.store.append(channel, vec![event(id, &key)])).expect("accepted");
        accepted.push(start.elapsed());
        while bench.store.state(reactor, &key).expect("readable").is_none() {
            std::thread::sleep(Duration::from_micros(50));
        }
        done.push(start.elapsed());
    }
    println!("\nlatency at 200 events/s, {EVENTS} events");
    for (what, times) in [("accepted (one fsync)", &mut accepted), ("done", &mut done)] {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("  {what:<21} p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms", at(0.5), at(0.99), at(1.0));
    }
    bench.tell.blocking_send(Control::Drain).expect("the host listens");
    bench.runtime.block_on(bench.host).expect("the host ends");
}

/// CPU time of this process's threads, by name.
fn cpu_by_thread() -> BTreeMap<String, Duration> {
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return times };
    for task in tasks.flatten() {
        // Nanoseconds on a CPU come first.
        let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else { continue };
        let spent = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        *times.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(spent);
    }
    times
}
