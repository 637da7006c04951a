//! The host goes on while the store takes its time: no read keeps it from anything that it can do meanwhile.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use reactor_core::event::{Offset, Outcome};
use reactor_core::guest::Run;
use reactor_core::store::{DeadFilter, Request, StoreClient};
use reactor_store::memory::MemoryStore;

use support::guest::{Behaviour, always, answering, counting, guest, retry};
use support::rig::{Rig, Time};
use support::slow::Slow;

const CONFIG: &str = r#"
[channels.in]
kind = "local"
[reactors.r]
module = "r.wasm"
from = ["in"]
on = ["t"]
"#;

/// A rig on a store in memory whose answers can be kept back.
fn rig() -> (Rig, Arc<Slow>) {
    let slow = Slow::new(Arc::new(MemoryStore::new(256)));
    (Rig::on(slow.clone(), Time::driven(Default::default())), slow)
}

async fn publish(rig: &Rig, ids: std::ops::Range<usize>) {
    rig.publish(ids.map(|id| format!(r#"{{"eventId":"e{id}","eventType":"t","source":"s","data":{id}}}"#))).await;
}

/// Ends a run as soon as it is told to.
fn when_told(release: &Arc<Notify>) -> Behaviour {
    let release = Arc::clone(release);
    Arc::new(move |_| {
        let release = Arc::clone(&release);
        Box::pin(async move {
            release.notified().await;
            Run::ended(Outcome::Done)
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_log_is_being_read_commits_go_on_and_a_drain_ends() {
    let (rig, slow) = rig();
    let (release, runs) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let host = rig.start(CONFIG, vec![("r", guest("one", counting(&runs, when_told(&release))))]).await;
    publish(&rig, 0..1).await;
    host.until("it runs", || runs.load(Ordering::SeqCst) == 1).await;
    slow.keep("read_log");
    publish(&rig, 1..2).await;
    host.until("the log is being read", || slow.kept("read_log") == 1).await;
    release.notify_one();
    host.until("its commit is taken", || rig.counts("r").done == 1).await;
    host.deploy(CONFIG, vec![("r", guest("two", always(Outcome::Done)))]).await;
    host.drain().await;
    assert_eq!(slow.kept("read_log"), 1, "the read has not ended");
    slow.let_go();
    rig.run(CONFIG, vec![("r", guest("two", always(Outcome::Done)))]).await;
    assert_eq!(rig.counts("r").done, 2);
}

/// Every kind of read hangs in its turn. A host asks for foreign changes once before it runs, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_being_read_a_drain_ends() {
    for method in ["spilled", "due", "held", "requests", "foreign_changes", "dead_letter"] {
        let (rig, slow) = rig();
        let text = format!("{CONFIG}order-by = \"/data\"\nretry = {{ initial = \"20ms\", max-attempts = 2 }}\n");
        let failing = || vec![("r", guest("failing", always(retry(None))))];
        publish(&rig, 0..1).await;
        rig.run(&text, failing()).await;
        let dead = rig.store.dead_letters(&DeadFilter::default()).expect("letters").remove(0).id;
        if method != "foreign_changes" {
            slow.keep(method);
        }
        let host = rig.start(&text, failing()).await;
        slow.keep(method);
        rig.store.request(Request::Redrive(dead)).await.expect("asked");
        publish(&rig, 1..3).await;
        host.until(method, || slow.kept(method) > 0).await;
        host.drain().await;
        assert!(slow.kept(method) > 0, "{method} has not ended");
        slow.let_go();
        rig.run(&text, vec![("r", guest("done", always(Outcome::Done)))]).await;
        let counts = rig.counts("r");
        assert_eq!((counts.active, counts.done + counts.dead), (0, 3), "{method}: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_the_log_is_being_read_is_not_missed() {
    let (rig, slow) = rig();
    let host = rig.start(CONFIG, vec![("r", guest("one", always(Outcome::Done)))]).await;
    let mut kept = 0;
    for round in 0..100 {
        slow.keep("read_log");
        publish(&rig, 2 * round..2 * round + 1).await;
        let done = 2 * round as u64 + 1;
        // The first read that is kept back may be one of the round before.
        host.until("it is done", || {
            let is_done = rig.counts("r").done == done;
            if !is_done && slow.kept("read_log") > 0 {
                slow.let_one_go("read_log");
            }
            is_done
        })
        .await;
        // As a rule another read has found nothing by now, and its answer is on its way.
        let mut looks = 0;
        host.until("the next read", || {
            looks += 1;
            slow.kept("read_log") > 0 || looks > 100
        })
        .await;
        kept += usize::from(slow.kept("read_log") > 0);
        publish(&rig, 2 * round + 1..2 * round + 2).await;
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        slow.let_go();
        host.until("the next one is done", || rig.counts("r").done == done + 1).await;
    }
    assert!(kept > 30, "only {kept} times was a read under way when something was published");
    host.until_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_carried_out_once_though_the_disk_is_full_meanwhile() {
    let (rig, slow) = rig();
    rig.publish(["{".to_owned()]).await;
    publish(&rig, 0..20).await;
    let reject = answering(|_| Outcome::Reject { reason: "no".into() });
    rig.run(CONFIG, vec![("r", guest("one", reject))]).await;
    let letters = rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!(letters.len(), 21);
    // The letter that cannot be decoded comes first: its message is published again, and then there is no room to drop it.
    let undecodable = letters.iter().find(|dead| dead.letter.reactor.is_none()).expect("one cannot be decoded").id;
    rig.store.request(Request::Redrive(undecodable)).await.expect("asked");
    let others = letters.iter().map(|dead| dead.id).filter(|id| *id != undecodable);
    for (index, id) in others.enumerate() {
        let request = if index % 4 == 0 { Request::Drop(id) } else { Request::Redrive(id) };
        rig.store.request(request).await.expect("asked");
    }
    slow.fill("redrive", 7);
    slow.fill("drop_dead", 7);
    let runs = Arc::new(std::sync::Mutex::new(BTreeMap::<String, usize>::new()));
    let seen = Arc::clone(&runs);
    let counted = answering(move |call| {
        *seen.lock().expect("no panic").entry(call.event.id.clone()).or_default() += 1;
        Outcome::Done
    });
    let host = rig.start(CONFIG, vec![("r", guest("two", counted))]).await;
    host.until("all are carried out", || slow.requests(0).expect("requests").is_empty()).await;
    host.until_idle().await;
    assert_eq!(["redrive", "drop_dead"].map(|method| slow.left_full(method)), [0; 2]);
    let runs = runs.lock().expect("no panic");
    assert!(runs.len() == 15 && runs.values().all(|runs| *runs == 1), "{runs:?}");
    let channel = rig.store.channel_id("in").expect("a channel");
    let log = rig.store.read_log(channel, Offset(1), 100, usize::MAX).expect("the log");
    assert_eq!(log.iter().filter(|record| &record.message.body[..] == b"{").count(), 2, "published again once");
    let letters = rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!(letters.len(), 1, "it cannot be decoded the second time either");
}

/// While a load is under way, what it has found runs, ends and waits again. It must not come into memory as it was before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_attempt_is_made_once_however_long_loads_take() {
    const EVENTS: usize = 300;
    // With a breaker, nothing is run ahead of its turn.
    let policy = "breaker = { failures = 10000 }\nretry = { initial = \"3ms\", max-attempts = 5, max = \"9ms\" }\n";
    let order = "order-by = \"/data/lane\"\n";
    for text in [format!("{CONFIG}{policy}"), format!("{CONFIG}{order}{policy}")] {
        let (rig, slow) = rig();
        let event = |id| {
            let data = serde_json::json!({ "n": id, "lane": id % 90 });
            serde_json::json!({ "eventId": format!("e{id}"), "eventType": "t", "source": "s", "data": data })
                .to_string()
        };
        rig.publish((0..EVENTS).map(event)).await;
        let runs = Arc::new(std::sync::Mutex::new(BTreeMap::<(String, u32), usize>::new()));
        let seen = Arc::clone(&runs);
        let failing = answering(move |call| {
            *seen.lock().expect("no panic").entry((call.event.id.clone(), call.attempt)).or_default() += 1;
            if call.attempt < 4 { retry(None) } else { Outcome::Done }
        });
        let loads = ["spilled", "due", "held"];
        loads.iter().for_each(|method| slow.keep(method));
        let host = rig.start(&text, vec![("r", guest("failing", failing))]).await;
        let mut looks = 0;
        host.until("all are done", || {
            looks += 1;
            for method in loads.iter().filter(|method| looks % 7 == 0 && slow.kept(method) > 0) {
                slow.let_one_go(method);
            }
            rig.counts("r").done == EVENTS as u64
        })
        .await;
        slow.let_go();
        host.until_idle().await;
        let runs = runs.lock().expect("no panic");
        let often: Vec<_> = runs.iter().filter(|(_, runs)| **runs != 1).collect();
        assert!(runs.len() == 4 * EVENTS && often.is_empty(), "{} attempts, {often:?}", runs.len());
    }
}
