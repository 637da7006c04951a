//! The host with a guest in Rust in place of the sandbox: what must hold under any policy, crash or race.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use reactor_core::event::{Message, Outcome};
use reactor_core::guest::{Call, Run};
use reactor_core::store::{AttemptEnd, AttemptsOf, DeadFilter, ReactorStats, StoreError};
use reactor_host::host::Control;
use reactor_store::memory::MemoryStore;
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

use support::guest::{Behaviour, answering, guest, retry, update};
use support::rig::{Guests, Rig};

const CONFIG: &str = r#"
[channels.in]
kind = "local"
[reactors.r]
module = "r.wasm"
from = ["in"]
on = ["**"]
allow = { state = true }
"#;

/// One reactor, `r`, that reads everything, with more in its table.
fn config(extra: &str) -> String {
    format!("{CONFIG}{extra}")
}

fn only(run: Behaviour) -> Guests {
    vec![("r", guest("native", run))]
}

/// Reads a key, waits a little, and writes it with something appended.
async fn append(call: Call, key: &str, text: String) -> Run {
    update(call, key, |before| format!("{before}{text}")).await
}

fn native(run: impl Fn(Call) -> BoxFuture<'static, Run> + Send + Sync + 'static) -> Behaviour {
    Arc::new(run)
}

async fn publish(rig: &Rig, data: impl IntoIterator<Item = serde_json::Value>) {
    let event = |(index, data)| {
        serde_json::json!({ "eventId": format!("e{index}"), "eventType": "t", "data": data }).to_string()
    };
    rig.publish(data.into_iter().enumerate().map(event)).await;
}

/// Runs a host until it is idle, and checks that nothing is left.
async fn until_idle(rig: &Rig, text: &str, run: Behaviour) -> ReactorStats {
    rig.run(text, only(run)).await;
    let counts = rig.counts("r");
    assert_eq!(counts.active, 0, "it was idle, and something is left: {counts:?}");
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_on_one_key_lose_no_update() {
    let rig = Rig::new();
    publish(&rig, (0..600).map(Into::into)).await;
    let append = native(|call| Box::pin(append(call, "all", "x".into())));
    let counts = until_idle(&rig, &config("concurrency = 32\n"), append).await;
    assert_eq!((counts.done, counts.retried), (600, 0));
    assert_eq!(rig.state("r", "all").len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lane_keeps_its_order_through_failures() {
    let text = config(
        "order-by = \"/data/lane\"\nconcurrency = 16\n[reactors.r.retry]\ninitial = \"3ms\"\nmax-attempts = 9\n",
    );
    let rig = Rig::new();
    publish(&rig, (0..400).map(|n| serde_json::json!({ "lane": n % 7, "n": n }))).await;
    let failing = native(|call| {
        Box::pin(async move {
            let data: serde_json::Value = serde_json::from_slice(&call.event.data).expect("JSON");
            let (lane, n) = (&data["lane"], data["n"].as_u64().expect("a number"));
            // Every fifth event fails at its first attempt, and every fifteenth at its second too.
            if (n % 5 == 0 && call.attempt == 1) || (n % 15 == 0 && call.attempt == 2) {
                return Run::ended(retry(None));
            }
            let key = format!("lane{lane}");
            append(call, &key, format!("{n} ")).await
        })
    });
    let counts = until_idle(&rig, &text, failing).await;
    assert_eq!((counts.done, counts.dead), (400, 0));
    assert_eq!(counts.retried, 80 + 27);
    for lane in 0..7 {
        let expected: String = (0..400).filter(|n| n % 7 == lane).map(|n| format!("{n} ")).collect();
        assert_eq!(rig.state("r", &format!("lane{lane}")), expected);
    }
}

/// An event that kills the process runs speculatively, behind good ones, and each crash also loses those runs. That
/// must not go on for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn an_event_that_ends_the_process_is_found_however_it_was_run() {
    const POISON: u64 = 30;
    let text = config("order-by = \"/data/lane\"\n[reactors.r.retry]\ninitial = \"1ms\"\nmax-attempts = 2\n");
    let store = MemoryStore::new(256);
    // By the machine's clock: a driven clock advances only while no thread is busy, and the dead threads stay busy for
    // ever.
    let rig_of = |store: &MemoryStore| Rig::on_disk(Arc::new(store.reopen()));
    let mut rig = rig_of(&store);
    publish(&rig, (0..40).map(|n| serde_json::json!({ "lane": "a", "n": n }))).await;
    let end = Arc::new(End::default());
    let mut lives = 0;
    loop {
        rig = rig_of(&store);
        let (end, died) = (Arc::clone(&end), Arc::new(AtomicBool::new(false)));
        let dies = Arc::clone(&died);
        let deadly = native(move |call| {
            let (end, dies) = (Arc::clone(&end), Arc::clone(&dies));
            Box::pin(async move {
                let data: serde_json::Value = serde_json::from_slice(&call.event.data).expect("JSON");
                let n = data["n"].as_u64().expect("a number");
                if n == POISON {
                    // This thread does nothing more.
                    dies.store(true, Ordering::SeqCst);
                    end.wait();
                }
                append(call, "done", format!("{n} ")).await
            })
        });
        let running = rig.start(&text, only(deadly)).await;
        running.tell(Control::WhenIdle).await;
        rig.time.until("it has died, or is idle", || died.load(Ordering::SeqCst) || running.host.is_finished()).await;
        if running.host.is_finished() {
            running.host.await.expect("no panic").expect("it runs");
            break;
        }
        running.kill().await;
        lives += 1;
        assert!(lives < 8, "it goes on like that for ever");
    }
    end.come();
    let dead = rig.store.dead_letters(&DeadFilter::default()).expect("dead letters").remove(0).letter;
    assert_eq!((dead.reason.as_str(), dead.history.len()), ("host", 2));
    // An attempt cut short by a crash counts like any other, for the host that recorded it.
    let attempts = rig.store.attempts(&AttemptsOf::Event(format!("e{POISON}"))).expect("attempts");
    let ends: Vec<_> = attempts.iter().map(|one| (one.number, &*one.code, one.end, &*one.module)).collect();
    assert_eq!(ends, [(1, "host", AttemptEnd::Retry, "native"), (2, "host", AttemptEnd::Dead, "native")]);
    assert!(attempts[0].worker < attempts[1].worker, "{attempts:?}");
    let well = rig.store.attempts(&AttemptsOf::Event("e0".into())).expect("attempts");
    assert!(matches!(&well[..], [one] if one.code == "done" && one.end == AttemptEnd::Done), "{well:?}");
    let others: String = (0..40).filter(|n| *n != POISON).map(|n| format!("{n} ")).collect();
    assert_eq!(rig.state("r", "done"), others);
}

/// What dead threads wait for.
#[derive(Default)]
struct End(Mutex<bool>, Condvar);

impl End {
    fn wait(&self) {
        drop(self.1.wait_while(self.0.lock().expect("no panic"), |is_over| !*is_over).expect("no panic"));
    }

    fn come(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_is_an_attempt_and_not_the_end() {
    let rig = Rig::new();
    publish(&rig, (0..10).map(Into::into)).await;
    let panicking = native(|call| {
        Box::pin(async move {
            assert_ne!(&call.event.data[..], b"4", "a bug of the host");
            Run::ended(Outcome::Done)
        })
    });
    let text = config("[reactors.r.retry]\ninitial = \"1ms\"\nmax-attempts = 3\n");
    let counts = until_idle(&rig, &text, panicking).await;
    assert_eq!((counts.done, counts.dead, counts.retried), (9, 1, 2));
    let dead = rig.store.dead_letters(&DeadFilter::default()).expect("dead letters").remove(0).letter;
    assert_eq!((dead.reason.as_str(), dead.history.len()), ("host", 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_gives_up_what_outlasts_it_and_counts_no_attempt() {
    let rig = Rig::new();
    publish(&rig, (0..3).map(Into::into)).await;
    let started = Arc::new(AtomicUsize::new(0));
    let (seen, clock) = (Arc::clone(&started), rig.time.clock());
    let slow = native(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        let sleep = clock.sleep(Duration::from_secs(600));
        Box::pin(async {
            sleep.await;
            Run::ended(Outcome::Done)
        })
    });
    let text = format!("[runtime]\ndrain = \"50ms\"\n{CONFIG}");
    let running = rig.start(&text, only(slow)).await;
    running.until("all have started", || started.load(Ordering::SeqCst) == 3).await;
    let begin = rig.time.clock().now();
    running.drain().await;
    assert!(rig.time.clock().now().since(begin) < Duration::from_secs(30), "the drain ends");
    assert_eq!(rig.counts("r").active, 3);
    let counted = answering(|call| {
        assert_eq!(call.attempt, 1, "a run that was given up is no attempt");
        Outcome::Done
    });
    let counts = until_idle(&rig, &text, counted).await;
    assert_eq!((counts.done, counts.retried), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_before_the_disk_was_full_is_done_when_there_is_room() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let options = OpenOptions { reserve: 2 << 20, size_limit: Some(6 << 20), ..OpenOptions::owner(64) };
    let store = Arc::new(SqliteOwner::own(dir.path(), &options).expect("a store"));
    let rig = Rig::on_disk(store);
    let channel = rig.store.channel_id("in").expect("a channel");
    let mut accepted = 0;
    let refused = loop {
        let batch: Vec<_> = (0..20)
            .map(|n| {
                let (id, pad) = (accepted + n, "x".repeat(2_000));
                let event = serde_json::json!({ "eventId": id.to_string(), "eventType": "t", "data": { "pad": pad } });
                Message::from_body(event.to_string())
            })
            .collect();
        match rig.store.append(channel, batch).await {
            Ok(_) => accepted += 20,
            Err(error) => break error,
        }
        assert!(accepted < 100_000, "the limit is not reached");
    };
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert!(accepted > 100, "only {accepted} accepted");
    drop(rig);
    let store = Arc::new(SqliteOwner::own(dir.path(), &OpenOptions::owner(64)).expect("the store opens again"));
    let rig = Rig::on_disk(store);
    let append = native(|call| Box::pin(append(call, "all", "x".into())));
    let counts = until_idle(&rig, CONFIG, append).await;
    assert_eq!(counts.done, accepted);
    assert_eq!(rig.state("r", "all").len() as u64, accepted);
}
