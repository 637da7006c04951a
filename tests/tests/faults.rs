//! A queue that misbehaves in every way it can: the host neither loses nor repeats anything, and neither ends nor spins.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::time::{Duration, Instant};

use reactor_tests::fake_sqs::{FakeSqs, Fault, Rule};
use reactor_tests::{Sandbox, added, counts, guest, wait_until};
use serde_json::{Value, json};

/// A folder with `tally` on a queue of this server.
fn tally(aws: &FakeSqs, queue: &str, channel: &str, reactor: &str) -> Sandbox {
    let sandbox = Sandbox::new(&format!(
        "[channels.in]\nkind = \"sqs\"\nqueue = \"{queue}\"\n{channel}\n\n[reactors.tally]\nmodule = \"tally.wasm\"\n\
         from = [\"in\"]\non = [\"added\"]\nallow = {{ state = true }}\ntimeout = \"1s\"\n{reactor}\n"
    ));
    std::fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    sandbox.with_env("AWS_ENDPOINT_URL", &aws.url())
}

fn send(aws: &FakeSqs, queue: &str, ids: std::ops::Range<usize>) {
    for id in ids {
        aws.send(queue, &added(id, "a", id), &[], None, None);
    }
}

fn is_empty(aws: &FakeSqs, queue: &str) -> bool {
    let counts = aws.queue(queue).counts();
    counts.visible + counts.in_flight + counts.delayed == 0
}

/// Every event was done once, whatever the queue did.
#[track_caller]
fn exact(sandbox: &Sandbox, summary: &Value, events: usize) {
    let tally = counts(summary, "tally");
    assert_eq!((&tally["done"], &tally["dead"], &tally["active"]), (&json!(events), &json!(0), &json!(0)), "{summary}");
    let sum = (0..events).sum::<usize>().to_string();
    assert_eq!(sandbox.state("tally", "a"), Some(sum), "{summary}");
}

#[test]
fn whatever_fails_every_event_is_done_once() {
    let seed = std::env::var("REACTOR_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().expect("a number"));
    eprintln!("REACTOR_SEED={seed}");
    let aws = FakeSqs::start();
    aws.create("in");
    aws.seed(seed);
    let sandbox = tally(&aws, "in", "lease = \"6s\"", "");
    let entries = |sender_fault| Fault::Entries { every: 3, code: "InternalError", sender_fault };
    for (operation, fault, chance) in [
        ("ReceiveMessage", Fault::Throttled, 0.1),
        ("ReceiveMessage", Fault::LoseAnswer, 0.05),
        ("ReceiveMessage", Fault::Unavailable, 0.05),
        ("ReceiveMessage", Fault::Duplicate, 0.1),
        ("DeleteMessageBatch", entries(false), 0.3),
        ("DeleteMessageBatch", Fault::LoseAnswer, 0.1),
        ("DeleteMessageBatch", Fault::KeepDeleted, 0.1),
        ("DeleteMessageBatch", Fault::Reverse, 0.3),
        ("ChangeMessageVisibilityBatch", entries(false), 0.3),
        ("*", Fault::InternalError, 0.05),
        ("*", Fault::Reset, 0.05),
        ("*", Fault::Hang(Duration::from_millis(300)), 0.02),
    ] {
        aws.inject(Rule::on(operation, fault).chance(chance));
    }
    let up = sandbox.up(&["--json"]);
    for batch in 0..10 {
        send(&aws, "in", batch * 40..(batch + 1) * 40);
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(4));
    aws.heal();
    // What was received and lost comes back when its lease is over.
    wait_until("the queue is empty", || {
        aws.advance(Duration::from_millis(200));
        is_empty(&aws, "in")
    });
    let log = up.log();
    let summary = up.drain();
    exact(&sandbox, &summary, 400);
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn a_queue_that_is_not_there_yet_is_waited_for() {
    let aws = FakeSqs::start();
    let sandbox = tally(&aws, "late", "", "");
    let up = sandbox.up(&["--json"]);
    up.wait_for_log("code=\"missing\"");
    let (before, start) = (aws.requests().len(), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let rate = (aws.requests().len() - before) as f64 / start.elapsed().as_secs_f64();
    assert!(rate < 5.0, "{rate} requests a second");
    aws.create("late");
    send(&aws, "late", 0..20);
    wait_until("the queue is empty", || is_empty(&aws, "late"));
    assert!(up.log().contains("receiving from the channel works again"), "{}", up.log());
    exact(&sandbox, &up.drain(), 20);
}

#[test]
fn credentials_that_expire_are_waited_for() {
    let aws = FakeSqs::start();
    aws.create("in");
    let sandbox = tally(&aws, "in", "", "");
    let up = sandbox.up(&["--json"]);
    send(&aws, "in", 0..10);
    wait_until("the queue is empty", || is_empty(&aws, "in"));
    aws.inject(Rule::on("*", Fault::ExpiredToken));
    send(&aws, "in", 10..30);
    up.wait_for_log("code=\"denied\"");
    let (before, start) = (aws.requests().len(), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let rate = (aws.requests().len() - before) as f64 / start.elapsed().as_secs_f64();
    let operations: Vec<_> = aws.requests()[before..].iter().map(|request| request.operation.clone()).collect();
    assert!(rate < 10.0, "{rate} requests a second: {operations:?}");
    aws.heal();
    wait_until("the queue is empty", || is_empty(&aws, "in"));
    exact(&sandbox, &up.drain(), 30);
}

#[test]
fn receipts_that_get_stale_end_nothing_twice() {
    let aws = FakeSqs::start();
    aws.create("in");
    aws.strict_receipts(true);
    let sandbox = tally(&aws, "in", "lease = \"6s\"", "rate = \"20/s\"\n");
    let up = sandbox.up(&["--json"]);
    send(&aws, "in", 0..60);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(500));
        aws.queue("in").make_receipts_stale();
    }
    wait_until("the queue is empty", || is_empty(&aws, "in"));
    exact(&sandbox, &up.drain(), 60);
}

#[test]
fn sigterm_gives_back_what_has_not_started() {
    let aws = FakeSqs::start();
    aws.create("in");
    let sandbox = tally(&aws, "in", "", "rate = \"5/s\"\nconcurrency = 1\n");
    send(&aws, "in", 0..40);
    let up = sandbox.up(&["--json"]);
    wait_until("some are in flight", || aws.queue("in").counts().in_flight >= 10);
    up.drain();
    let left = aws.queue("in").counts();
    assert_eq!(left.in_flight, 0, "{left:?}");
    assert!(left.visible >= 20, "{left:?}");
    let fast = tally(&aws, "in", "", "");
    std::fs::rename(sandbox.path(".reactor"), fast.path(".reactor")).expect("the store can be moved");
    let up = fast.up(&["--json"]);
    wait_until("the queue is empty", || is_empty(&aws, "in"));
    exact(&fast, &up.drain(), 40);
}

#[test]
fn what_is_sent_is_sent_whatever_fails() {
    let aws = FakeSqs::start();
    aws.create("in");
    aws.create("out.fifo");
    let sandbox = Sandbox::new(
        "[channels.in]\nkind = \"sqs\"\nqueue = \"in\"\nlease = \"7s\"\n[channels.out]\nkind = \"sqs\"\nqueue = \"out.fifo\"\n\
         [reactors.moody]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\non = [\"mood\"]\nemit = { mood = \"out\" }\n\
         allow = { state = true }\ntimeout = \"2s\"\n",
    );
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    let sandbox = sandbox.with_env("AWS_ENDPOINT_URL", &aws.url());
    aws.seed(7);
    for (fault, chance) in [
        (Fault::Entries { every: 2, code: "InternalError", sender_fault: false }, 0.3),
        (Fault::LoseAnswer, 0.2),
        (Fault::Throttled, 0.2),
        (Fault::Reset, 0.1),
    ] {
        aws.inject(Rule::on("SendMessageBatch", fault).chance(chance));
    }
    for id in 0..60 {
        aws.send("in", &reactor_tests::mood(&format!("e{id}"), &json!({ "do": "emit" })), &[], None, None);
    }
    let up = sandbox.up(&["--json"]);
    // Each may be sent more than once, and a FIFO queue knows it by its id.
    wait_until("all are sent", || aws.queue("out.fifo").counts().visible == 60);
    aws.heal();
    wait_until("the outbox is empty", || {
        let left = sandbox.store().query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0));
        left.expect("the outbox") == 0
    });
    let summary = up.drain();
    assert_eq!(counts(&summary, "moody")["emitted"], 60, "{summary}");
    let sent = aws.queue("out.fifo").messages();
    let ids: std::collections::BTreeSet<_> = sent.iter().filter_map(|message| message.dedup.clone()).collect();
    assert_eq!((sent.len(), ids.len()), (60, 60));
}

#[test]
fn what_is_no_event_is_forwarded_to_a_queue_and_comes_back() {
    let aws = FakeSqs::start();
    aws.create("in");
    aws.create("in-dlq");
    let forward = "dead-letter = { channel = \"dlq\" }\n[channels.dlq]\nkind = \"sqs\"\nqueue = \"in-dlq\"";
    let sandbox = tally(&aws, "in", forward, "");
    aws.send("in", "hello \n", &[("tenant", "acme")], None, None);
    aws.send("in", &added(1, "a", 5), &[], None, None);
    let up = sandbox.up(&["--json"]);
    wait_until("the queue is empty", || is_empty(&aws, "in"));
    wait_until("it is forwarded", || aws.queue("in-dlq").counts().visible == 1);
    let summary = up.drain();
    assert_eq!((&summary["invalid"], &counts(&summary, "tally")["done"]), (&json!(1), &json!(1)), "{summary}");
    let dead = sandbox.dead(&[]);
    assert_eq!((dead.len(), &dead[0]["reason"], &dead[0]["reactor"]), (1, &json!("invalid-event"), &Value::Null));
    let copy = aws.queue("in-dlq").messages().remove(0);
    assert_eq!((copy.body.as_str(), &copy.attributes["tenant"]["StringValue"]), ("hello \n", &json!("acme")));
    let note = copy.attributes["reactor-dead-letter"]["StringValue"].as_str().expect("a note");
    let note: Value = serde_json::from_str(note).expect("JSON");
    assert_eq!((&note["reason"], &note["channel"], &note["hops"]), (&json!("invalid-event"), &json!("in"), &json!(1)));
    assert!(note["reactor"].is_null() && note["detail"].to_string().contains("invalid-json"), "{note}");

    // It is sent back to be read again, and is no event again: one more letter, and one more copy.
    let told = sandbox.run(&["--json", "dead", "redrive", "--from", "dlq"]).ok().json();
    assert_eq!((&told["returned"], &told["redriven"]), (&json!(1), &json!(0)), "{told}");
    let up = sandbox.up(&["--json"]);
    wait_until("it is forwarded again", || aws.queue("in-dlq").counts().visible == 1);
    wait_until("the queue is empty", || is_empty(&aws, "in"));
    up.drain();
    let copy = aws.queue("in-dlq").messages().remove(0);
    let note: Value =
        serde_json::from_str(copy.attributes["reactor-dead-letter"]["StringValue"].as_str().expect("a note"))
            .expect("JSON");
    assert_eq!((copy.body.as_str(), &note["hops"]), ("hello \n", &json!(1)), "no step of a chain");
    assert_eq!(sandbox.dead(&[]).len(), 2);
}

#[test]
fn without_dedup_each_message_is_done_once_however_often_it_comes() {
    let aws = FakeSqs::start();
    aws.create("in");
    let again = aws.inject(Rule::on("ReceiveMessage", Fault::Duplicate).times(5));
    let kept = aws.inject(Rule::on("DeleteMessageBatch", Fault::KeepDeleted).times(3));
    let sandbox = tally(&aws, "in", "lease = \"6s\"", "dedup = false");
    for _ in 0..3 {
        send(&aws, "in", 0..20);
    }
    let up = sandbox.up(&["--json"]);
    wait_until("the queue is empty", || {
        aws.advance(Duration::from_millis(200));
        is_empty(&aws, "in")
    });
    assert!(aws.fired(again) > 0 && aws.fired(kept) > 0, "messages came again");
    let summary = up.drain();
    let tally = counts(&summary, "tally");
    assert_eq!((&tally["done"], &tally["dead"], &tally["active"]), (&json!(60), &json!(0), &json!(0)), "{summary}");
    let sum = (3 * (0..20).sum::<usize>()).to_string();
    assert_eq!(sandbox.state("tally", "a"), Some(sum), "{summary}");
}
