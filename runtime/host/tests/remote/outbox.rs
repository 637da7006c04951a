//! Emitted events and dead letters are sent in order, at least once, with stable ids.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reactor_core::channel::Trouble;
use reactor_core::event::{Message, Outcome};
use reactor_core::store::{DeadFilter, Request};
use reactor_host::emit::forward::{DEAD_LETTER_ATTRIBUTE, sent_back};

use crate::support::guest::{answering, retry};
use crate::world::{World, done};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_keeps_its_order_through_failures() {
    let mut world = World::fifo();
    for id in 0..120 {
        world.source.event(id, &serde_json::json!({ "n": id, "group": format!("g{}", id % 4), "emit": true }));
    }
    world.sink.inner().send_faults = vec![Trouble::Throttled; 7];
    let seen: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let list = Arc::clone(&seen);
    let listing = answering(move |call| {
        let data: serde_json::Value = serde_json::from_slice(&call.event.data).expect("JSON");
        let (number, group) = (data["n"].as_u64().unwrap_or(0), data["group"].to_string());
        let fails = number.is_multiple_of(5) && call.attempt < 3;
        if !fails {
            list.lock().expect("a list").push((number, group));
        }
        if fails { retry(None) } else { Outcome::Done }
    });
    world.start(listing, done()).await.until_idle().await;
    assert_eq!((world.rig.counts("a").done, world.rig.counts("b").done), (120, 120));
    for group in 0..4 {
        let name = format!("\"g{group}\"");
        let order: Vec<u64> =
            seen.lock().expect("a list").iter().filter(|(_, g)| *g == name).map(|(n, _)| *n).collect();
        assert_eq!(order, (0..30).map(|n| n * 4 + group).collect::<Vec<_>>(), "{name}");
    }
    let sent = world.sink.inner().sent.clone();
    assert_eq!(sent.len(), 240);
    for group in 0..4 {
        let of_a = |message: &&Message| {
            let event: serde_json::Value = serde_json::from_slice(&message.body).expect("JSON");
            event["source"] == "a" && message.system.group_id == Some(format!("g{group}"))
        };
        let number = |message: &Message| {
            let event: serde_json::Value = serde_json::from_slice(&message.body).expect("JSON");
            event["data"]["n"].as_u64().unwrap_or(0)
        };
        let order: Vec<u64> = sent.iter().filter(of_a).map(number).collect();
        assert_eq!(order, (0..30).map(|n| n * 4 + group).collect::<Vec<_>>(), "sent in order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_letter_goes_out_and_comes_back() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    let mood = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&mood);
    let moody = answering(move |_| {
        let bad = asked.load(Ordering::SeqCst) == 0;
        if bad { Outcome::Reject { reason: "no".into() } } else { Outcome::Done }
    });
    let host = world.start(moody, done()).await;
    host.until("the dead letter is outside", || world.sink.inner().sent.len() == 1).await;
    world.until_empty().await;
    let letter = world.sink.inner().sent[0].clone();
    assert!(letter.attribute(DEAD_LETTER_ATTRIBUTE).is_some());
    let (message, note) = sent_back(letter.clone());
    let note = note.expect("a note");
    assert_eq!((note.reactor.as_str(), note.reason.as_str(), note.attempts), ("a", "rejected", 1));
    assert_eq!((note.module.as_deref(), note.channel.as_str()), (Some("native"), "in"));
    assert!(message.body.starts_with(b"{\"data\":"), "{message:?}");
    mood.store(1, Ordering::SeqCst);
    // AWS's own redrive does the same: it puts the unchanged message back into the queue.
    world.source.put(letter);
    host.until("it is done", || world.rig.counts("a").done == 1).await;
    world.until_empty().await;
    host.drain().await;
    let (a, b) = (world.rig.counts("a"), world.rig.counts("b"));
    assert_eq!((a.done, a.dead, b.done, b.duplicates), (1, 0, 1, 1));
    assert!(world.rig.store.dead_letters(&DeadFilter::default()).expect("letters").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_channel_refuses_becomes_a_dead_letter_and_can_be_sent_again() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({ "emit": true }));
    world.sink.inner().send_faults = vec![Trouble::Refused, Trouble::Unreachable, Trouble::Throttled];
    world.start(done(), done()).await.until_idle().await;
    assert_eq!(world.sink.inner().sent.len(), 1);
    let letters = world.rig.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!((letters.len(), letters[0].letter.reason.as_str()), (1, "undeliverable"));
    assert!(letters[0].letter.detail.contains("made up"));
    world.rig.store.request(Request::Redrive(letters[0].id)).await.expect("asked");
    world.start(done(), done()).await.until_idle().await;
    assert_eq!(world.sink.inner().sent.len(), 2);
    assert!(world.rig.store.dead_letters(&DeadFilter::default()).expect("letters").is_empty());
}
