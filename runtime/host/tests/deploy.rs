//! New modules and configurations under a running host, and the breaker: guests in Rust in place of the sandbox.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use reactor_core::event::Outcome;
use reactor_core::guest::{Guest, Run};
use reactor_core::store::DeadFilter;
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

use support::guest::{Behaviour, always, answering, counting, guest, retry, stuck, update};
use support::rig::Rig;

const CHANNEL: &str = "[channels.in]\nkind = \"local\"\n";

/// Adds one to a number in the state.
fn adding() -> Behaviour {
    let more = |before: &str| match before {
        "" => "1".to_owned(),
        number => (number.parse::<u64>().expect("a number") + 1).to_string(),
    };
    Arc::new(move |call| Box::pin(update(call, "n", more)))
}

fn reactor(name: &str, extra: &str) -> String {
    format!("[reactors.{name}]\nmodule = \"{name}.wasm\"\nfrom = [\"in\"]\nallow = {{ state = true }}\n{extra}")
}

async fn publish(rig: &Rig, ids: impl Iterator<Item = usize>) {
    let event = |id| format!(r#"{{"eventId":"e{id}","eventType":"t","source":"s","data":{{"n":{id}}}}}"#);
    rig.publish(ids.map(event)).await;
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
    let rig = Rig::new();
    let host = rig.start(&text, vec![("r", guest("one", slow))]).await;
    publish(&rig, 0..1).await;
    rig.time.wait("it has begun", begun.notified()).await;
    host.deploy(&text, vec![("r", guest("two", always(Outcome::Done)))]).await;
    publish(&rig, 1..4).await;
    host.until("the new module has run", || rig.counts("r").done == 3).await;
    assert_eq!(rig.counts("r").active, 1, "the old attempt still runs");
    release.notify_one();
    host.until_idle().await;
    let letters = rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!(letters[0].letter.history[0].module, "one");
}

/// Deploys continually, alternately in place and with a restart, while events arrive.
async fn deploys_under_load(rig: Rig) {
    const EVENTS: usize = 1_500;
    let variant = |round: usize| {
        let on = if round.is_multiple_of(3) { "on = [\"**\"]\n" } else { "on = [\"t\"]\n" };
        format!("{CHANNEL}{}", reactor("r", &format!("{on}concurrency = {}\n", 1 + round % 7)))
    };
    let runs = Arc::new(AtomicUsize::new(0));
    let adding = |digest| vec![("r", guest(digest, counting(&runs, adding())))];
    let host = rig.start(&variant(0), adding("0")).await;
    for round in 1..=30 {
        publish(&rig, (round - 1) * EVENTS / 30..round * EVENTS / 30).await;
        host.deploy(&variant(round), adding(if round % 2 == 0 { "even" } else { "odd" })).await;
        // The next deployment comes before all of these have run.
        let most = (round - 1) * EVENTS / 30 + round % 5 * 10;
        host.until("some of them have run", || runs.load(Ordering::SeqCst) >= most).await;
    }
    host.until_idle().await;
    let counts = rig.store.stats().expect("counts").reactors.remove(0);
    assert_eq!((counts.done, counts.delivered, counts.retried), (EVENTS as u64, EVENTS as u64, 0), "{counts:?}");
    assert_eq!(rig.state("r", "n"), EVENTS.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_under_load_lose_and_double_nothing_in_memory() {
    deploys_under_load(Rig::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_under_load_lose_and_double_nothing_on_disk() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let store = SqliteOwner::own(dir.path(), &OpenOptions::owner(64)).expect("a store");
    deploys_under_load(Rig::on_disk(Arc::new(store))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_reactor_keeps_its_waiting_retries_until_it_is_back() {
    let (r, s) = (
        reactor("r", "on = [\"t\"]\nretry = { initial = \"1s\", jitter = \"none\" }\n"),
        reactor("s", "on = [\"t\"]\n"),
    );
    let both = format!("{CHANNEL}{r}{s}");
    let done = || guest("done", always(Outcome::Done));
    let guests = vec![("r", guest("failing", always(retry(None)))), ("s", done())];
    let rig = Rig::new();
    let host = rig.start(&both, guests).await;
    publish(&rig, 0..5).await;
    host.until("they wait", || rig.counts("r").waiting == 5 && rig.counts("s").done == 5).await;
    host.deploy(&format!("{CHANNEL}{s}"), vec![("s", done())]).await;
    publish(&rig, 5..8).await;
    host.until("the other goes on", || rig.counts("s").done == 8).await;
    rig.time.wait("they are due", rig.time.clock().sleep(Duration::from_millis(1_200))).await;
    assert_eq!(rig.counts("r").active, 5, "nobody ran them when they were due, and nobody lost them");
    host.deploy(&both, vec![("r", done()), ("s", done())]).await;
    host.until("it is back", || rig.counts("r").done == 5).await;
    host.until_idle().await;
    let counts = &rig.store.stats().expect("counts").reactors;
    assert_eq!(counts.iter().map(|counts| counts.delivered).sum::<u64>(), 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_connections_change_is_a_stop() {
    let text =
        |on: &str| format!("[runtime]\ndrain = \"100ms\"\n{CHANNEL}{}", reactor("r", &format!("on = [\"{on}\"]\n")));
    let rig = Rig::new();
    let host = rig.start(&text("t"), vec![("r", guest("one", stuck()))]).await;
    publish(&rig, 0..1).await;
    host.until("it runs", || rig.counts("r").active == 1).await;
    host.deploy(&text("**"), vec![("r", guest("two", always(Outcome::Done)))]).await;
    host.drain().await;
    let counts = rig.store.stats().expect("counts").reactors.remove(0);
    assert_eq!((counts.active, counts.done), (1, 0), "the new one has not run");
}

/// A reactor that fails while it is told to, and counts its runs.
struct Outage {
    down: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
}

impl Outage {
    fn new() -> Self {
        Self { down: Arc::new(AtomicBool::new(true)), runs: Arc::default() }
    }

    fn guest(&self) -> Arc<dyn Guest> {
        let down = Arc::clone(&self.down);
        let run = answering(move |_| if down.load(Ordering::SeqCst) { retry(None) } else { Outcome::Done });
        guest("outage", counting(&self.runs, run))
    }
}

async fn outage(extra: &str) {
    let breaker = "breaker = { failures = 5, initial = \"10ms\", max = \"40ms\" }\n";
    let policy = "retry = { initial = \"5ms\", max-attempts = 3 }\nconcurrency = 4\n";
    let text = format!("{CHANNEL}{}", reactor("r", &format!("on = [\"t\"]\n{breaker}{policy}{extra}")));
    let outage = Outage::new();
    let rig = Rig::new();
    let host = rig.start(&text, vec![("r", outage.guest())]).await;
    publish(&rig, 0..200).await;
    // Without a breaker, three attempts of each would be used up in a few milliseconds.
    host.until("it has been probed a while", || outage.runs.load(Ordering::SeqCst) >= 30).await;
    let counts = rig.counts("r");
    assert_eq!(counts.dead, 0, "probes use up no attempts");
    assert!(counts.retried <= 5 + 4, "only what ran before it opened counts: {}", counts.retried);
    outage.down.store(false, Ordering::SeqCst);
    host.until_idle().await;
    let counts = rig.store.stats().expect("counts").reactors.remove(0);
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
    let guests = vec![("r", guest("failing", always(retry(None))))];
    let rig = Rig::new();
    let host = rig.start(&text, guests).await;
    publish(&rig, 0..4).await;
    host.until_idle().await;
    let letters = rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    let reasons: Vec<_> = letters.iter().map(|dead| dead.letter.reason.as_str()).collect();
    assert_eq!(reasons, ["too-old"; 4]);
}

/// Short runs are started ahead of what may run at once; they must not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_run_at_once_than_may() {
    let text = format!("{CHANNEL}{}", reactor("r", "on = [\"t\"]\nconcurrency = 3\n"));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, seen) = (Arc::clone(&now), Arc::clone(&most));
    let watched: Behaviour = Arc::new(move |_| {
        let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
        Box::pin(async move {
            seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Run::ended(Outcome::Done)
        })
    });
    let rig = Rig::new();
    let host = rig.start(&text, vec![("r", guest("watched", watched))]).await;
    publish(&rig, 0..2_000).await;
    host.until_idle().await;
    assert_eq!(rig.store.stats().expect("counts").reactors.remove(0).done, 2_000);
    assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 3));
}
