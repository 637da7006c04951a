//! SQS and SNS on LocalStack: what a person who runs the program on AWS relies on.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor_tests::localstack::{LocalStack, Outgoing, Queue, Subscription};
use reactor_tests::{Sandbox, added, counts, guest, mood, root, wait_until};
use serde_json::{Value, json};

const GUESTS: [&str; 4] = ["analytics", "inventory", "notifications", "payments"];

/// A folder with `tally` on a queue.
fn tally(queue: &Queue, channel: &str, reactor: &str) -> Sandbox {
    let name = &queue.name;
    let sandbox = Sandbox::new(&format!(
        "[channels.in]\nkind = \"sqs\"\nqueue = \"{name}\"\n{channel}\n\n[reactors.tally]\nmodule = \"tally.wasm\"\n\
         from = [\"in\"]\non = [\"added\"]\nallow = {{ state = true }}\ntimeout = \"1s\"\n{reactor}\n"
    ));
    std::fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    sandbox
}

/// A folder with `moody` on a queue, whose dead letters go to another.
fn moody(queue: &Queue, dead: &Queue, reactor: &str) -> Sandbox {
    let (name, dead) = (&queue.name, &dead.name);
    let sandbox = Sandbox::new(&format!(
        "[channels.in]\nkind = \"sqs\"\nqueue = \"{name}\"\nlease = \"7s\"\n[channels.dead]\nkind = \"sqs\"\nqueue = \"{dead}\"\n\
         [channels.spare]\nkind = \"local\"\n\n[reactors.moody]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\non = [\"mood\"]\n\
         emit = {{ mood = \"spare\" }}\nallow = {{ state = true }}\ntimeout = \"1s\"\ncpu = \"200ms\"\n{reactor}\n\
         [reactors.moody.retry]\nmax-attempts = 3\ninitial = \"20ms\"\nmax = \"50ms\"\n\
         [reactors.moody.dead-letter]\nchannel = \"dead\"\n"
    ));
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    sandbox
}

fn sums(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let store = sandbox.store();
    let mut select = store.prepare("SELECT key, CAST(value AS TEXT) FROM state").expect("its state table");
    let rows = select.query_map([], |row| {
        let sum: String = row.get(1)?;
        Ok((row.get(0)?, sum.parse().expect("a number")))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

#[test]
fn the_example_flow_runs_unchanged() {
    let aws = LocalStack::get();
    let config = std::fs::read_to_string(root().join("examples/orders/localstack.toml")).expect("the example");
    let (topic, queue, dead) =
        (LocalStack::name("shop-events"), LocalStack::name("reactor-shop-events"), LocalStack::name("orders-dlq"));
    let config = config
        .replace("topic = \"shop-events\"", &format!("topic = \"{topic}\""))
        .replace("queue = \"reactor-shop-events\"", &format!("queue = \"{queue}\""))
        .replace("queue = \"orders-dlq\"", &format!("queue = \"{dead}\""));
    let sandbox = Sandbox::new(&config);
    for name in GUESTS {
        let module = sandbox.path(&format!("example_{name}.wasm"));
        std::fs::copy(guest(&format!("example-{name}")), module).expect("a copy");
    }
    // The first host makes topic, queue and subscription; what is published before that reaches nobody.
    sandbox.until_idle();
    let events = root().join("examples/orders/events.jsonl");
    sandbox.run(&["publish", "shop", events.to_str().expect("a path in UTF-8")]).ok();
    let summary = sandbox.until_idle();
    let number = |reactor: &str, name: &str| counts(&summary, reactor)[name].as_u64().expect("a count");
    let ended = GUESTS.map(|reactor| (number(reactor, "dead"), number(reactor, "active")));
    assert_eq!(ended, [(1, 0), (1, 0), (0, 0), (2, 0)], "{summary}");
    // A standard queue has no order: where a cancellation overtakes its order, nothing is reserved or paid for it.
    let emitted: u64 = GUESTS.map(|reactor| number(reactor, "emitted")).into_iter().sum();
    assert!((119..=127).contains(&emitted), "{summary}");
    // Whatever it is, all of it comes back through the topic: 43 published, 3 of them twice, 2 of them no events.
    assert_eq!(number("analytics", "delivered"), 43 - 3 - 2 + emitted, "{summary}");
    assert_eq!((&summary["invalid"], &summary["unrouted"]), (&json!(2), &json!(0)));
    assert_eq!(summary["outbox"], json!([]));
    let queue = aws.find_queue(&queue).expect("the host made it");
    assert_eq!(queue.depth().total(), 0);
    let letters = aws.find_queue(&dead).expect("the host made it").drain_until(4);
    let mut notes: Vec<(String, String, u64)> = letters.iter().map(note).collect();
    notes.sort();
    let expected = [
        ("analytics", "trap", 3),
        ("inventory", "rejected", 1),
        ("payments", "rejected", 1),
        ("payments", "retries-exhausted", 4),
    ];
    assert_eq!(notes, expected.map(|(reactor, reason, attempts)| (reactor.to_owned(), reason.to_owned(), attempts)));
}

/// Reactor, reason and attempts of a dead letter outside.
fn note(message: &reactor_tests::localstack::Received) -> (String, String, u64) {
    let note: Value = serde_json::from_str(&message.attributes["reactor-dead-letter"]).expect("a note");
    let text = |key: &str| note[key].as_str().unwrap_or_default().to_owned();
    (text("reactor"), text("reason"), note["attempts"].as_u64().expect("a count"))
}

#[test]
fn nothing_is_lost_or_done_twice_when_the_host_is_killed() {
    let kills: usize = std::env::var("REACTOR_KILLS").map_or(5, |count| count.parse().expect("a number"));
    let queue = LocalStack::get().queue("killed");
    // Attempts cut short count, so an unlucky event needs more of them than there are kills.
    let retry = format!("[reactors.tally.retry]\nmax-attempts = {}\ninitial = \"20ms\"\n", kills + 5);
    let sandbox = tally(&queue, "lease = \"6s\"", &retry);
    let mut expected = BTreeMap::new();
    let (mut id, mut progress) = (0, Vec::new());
    for _ in 0..kills {
        let up = sandbox.up(&[]);
        let mut events = Vec::new();
        for _ in 0..150 {
            let account = format!("a{:02}", id % 10);
            // Every tenth is sent twice.
            events.extend(std::iter::repeat_n(added(id, &account, id), if id % 10 == 0 { 2 } else { 1 }));
            *expected.entry(account).or_insert(0) += id as u64;
            id += 1;
        }
        queue.send_all(events);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        std::thread::sleep(Duration::from_millis(u64::from(now.subsec_nanos()) / 1_000 % 400));
        up.kill();
        progress.push(sums(&sandbox).values().sum::<u64>());
    }
    let up = sandbox.up(&["--json"]);
    wait_until("the queue is empty", || queue.depth().total() == 0);
    let summary = up.drain();
    assert_eq!(sums(&sandbox), expected, "{summary}");
    let tally = counts(&summary, "tally");
    assert_eq!((&tally["done"], &tally["dead"], &tally["active"]), (&json!(id), &json!(0), &json!(0)), "{summary}");
    assert!(progress.iter().any(|sum| *sum > 0), "no host got anywhere before it was killed");
    eprintln!("{kills} kills, {id} events, sums at the kills {progress:?}, retried {}", tally["retried"]);
}

#[test]
fn a_group_keeps_its_order_under_failures() {
    let aws = LocalStack::get();
    let (queue, dead) = (aws.fifo_queue("order"), aws.queue("order-dead"));
    let sandbox = moody(&queue, &dead, "");
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..60 {
        let (id, key) = (format!("m{number:02}"), format!("g{}", number % 3));
        // Some fail at first, and some for good.
        let (wish, times) = if number % 11 == 5 { ("reject", 9) } else { ("retry", number % 4 % 3) };
        let event = mood(&id, &json!({ "do": wish, "times": times, "key": key }));
        queue.send(Outgoing::fifo(event, &key, &id));
        if wish == "retry" {
            expected.entry(key).or_default().push(id);
        }
    }
    let summary = sandbox.until_idle();
    for (key, ids) in expected {
        let done: Vec<String> =
            serde_json::from_str(&sandbox.state("moody", &key).expect("a list")).expect("a list of ids");
        assert_eq!(done, ids, "{key}: {summary}");
    }
    assert_eq!(counts(&summary, "moody")["dead"], 5);
    assert_eq!(dead.drain_until(5).len(), 5);
}

#[test]
fn a_lease_is_renewed_for_as_long_as_it_takes() {
    // The queue itself would give messages to somebody else after a second.
    let queue = LocalStack::get().queue_with("slow", &[("VisibilityTimeout", "1")]);
    let sandbox = tally(&queue, "lease = \"6s\"", "rate = \"2/s\"\nconcurrency = 1\n");
    queue.send_all((0..20).map(|id| added(id, "a", 1)));
    let up = sandbox.up(&["--json"]);
    wait_until("the queue is empty", || queue.depth().total() == 0);
    let log = up.log();
    let summary = up.drain();
    let tally = counts(&summary, "tally");
    assert_eq!((&tally["done"], &tally["duplicates"]), (&json!(20), &json!(0)), "{summary}\n{log}");
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("20"));
}

#[test]
fn poison_goes_out_and_comes_back() {
    let aws = LocalStack::get();
    let (queue, dead) = (aws.queue("poison"), aws.queue("poison-dead"));
    let sandbox = moody(&queue, &dead, "");
    for number in 0..3 {
        let event = mood(&format!("p{number}"), &json!({ "do": "panic", "times": 3 }));
        queue.send(Outgoing::new(event).attribute("tenant", &number.to_string()));
    }
    dead.send("no dead letter");
    let summary = sandbox.until_idle();
    assert_eq!((&counts(&summary, "moody")["dead"], &counts(&summary, "moody")["retried"]), (&json!(3), &json!(6)));
    wait_until("the dead letters are outside", || dead.depth().visible == 4);
    let letters = dead.receive(Duration::from_secs(5), Duration::from_secs(1));
    let letter =
        letters.iter().find(|letter| letter.attributes.contains_key("tenant")).expect("one with its attributes");
    let found: Value = serde_json::from_str(&letter.attributes["reactor-dead-letter"]).expect("a note");
    assert_eq!((&found["reactor"], &found["reason"], &found["attempts"]), (&json!("moody"), &json!("trap"), &json!(3)));
    assert_eq!((&found["channel"], found["module"].as_str().map(str::len)), (&json!("in"), Some(64)));
    assert_eq!(letter.json()["eventType"], "mood", "the body is what it was");
    wait_until("the leases are over", || dead.depth().visible == 4);
    // Moved back as AWS's own redrive does: the fourth attempt is the first of a new set, and fails again.
    let moved = dead.receive(Duration::from_secs(5), Duration::from_secs(30));
    let (back, rest): (Vec<_>, Vec<_>) = moved.into_iter().partition(|letter| letter.attributes.contains_key("tenant"));
    for letter in &back {
        let mut message = Outgoing::new(letter.body.clone());
        for (name, value) in &letter.attributes {
            message = message.attribute(name, value);
        }
        queue.send(message);
    }
    dead.settle(&back);
    drop(rest);
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!(
        (&moody["dead"], &moody["active"], &moody["duplicates"]),
        (&json!(3), &json!(0), &json!(0)),
        "{summary}"
    );
    assert_eq!(
        sandbox.dead(&[]).iter().map(|letter| letter["attempts"].as_array().map_or(0, Vec::len)).sum::<usize>(),
        18
    );
    // And by the program: what is no dead letter stays.
    dead.wait_until_depth("all of them are there", |depth| depth.visible + depth.in_flight == 4);
    wait_until("nothing is leased", || dead.depth().visible == 4);
    let said = sandbox.run(&["dead", "redrive", "--from", "dead"]).ok();
    assert_eq!(said.stdout, "3 to be redriven at the next `reactor up`, 0 sent back, 1 left in `dead`\n");
    assert_eq!(dead.depth().total(), 1);
    sandbox.until_idle();
    assert_eq!(sandbox.dead(&[]).len(), 3);
}

#[test]
fn a_topic_filters_what_nobody_wants() {
    let aws = LocalStack::get();
    let (topic, queue) = (aws.topic("news"), aws.queue("news-inbox"));
    let (topic_name, queue_name) = (&topic.name, &queue.name);
    let sandbox = Sandbox::new(&format!(
        "[channels.in]\nkind = \"sns\"\ntopic = \"{topic_name}\"\nqueue = \"{queue_name}\"\ncreate = true\nformat = \"native\"\n\
         [reactors.tally]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\non = [\"added\"]\nallow = {{ state = true }}\n"
    ));
    std::fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    sandbox.until_idle();
    let subscriptions = topic.subscriptions();
    let subscription = subscriptions.values().next().expect("the host subscribed the queue");
    assert_eq!(
        (subscription["RawMessageDelivery"].as_str(), subscription["FilterPolicyScope"].as_str()),
        ("true", "MessageBody")
    );
    assert_eq!(subscription["FilterPolicy"].replace(' ', ""), "{\"eventType\":[\"added\"]}");
    // Somebody else's subscription to the same topic, wrapped and unfiltered.
    let wrapped = aws.queue("news-wrapped");
    topic.subscribe(&wrapped, &Subscription::default());
    for id in 0..5 {
        // Two publishes of one event have two ids of their own.
        topic.publish_all([added(id, "a", 1), added(id, "a", 1)]);
        topic.publish(mood(&format!("unwanted-{id}"), &json!({ "do": "ok" })));
    }
    wait_until("the topic has sent them", || wrapped.depth().visible == 15);
    wait_until("the wanted ones are there", || queue.depth().visible == 10);
    let summary = sandbox.until_idle();
    let tally = counts(&summary, "tally");
    assert_eq!(
        (&tally["done"], &tally["duplicates"], &summary["unrouted"]),
        (&json!(5), &json!(5), &json!(0)),
        "{summary}"
    );
    // The wrapped ones decode, too, and are the same events.
    let other = Sandbox::new(&format!(
        "[channels.in]\nkind = \"sns\"\ntopic = \"{topic_name}\"\nqueue = \"{}\"\n\
         [reactors.tally]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\non = [\"added\"]\nallow = {{ state = true }}\n",
        wrapped.name
    ));
    std::fs::copy(guest("guest-tally"), other.path("tally.wasm")).expect("the module can be copied");
    let summary = other.until_idle();
    let tally = counts(&summary, "tally");
    assert_eq!(
        (&tally["done"], &tally["duplicates"], &summary["unrouted"]),
        (&json!(5), &json!(5), &json!(5)),
        "{summary}"
    );
    assert_eq!(wrapped.depth().total(), 0);
}

#[test]
fn stored_messages_leave_the_queue_at_once() {
    let queue = LocalStack::get().queue("stored");
    let sandbox = tally(&queue, "settle = \"stored\"", "rate = \"4/s\"\n");
    queue.send_all((0..12).map(|id| added(id, "a", 1)));
    let up = sandbox.up(&["--json"]);
    queue.wait_until_empty();
    up.kill();
    let summary = sandbox.until_idle();
    assert_eq!(counts(&summary, "tally")["done"], 12, "{summary}");
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("12"));
}
