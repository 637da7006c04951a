//! A message is deleted when all of it has ended, or is stored, and not before.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reactor_core::channel::Trouble;
use reactor_core::event::{Message, Outcome};
use reactor_core::store::{DeadFilter, Request};

use crate::support::guest::{answering, counting, retry, stuck};
use crate::world::{World, done};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_is_deleted_when_every_reactor_has_ended() {
    let mut world = World::new("", "");
    for id in 0..500 {
        world.source.event(id, &serde_json::json!({ "emit": true }));
    }
    world.source.inner().failing_deletes = 20;
    let fails = Arc::new(AtomicUsize::new(0));
    let flaky = counting(&fails, answering(|call| if call.attempt < 2 { retry(None) } else { Outcome::Done }));
    world.start(done(), flaky).await.until_idle().await;
    assert_eq!(world.source.left(), 0);
    let (a, b) = (world.rig.counts("a"), world.rig.counts("b"));
    assert_eq!((a.done, a.retried, b.done, b.retried), (500, 0, 500, 500));
    assert_eq!(fails.load(Ordering::SeqCst), 1_000);
    let sent = world.sink.inner().sent.len();
    assert_eq!(sent, 1_000, "what was emitted has been sent");
    let ids: HashSet<_> = world.sink.inner().sent.iter().map(|m| m.system.dedup_id.clone()).collect();
    assert_eq!(ids.len(), 1_000, "each has an id of its own");
    assert_eq!(world.rig.store.stats().expect("counts").outbox, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stored_messages_are_deleted_before_they_have_run() {
    let mut world = World::new("settle = \"stored\"", "");
    for id in 0..300 {
        world.source.event(id, &serde_json::json!({}));
    }
    let host = world.start(done(), stuck()).await;
    world.until_empty().await;
    host.kill().await;
    world.start(done(), done()).await.until_idle().await;
    assert_eq!((world.rig.counts("a").done, world.rig.counts("b").done), (300, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_event_is_kept_and_deleted() {
    let mut world = World::new("unrouted = \"dead-letter\"", "");
    world.source.put(Message::from_body("{"));
    world.source.put(Message::from_body(r#"{"eventId":"e","eventType":"nobodys","source":"s","data":1}"#));
    world.start(done(), done()).await.until_idle().await;
    assert_eq!(world.source.left(), 0);
    let letters = world.rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    let mut reasons: Vec<_> = letters.iter().map(|dead| dead.letter.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["invalid-event", "unrouted"]);
    for letter in &letters {
        world.rig.store.request(Request::Redrive(letter.id)).await.expect("asked");
    }
    // A reactor now wants the unrouted event; the other message stays invalid.
    world.config = world.config.replacen("on = [\"t\"]", "on = [\"t\", \"nobodys\"]", 1);
    world.source.inner().resend_faults = vec![Trouble::Throttled];
    let host = world.start(done(), done()).await;
    host.until("it has run", || world.rig.counts("a").done == 1).await;
    host.until("the other is back", || world.rig.store.requests(0).expect("requests").is_empty()).await;
    host.until_idle().await;
    let letters = world.rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!(letters.iter().map(|dead| dead.letter.reason.as_str()).collect::<Vec<_>>(), ["invalid-event"]);
    assert_eq!(world.source.left(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trouble_is_waited_out_without_spinning() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    let faults = [Trouble::Missing, Trouble::Denied, Trouble::Throttled, Trouble::Unreachable];
    world.source.inner().receive_faults = faults.to_vec();
    let host = world.start(done(), done()).await;
    world.until_empty().await;
    let calls = world.source.inner().calls;
    assert!(calls <= 4 + 4, "{calls} calls");
    host.drain().await;
}
