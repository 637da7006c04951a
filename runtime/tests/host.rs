//! The host with a guest in Rust in place of the sandbox: what no policy, crash or race may break.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reactor_runtime::channel::KINDS;
use reactor_runtime::clock::SystemClock;
use reactor_runtime::config;
use reactor_runtime::event::{Message, Outcome, Version};
use reactor_runtime::pipeline::host::{Control, Host, Parts};
use reactor_runtime::pipeline::invoke::{Call, Effect, Guest, Run};
use reactor_runtime::store::memory::MemoryStore;
use reactor_runtime::store::sqlite::{OpenOptions, SqliteOwner};
use reactor_runtime::store::{AttemptEnd, AttemptsOf, DeadFilter, ReactorStats, StoreError, StoreOwner};
use reactor_runtime::world::NoHttp;
use tokio::sync::{Notify, mpsc};

const CONFIG: &str = r#"
[channels.in]
kind = "local"
[reactors.r]
module = "r.wasm"
from = ["in"]
on = ["**"]
allow = { state = true }
"#;

/// A guest that is a function.
struct Native<F>(F);

impl<F> Guest for Native<F>
where
    F: Fn(Call) -> BoxFuture<'static, Run> + Send + Sync + 'static,
{
    fn run(&self, call: Call) -> BoxFuture<'static, Run> {
        (self.0)(call)
    }

    fn digest(&self) -> &'static str {
        "native"
    }
}

/// Reads a key, waits a little, and writes it with something appended.
async fn append(call: Call, key: &str, text: String) -> Run {
    let found = call.world.state(key).expect("the state can be read");
    let (before, version) = found.unwrap_or((bytes::Bytes::new(), Version(0)));
    tokio::task::yield_now().await;
    let after = [&before[..], text.as_bytes()].concat();
    let (key, reads) = (key.to_owned(), vec![(key.to_owned(), version)]);
    Run { reads, effects: vec![Effect::Set { key, value: after.into() }], ..Run::ended(Outcome::Done) }
}

/// Publishes events with this data and runs a host on them until it is idle, or until it is told otherwise.
struct Bench {
    store: Arc<dyn StoreOwner>,
    config: String,
}

impl Bench {
    fn new(extra: &str) -> Self {
        Self { store: Arc::new(MemoryStore::new(256)), config: format!("{CONFIG}{extra}") }
    }

    async fn publish(&self, data: impl IntoIterator<Item = serde_json::Value>) {
        let channel = self.store.channel_id("in").expect("a channel");
        let message = |(index, data)| {
            let event = serde_json::json!({ "eventId": format!("e{index}"), "eventType": "t", "data": data });
            Message::from_body(event.to_string())
        };
        let messages = data.into_iter().enumerate().map(message).collect();
        self.store.append(channel, messages).await.expect("accepted");
    }

    async fn host<F>(&self, guest: F) -> (Host, mpsc::Sender<Control>, mpsc::Receiver<Control>)
    where
        F: Fn(Call) -> BoxFuture<'static, Run> + Send + Sync + 'static,
    {
        let loaded = config::parse(&self.config, Path::new("reactors.toml"), &|_| None, KINDS);
        let mut config = loaded.map_err(|problems| problems.render(false)).expect("a valid configuration").config;
        config.runtime.concurrency = 64;
        let guest: Arc<dyn Guest> = Arc::new(Native(guest));
        let parts = Parts {
            config: Arc::new(config),
            store: Arc::clone(&self.store),
            clock: Arc::new(SystemClock::default()),
            http: Arc::new(NoHttp),
            remotes: BTreeMap::new(),
            guests: BTreeMap::from([("r".to_owned(), guest)]),
            guest_threads: tokio::runtime::Handle::current(),
            signals: Arc::default(),
        };
        let (tell, told) = mpsc::channel(2);
        (Host::new(parts).await.expect("a host"), tell, told)
    }

    async fn until_idle<F>(&self, guest: F) -> ReactorStats
    where
        F: Fn(Call) -> BoxFuture<'static, Run> + Send + Sync + 'static,
    {
        let (host, tell, told) = self.host(guest).await;
        tell.send(Control::WhenIdle).await.expect("the host listens");
        let run = tokio::time::timeout(Duration::from_secs(20), host.run(told)).await;
        assert!(run.is_ok(), "not idle in time: {:?}", self.store.stats());
        run.expect("it ends in time").expect("it runs");
        let counts = self.counts();
        assert_eq!(counts.active, 0, "it was idle, and something is left: {counts:?}");
        counts
    }

    fn counts(&self) -> ReactorStats {
        let counts = self.store.stats().expect("counts").reactors.remove(0);
        assert_eq!(counts.delivered, counts.done + counts.dead + counts.dropped + counts.active, "{counts:?}");
        counts
    }

    fn state(&self, key: &str) -> String {
        let reactor = self.store.reactor_id("r").expect("a reactor");
        let value = self.store.state(reactor, key).expect("readable").map(|(value, _)| value).unwrap_or_default();
        String::from_utf8(value.to_vec()).expect("text")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_on_one_key_lose_no_update() {
    let bench = Bench::new("concurrency = 32\n");
    bench.publish((0..600).map(Into::into)).await;
    let counts = bench.until_idle(|call| Box::pin(append(call, "all", "x".into()))).await;
    assert_eq!((counts.done, counts.retried), (600, 0));
    assert_eq!(bench.state("all").len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lane_keeps_its_order_through_failures() {
    let bench = Bench::new(
        "order-by = \"/data/lane\"\nconcurrency = 16\n[reactors.r.retry]\ninitial = \"3ms\"\nmax-attempts = 9\n",
    );
    bench.publish((0..400).map(|n| serde_json::json!({ "lane": n % 7, "n": n }))).await;
    let counts = bench
        .until_idle(|call| {
            Box::pin(async move {
                let data: serde_json::Value = serde_json::from_slice(&call.event.data).expect("JSON");
                let (lane, n) = (&data["lane"], data["n"].as_u64().expect("a number"));
                // Every fifth fails at its first attempt, every fifteenth at its second, too.
                if (n % 5 == 0 && call.attempt == 1) || (n % 15 == 0 && call.attempt == 2) {
                    return Run::ended(Outcome::Retry { reason: "not yet".into(), after: None });
                }
                let key = format!("lane{lane}");
                append(call, &key, format!("{n} ")).await
            })
        })
        .await;
    assert_eq!((counts.done, counts.dead), (400, 0));
    assert_eq!(counts.retried, 80 + 27);
    for lane in 0..7 {
        let expected: String = (0..400).filter(|n| n % 7 == lane).map(|n| format!("{n} ")).collect();
        assert_eq!(bench.state(&format!("lane{lane}")), expected);
    }
}

/// An event that ends the process is run ahead of its turn, behind others that are well: each time, what it was run with is
/// lost, too. It must not go on like that for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn an_event_that_ends_the_process_is_found_however_it_was_run() {
    const POISON: u64 = 30;
    let lane = "order-by = \"/data/lane\"\n[reactors.r.retry]\ninitial = \"1ms\"\nmax-attempts = 2\n";
    let store = MemoryStore::new(256);
    let mut bench = Bench { store: Arc::new(store.reopen()), config: format!("{CONFIG}{lane}") };
    bench.publish((0..40).map(|n| serde_json::json!({ "lane": "a", "n": n }))).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut lives = 0;
    loop {
        bench.store = Arc::new(store.reopen());
        let (over, died) = (Arc::clone(&is_over), Arc::new(Notify::new()));
        let dies = Arc::clone(&died);
        let (host, tell, told) = bench
            .host(move |call| {
                let (over, dies) = (Arc::clone(&over), Arc::clone(&dies));
                Box::pin(async move {
                    let data: serde_json::Value = serde_json::from_slice(&call.event.data).expect("JSON");
                    let n = data["n"].as_u64().expect("a number");
                    if n == POISON {
                        // Nothing of this thread is heard of any more.
                        dies.notify_one();
                        while !over.load(Ordering::SeqCst) {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                    append(call, "done", format!("{n} ")).await
                })
            })
            .await;
        tell.send(Control::WhenIdle).await.expect("the host listens");
        let mut running = tokio::spawn(host.run(told));
        let ended = tokio::select! {
            () = died.notified() => None,
            ended = &mut running => Some(ended),
        };
        if let Some(ended) = ended {
            ended.expect("no panic").expect("it runs");
            break;
        }
        running.abort();
        drop(running.await);
        lives += 1;
        assert!(lives < 8, "it goes on like that for ever");
    }
    is_over.store(true, Ordering::SeqCst);
    let dead = bench.store.dead_letters(&DeadFilter::default()).expect("dead letters").remove(0).letter;
    assert_eq!((dead.reason.as_str(), dead.history.len()), ("host", 2));
    // What a crash cut short is an attempt like any other, of the host that accounted for it.
    let attempts = bench.store.attempts(&AttemptsOf::Event(format!("e{POISON}"))).expect("attempts");
    let ends: Vec<_> = attempts.iter().map(|one| (one.number, &*one.code, one.end, &*one.module)).collect();
    assert_eq!(ends, [(1, "host", AttemptEnd::Retry, "native"), (2, "host", AttemptEnd::Dead, "native")]);
    assert!(attempts[0].worker < attempts[1].worker, "{attempts:?}");
    let well = bench.store.attempts(&AttemptsOf::Event("e0".into())).expect("attempts");
    assert!(matches!(&well[..], [one] if one.code == "done" && one.end == AttemptEnd::Done), "{well:?}");
    let others: String = (0..40).filter(|n| *n != POISON).map(|n| format!("{n} ")).collect();
    assert_eq!(bench.state("done"), others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_is_an_attempt_and_not_the_end() {
    let bench = Bench::new("[reactors.r.retry]\ninitial = \"1ms\"\nmax-attempts = 3\n");
    bench.publish((0..10).map(Into::into)).await;
    let counts = bench
        .until_idle(|call| {
            Box::pin(async move {
                assert_ne!(&call.event.data[..], b"4", "a bug of the host");
                Run::ended(Outcome::Done)
            })
        })
        .await;
    assert_eq!((counts.done, counts.dead, counts.retried), (9, 1, 2));
    let dead = bench.store.dead_letters(&DeadFilter::default()).expect("dead letters").remove(0).letter;
    assert_eq!((dead.reason.as_str(), dead.history.len()), ("host", 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_gives_up_what_outlasts_it_and_counts_no_attempt() {
    let mut bench = Bench::new("");
    bench.config = format!("[runtime]\ndrain = \"50ms\"\n{}", bench.config);
    bench.publish((0..3).map(Into::into)).await;
    let started = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&started);
    let (host, tell, told) = bench
        .host(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(600)).await;
                Run::ended(Outcome::Done)
            })
        })
        .await;
    let running = tokio::spawn(host.run(told));
    while started.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tell.send(Control::Drain).await.expect("the host listens");
    let ended_in_time = tokio::time::timeout(Duration::from_secs(30), running).await;
    ended_in_time.expect("the drain ends").expect("no panic").expect("no error");
    assert_eq!(bench.counts().active, 3);
    let counts = bench
        .until_idle(|call| {
            assert_eq!(call.attempt, 1, "a run that was given up is no attempt");
            Box::pin(async { Run::ended(Outcome::Done) })
        })
        .await;
    assert_eq!((counts.done, counts.retried), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_before_the_disk_was_full_is_done_when_there_is_room() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let options = OpenOptions { reserve: 2 << 20, size_limit: Some(6 << 20), ..OpenOptions::owner(64) };
    let store = Arc::new(SqliteOwner::own(dir.path(), &options).expect("a store"));
    let bench = Bench { store, config: CONFIG.to_owned() };
    let channel = bench.store.channel_id("in").expect("a channel");
    let mut accepted = 0;
    let refused = loop {
        let batch: Vec<_> = (0..20)
            .map(|n| {
                let (id, pad) = (accepted + n, "x".repeat(2_000));
                let event = serde_json::json!({ "eventId": id.to_string(), "eventType": "t", "data": { "pad": pad } });
                Message::from_body(event.to_string())
            })
            .collect();
        match bench.store.append(channel, batch).await {
            Ok(_) => accepted += 20,
            Err(error) => break error,
        }
        assert!(accepted < 100_000, "the limit is not reached");
    };
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert!(accepted > 100, "only {accepted} accepted");
    drop(bench);
    let store = Arc::new(SqliteOwner::own(dir.path(), &OpenOptions::owner(64)).expect("the store opens again"));
    let bench = Bench { store, config: CONFIG.to_owned() };
    let counts = bench.until_idle(|call| Box::pin(append(call, "all", "x".into()))).await;
    assert_eq!(counts.done, accepted);
    assert_eq!(bench.state("all").len() as u64, accepted);
}
