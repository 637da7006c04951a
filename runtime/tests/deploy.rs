//! New modules and configurations under a running host, and the breaker: guests in Rust in place of the sandbox.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reactor_runtime::channel::KINDS;
use reactor_runtime::clock::SystemClock;
use reactor_runtime::config::model::Config;
use reactor_runtime::event::{Message, Outcome, Version};
use reactor_runtime::pipeline::deployment::Deployment;
use reactor_runtime::pipeline::host::{Control, Host, Parts};
use reactor_runtime::pipeline::invoke::{Call, Effect, Guest, Run};
use reactor_runtime::store::memory::MemoryStore;
use reactor_runtime::store::sqlite::{OpenOptions, SqliteOwner};
use reactor_runtime::store::{DeadFilter, ReactorStats, StoreError, StoreOwner};
use reactor_runtime::world::NoHttp;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

const CHANNEL: &str = "[channels.in]\nkind = \"local\"\n";

type Behaviour = Arc<dyn Fn(Call) -> BoxFuture<'static, Run> + Send + Sync>;

/// A guest that is a function, and what it is called.
struct Native(&'static str, Behaviour);

impl Guest for Native {
    fn run(&self, call: Call) -> BoxFuture<'static, Run> {
        (self.1)(call)
    }

    fn digest(&self) -> &str {
        self.0
    }
}

fn guest(name: &'static str, run: Behaviour) -> Arc<dyn Guest> {
    Arc::new(Native(name, run))
}

fn always(outcome: Outcome) -> Behaviour {
    Arc::new(move |_| {
        let outcome = outcome.clone();
        Box::pin(async move { Run::ended(outcome) })
    })
}

fn retry() -> Outcome {
    Outcome::Retry { reason: "the other side is down".into(), after: None }
}

/// Adds one to a number in the state.
fn counting() -> Behaviour {
    Arc::new(|call: Call| {
        Box::pin(async move {
            let found = call.world.state("n").expect("the state can be read");
            let (before, version) = found.map_or((0, Version(0)), |(value, version)| {
                (String::from_utf8_lossy(&value).parse::<u64>().expect("a number"), version)
            });
            tokio::task::yield_now().await;
            let effects = vec![Effect::Set { key: "n".to_owned(), value: (before + 1).to_string().into() }];
            Run { reads: vec![("n".to_owned(), version)], effects, ..Run::ended(Outcome::Done) }
        })
    })
}

fn reactor(name: &str, extra: &str) -> String {
    format!("[reactors.{name}]\nmodule = \"{name}.wasm\"\nfrom = [\"in\"]\nallow = {{ state = true }}\n{extra}")
}

fn config(text: &str) -> Arc<Config> {
    let loaded = reactor_runtime::config::parse(text, Path::new("/srv/reactors.toml"), &|_| None, KINDS);
    let mut config = loaded.map_err(|problems| problems.render(false)).expect("a valid configuration").config;
    config.runtime.concurrency = 64;
    Arc::new(config)
}

type Guests = Vec<(&'static str, Arc<dyn Guest>)>;

fn deployment(text: &str, guests: Guests) -> Box<Deployment> {
    let guests = guests.into_iter().map(|(name, guest)| (name.to_owned(), guest)).collect();
    Box::new(Deployment { config: config(text), guests, remotes: BTreeMap::new() })
}

/// A running host.
struct World {
    store: Arc<dyn StoreOwner>,
    tell: mpsc::Sender<Control>,
    host: JoinHandle<Result<(), StoreError>>,
}

impl World {
    async fn start(store: Arc<dyn StoreOwner>, text: &str, guests: Guests) -> Self {
        let Deployment { config, guests, remotes } = *deployment(text, guests);
        let parts = Parts {
            config,
            store: Arc::clone(&store),
            clock: Arc::new(SystemClock::default()),
            http: Arc::new(NoHttp),
            remotes,
            guests,
            guest_threads: tokio::runtime::Handle::current(),
            signals: Arc::default(),
        };
        let (tell, told) = mpsc::channel(2);
        let host = Host::new(parts).await.expect("a host");
        Self { store, tell, host: tokio::spawn(host.run(told)) }
    }

    async fn tell(&self, control: Control) {
        self.tell.send(control).await.expect("the host listens");
    }

    async fn deploy(&self, text: &str, guests: Guests) {
        self.tell(Control::Deploy(deployment(text, guests))).await;
    }

    async fn publish(&self, ids: impl Iterator<Item = usize>) {
        let channel = self.store.channel_id("in").expect("a channel");
        let event = |id| format!(r#"{{"eventId":"e{id}","eventType":"t","source":"s","data":{{"n":{id}}}}}"#);
        let messages: Vec<_> = ids.map(|id| Message::from_body(event(id))).collect();
        self.store.append(channel, messages).await.expect("accepted");
    }

    fn counts(&self, name: &str) -> ReactorStats {
        let stats = self.store.stats().expect("counts").reactors;
        let counts = stats.into_iter().find(|stats| stats.name == name).unwrap_or_default();
        assert_eq!(counts.delivered, counts.done + counts.dead + counts.dropped + counts.active, "{counts:?}");
        counts
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..60_000 {
            if holds(self) {
                return;
            }
            assert!(!self.host.is_finished(), "the host ended before {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("gave up waiting until {what}: {:?}", self.store.stats());
    }

    async fn until_idle(self) -> Arc<dyn StoreOwner> {
        self.tell(Control::WhenIdle).await;
        self.host.await.expect("no panic").expect("no error");
        self.store
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_ends_with_the_module_it_began_with_while_the_next_ones_run_the_new_one() {
    let text = format!("{CHANNEL}{}", reactor("r", "on = [\"t\"]\n"));
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_begun, released) = (Arc::clone(&begun), Arc::clone(&release));
    let slow: Behaviour = Arc::new(move |_| {
        let (begun, released) = (Arc::clone(&is_begun), Arc::clone(&released));
        Box::pin(async move {
            begun.notify_one();
            released.notified().await;
            Run::ended(Outcome::Reject { reason: "as the old one does".into() })
        })
    });
    let world = World::start(Arc::new(MemoryStore::new(256)), &text, vec![("r", guest("one", slow))]).await;
    world.publish(0..1).await;
    begun.notified().await;
    world.deploy(&text, vec![("r", guest("two", always(Outcome::Done)))]).await;
    world.publish(1..4).await;
    world.until("the new module has run", |world| world.counts("r").done == 3).await;
    assert_eq!(world.counts("r").active, 1, "the old attempt still runs");
    release.notify_one();
    let store = world.until_idle().await;
    let letters = store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!(letters[0].letter.history[0].module, "one");
}

/// Deploys all the time, in place and with a restart in turns, while events come.
async fn deploys_under_load(store: Arc<dyn StoreOwner>) {
    const EVENTS: usize = 1_500;
    let variant = |round: usize| {
        let on = if round.is_multiple_of(3) { "on = [\"**\"]\n" } else { "on = [\"t\"]\n" };
        format!("{CHANNEL}{}", reactor("r", &format!("{on}concurrency = {}\n", 1 + round % 7)))
    };
    let world = World::start(store, &variant(0), vec![("r", guest("0", counting()))]).await;
    for round in 1..=30 {
        world.publish((round - 1) * EVENTS / 30..round * EVENTS / 30).await;
        world
            .deploy(&variant(round), vec![("r", guest(if round % 2 == 0 { "even" } else { "odd" }, counting()))])
            .await;
        tokio::time::sleep(Duration::from_millis(round as u64 % 5)).await;
    }
    let store = world.until_idle().await;
    let counts = store.stats().expect("counts").reactors.remove(0);
    assert_eq!((counts.done, counts.delivered, counts.retried), (EVENTS as u64, EVENTS as u64, 0), "{counts:?}");
    let id = store.reactor_id("r").expect("a reactor");
    let (value, _) = store.state(id, "n").expect("readable").expect("a value");
    assert_eq!(value, EVENTS.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_under_load_lose_and_double_nothing_in_memory() {
    deploys_under_load(Arc::new(MemoryStore::new(256))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_under_load_lose_and_double_nothing_on_disk() {
    let dir = tempfile::TempDir::new().expect("a folder");
    deploys_under_load(Arc::new(SqliteOwner::own(dir.path(), &OpenOptions::owner(64)).expect("a store"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_reactor_keeps_its_waiting_retries_until_it_is_back() {
    let (r, s) = (
        reactor("r", "on = [\"t\"]\nretry = { initial = \"1s\", jitter = \"none\" }\n"),
        reactor("s", "on = [\"t\"]\n"),
    );
    let both = format!("{CHANNEL}{r}{s}");
    let done = || guest("done", always(Outcome::Done));
    let guests = vec![("r", guest("failing", always(retry()))), ("s", done())];
    let world = World::start(Arc::new(MemoryStore::new(256)), &both, guests).await;
    world.publish(0..5).await;
    world.until("they wait", |world| world.counts("r").waiting == 5 && world.counts("s").done == 5).await;
    world.deploy(&format!("{CHANNEL}{s}"), vec![("s", done())]).await;
    world.publish(5..8).await;
    world.until("the other goes on", |world| world.counts("s").done == 8).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(world.counts("r").active, 5, "nobody ran them when they were due, and nobody lost them");
    world.deploy(&both, vec![("r", done()), ("s", done())]).await;
    world.until("it is back", |world| world.counts("r").done == 5).await;
    let store = world.until_idle().await;
    let counts = &store.stats().expect("counts").reactors;
    assert_eq!(counts.iter().map(|counts| counts.delivered).sum::<u64>(), 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_connections_change_is_a_stop() {
    let text =
        |on: &str| format!("[runtime]\ndrain = \"100ms\"\n{CHANNEL}{}", reactor("r", &format!("on = [\"{on}\"]\n")));
    let stuck: Behaviour = Arc::new(|_| Box::pin(std::future::pending()));
    let world = World::start(Arc::new(MemoryStore::new(256)), &text("t"), vec![("r", guest("one", stuck))]).await;
    world.publish(0..1).await;
    world.until("it runs", |world| world.counts("r").active == 1).await;
    world.deploy(&text("**"), vec![("r", guest("two", always(Outcome::Done)))]).await;
    world.tell(Control::Drain).await;
    world.host.await.expect("no panic").expect("no error");
    let counts = world.store.stats().expect("counts").reactors.remove(0);
    assert_eq!((counts.active, counts.done), (1, 0), "the new one has not run");
}

/// A reactor that fails for as long as it is told to, and counts its runs.
struct Outage {
    down: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
}

impl Outage {
    fn new() -> Self {
        Self { down: Arc::new(AtomicBool::new(true)), runs: Arc::default() }
    }

    fn guest(&self) -> Arc<dyn Guest> {
        let (down, runs) = (Arc::clone(&self.down), Arc::clone(&self.runs));
        let run = move |_| -> BoxFuture<'static, Run> {
            runs.fetch_add(1, Ordering::SeqCst);
            let outcome = if down.load(Ordering::SeqCst) { retry() } else { Outcome::Done };
            Box::pin(async move { Run::ended(outcome) })
        };
        guest("outage", Arc::new(run))
    }
}

async fn outage(extra: &str) {
    let breaker = "breaker = { failures = 5, initial = \"10ms\", max = \"40ms\" }\n";
    let policy = "retry = { initial = \"5ms\", max-attempts = 3 }\nconcurrency = 4\n";
    let text = format!("{CHANNEL}{}", reactor("r", &format!("on = [\"t\"]\n{breaker}{policy}{extra}")));
    let outage = Outage::new();
    let world = World::start(Arc::new(MemoryStore::new(256)), &text, vec![("r", outage.guest())]).await;
    world.publish(0..200).await;
    // Without a breaker, three attempts of each would be used up in a few milliseconds.
    world.until("it has been probed a while", |_| outage.runs.load(Ordering::SeqCst) >= 30).await;
    let counts = world.counts("r");
    assert_eq!(counts.dead, 0, "probes use up no attempts");
    assert!(counts.retried <= 5 + 4, "only what ran before it opened counts: {}", counts.retried);
    outage.down.store(false, Ordering::SeqCst);
    let store = world.until_idle().await;
    let counts = store.stats().expect("counts").reactors.remove(0);
    assert_eq!((counts.done, counts.dead), (200, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_spares_the_attempts_of_an_outage() {
    outage("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_spares_the_attempts_of_an_outage_in_lanes() {
    outage("order-by = \"/data/n\"\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_old_ends_although_the_breaker_is_open() {
    let policy = "breaker = { failures = 2, initial = \"10ms\", max = \"20ms\" }\nretry = { initial = \"5ms\", max-age = \"1s\", max-attempts = 1000 }\n";
    let text = format!("{CHANNEL}{}", reactor("r", &format!("on = [\"t\"]\n{policy}")));
    let guests = vec![("r", guest("failing", always(retry())))];
    let world = World::start(Arc::new(MemoryStore::new(256)), &text, guests).await;
    world.publish(0..4).await;
    let store = world.until_idle().await;
    let letters = store.dead_letters(&DeadFilter::default()).expect("letters");
    let reasons: Vec<_> = letters.iter().map(|dead| dead.letter.reason.as_str()).collect();
    assert_eq!(reasons, ["too-old"; 4]);
}

/// Short runs are started ahead of what may run at once; they must not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_run_at_once_than_may() {
    let text = format!("{CHANNEL}{}", reactor("r", "on = [\"t\"]\nconcurrency = 3\n"));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, seen) = (Arc::clone(&now), Arc::clone(&most));
    let counting: Behaviour = Arc::new(move |_| {
        let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
        Box::pin(async move {
            seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Run::ended(Outcome::Done)
        })
    });
    let world = World::start(Arc::new(MemoryStore::new(256)), &text, vec![("r", guest("counting", counting))]).await;
    world.publish(0..2_000).await;
    let store = world.until_idle().await;
    assert_eq!(store.stats().expect("counts").reactors.remove(0).done, 2_000);
    assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 3));
}
