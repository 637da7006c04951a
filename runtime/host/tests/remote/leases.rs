//! Received messages are held under leases: renewed, lost, given back, and taken over after a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reactor_core::clock::Clock;
use reactor_core::event::Outcome;
use reactor_core::guest::Run;

use crate::support::guest::{Behaviour, answering, counting, retry};
use crate::world::{World, done, guests};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_crash_only_what_has_not_ended_runs_again() {
    let mut world = World::new("", "concurrency = 4");
    for id in 0..20 {
        world.source.event(id, &serde_json::json!({}));
    }
    let begun = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&begun);
    let stuck: Behaviour = Arc::new(move |_| {
        let begun = Arc::clone(&count);
        Box::pin(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        })
    });
    let host = world.start(done(), stuck).await;
    host.until("one reactor is done", || world.rig.counts("a").done == 20).await;
    host.until("as many run as may", || begun.load(Ordering::SeqCst) == 4).await;
    host.kill().await;
    assert_eq!(world.source.left(), 20, "nothing is settled");
    world.source.expire();
    let (again_a, again_b) = (Arc::default(), Arc::default());
    let host = world.start(counting(&again_a, done()), counting(&again_b, done())).await;
    world.until_empty().await;
    host.drain().await;
    assert_eq!((again_a.load(Ordering::SeqCst), again_b.load(Ordering::SeqCst)), (0, 20));
    let (a, b) = (world.rig.counts("a"), world.rig.counts("b"));
    assert_eq!((a.done, b.done, a.active, b.active), (20, 20, 0, 0));
    assert_eq!((begun.load(Ordering::SeqCst), b.retried), (4, 4), "attempts that had begun count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_waits_are_spent_in_the_queue_and_survive_a_restart() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    let wait = retry(Some(Duration::from_secs(3_600)));
    let patient = answering(move |call| if call.attempt == 1 { wait.clone() } else { Outcome::Done });
    let host = world.start(done(), patient.clone()).await;
    let given = |world: &World| world.source.inner().given_back.iter().copied().find(|d| *d > Duration::from_secs(60));
    host.until("the message is given back", || given(&world).is_some()).await;
    let length = given(&world).expect("given back").as_secs();
    assert!((3_590..=3_600).contains(&length), "{length}");
    host.drain().await;
    assert_eq!((world.rig.counts("b").active, world.rig.counts("b").retried), (1, 1));
    world.source.expire();
    let host = world.start(done(), patient).await;
    world.until_empty().await;
    host.drain().await;
    assert_eq!((world.rig.counts("b").done, world.rig.counts("b").retried, world.rig.counts("a").done), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_are_renewed_while_the_work_takes_long() {
    let mut world = World::new("", "concurrency = 1\nrate = \"2/s\"");
    for id in 0..20 {
        world.source.event(id, &serde_json::json!({}));
    }
    let started = world.clock.now();
    let host = world.start(done(), done()).await;
    world.until_empty().await;
    assert!(world.clock.now().since(started) > Duration::from_secs(8), "longer than a lease");
    host.drain().await;
    let inner = world.source.inner();
    assert!(inner.given_back.iter().any(|lease| *lease == Duration::from_secs(6)), "renewed");
    assert!(inner.deleted.iter().all(|receipt| receipt.ends_with("-1")), "none was received twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_renewal_that_failed_does_not_undo_that_its_message_was_given_back() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    world.source.inner().failing_leases = 1;
    // It ends between the renewal, after a third of the lease, and the time at which that would be tried again.
    let wait = retry(Some(Duration::from_secs(600)));
    let slow = world.slow(Duration::from_millis(2_020), move |_| wait.clone());
    let host = world.start(done(), slow).await;
    host.until("the message is given back", || !world.source.inner().given_back.is_empty()).await;
    let passed = world.clock.now();
    host.until("the renewal would have been tried again", || world.clock.now().since(passed) > Duration::from_secs(1))
        .await;
    let given: Vec<_> = world.source.inner().given_back.iter().map(Duration::as_secs).collect();
    assert!(matches!(given[..], [590..=600]), "only the newest change is made: {given:?}");
    let left = world.source.next_visible().expect("it is away").since(world.clock.now());
    assert!(left > Duration::from_secs(580), "it is away for as long as it waits: {left:?}");
    host.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_without_a_lease_is_void() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({ "emit": true }));
    world.source.inner().no_renewals = true;
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let slow_once: Behaviour = Arc::new(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if first {
                std::future::pending::<()>().await;
            }
            Run::ended(Outcome::Done)
        })
    });
    let host = world.start(slow_once, done()).await;
    world.until_empty().await;
    host.drain().await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let a = world.rig.counts("a");
    assert_eq!((a.done, a.retried, a.active), (1, 0, 0), "the run without a lease is no attempt");
    let receives: Vec<_> = world.source.inner().deleted.clone();
    assert_eq!(receives, ["1-2"], "deleted with the second receipt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_has_not_started_is_given_back_at_the_end() {
    let mut world = World::new("", "concurrency = 1");
    for id in 0..15 {
        world.source.event(id, &serde_json::json!({}));
    }
    let slow = world.slow(Duration::from_millis(300), |_| Outcome::Done);
    let host = world.start(slow.clone(), slow).await;
    host.until("one is done", || world.rig.counts("a").done >= 1).await;
    host.drain().await;
    let (left, leased) = (world.source.left(), world.source.leased());
    assert!(left >= 10 && leased == 0, "{left} left, {leased} of them not given back");
    let host = world.start(done(), done()).await;
    world.until_empty().await;
    host.drain().await;
    assert_eq!((world.rig.counts("a").done, world.rig.counts("b").done), (15, 15));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_lose_and_double_nothing_that_is_leased() {
    const EVENTS: usize = 300;
    let mut world = World::new("", "");
    for id in 0..EVENTS {
        world.source.event(id, &serde_json::json!({}));
    }
    let slow = || {
        world.slow(Duration::from_millis(2), |call| {
            if call.attempt == 1 && call.event.id.ends_with('7') { retry(None) } else { Outcome::Done }
        })
    };
    let (a, b) = (slow(), slow());
    let texts =
        [world.config.clone(), world.config.replace("[reactors.a]", "[channels.more]\nkind = \"local\"\n[reactors.a]")];
    assert_ne!(texts[0], texts[1]);
    let host = world.start(Arc::clone(&a), Arc::clone(&b)).await;
    for round in 1..12 {
        // Deploy in the middle of the work: some have ended since the last deployment, and most have not.
        host.until("some more have ended", || world.rig.counts("a").done >= round * 20).await;
        host.deploy(&texts[round as usize % 2], guests(Arc::clone(&a), Arc::clone(&b))).await;
    }
    host.until_idle().await;
    let (a, b) = (world.rig.counts("a"), world.rig.counts("b"));
    let all = EVENTS as u64;
    assert_eq!((a.done, a.dead, b.done, b.dead), (all, 0, all, 0));
    assert_eq!(world.source.left(), 0, "everything was deleted");
}
