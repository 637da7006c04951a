//! Every way in which an attempt can end, and what becomes of the event.

use reactor_tests::{Sandbox, counts, guest, mood};
use serde_json::{Value, json};

const QUICK: &str = "cpu = \"100ms\"\nmemory = \"8MiB\"\nretry = { max-attempts = 2, initial = \"1ms\" }\n";

#[test]
fn each_failure_has_its_reason_and_leaves_nothing_behind() {
    let expected = [
        ("retry", "retries-exhausted", 2),
        ("reject", "rejected", 1),
        ("panic", "trap", 2),
        ("loop", "cpu-limit", 2),
        ("grow", "memory-limit", 2),
        ("emit-other", "emit-denied", 1),
    ];
    let sandbox = Sandbox::moody(QUICK);
    let mut events: Vec<_> = expected.iter().map(|(wish, ..)| mood(wish, &json!({ "do": wish }))).collect();
    events.push(mood("ok", &json!({ "do": "ok" })));
    events.push(mood("at-last", &json!({ "do": "panic", "times": 1 })));
    sandbox.publish("in", &events);
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["delivered"], &moody["done"], &moody["dead"]), (&json!(8), &json!(2), &json!(6)), "{summary}");
    assert_eq!((&moody["retried"], &moody["emitted"]), (&json!(5), &json!(0)), "{summary}");
    assert_eq!(sandbox.state("moody", "runs").as_deref(), Some("2"));
    let dead = sandbox.dead(&[]);
    for (wish, reason, attempts) in expected {
        let letter = dead.iter().find(|letter| letter["eventId"] == wish).unwrap_or_else(|| panic!("no {wish}"));
        assert_eq!(letter["reason"], reason, "{letter}");
        assert_eq!(letter["attempts"].as_array().map(Vec::len), Some(attempts), "{letter}");
    }
    let panicked = dead.iter().find(|letter| letter["eventId"] == "panic").expect("it was checked");
    assert!(panicked["detail"].as_str().is_some_and(|detail| detail.contains("in a bad mood")), "{panicked}");
}

#[test]
fn a_chain_of_events_ends_at_the_hop_limit() {
    let sandbox = Sandbox::moody("[runtime]\nhop-limit = 4\n");
    let mut first: Value = serde_json::from_str(&mood("first", &json!({ "do": "emit" }))).expect("JSON");
    first["correlationId"] = "flow".into();
    sandbox.publish("in", &[first.to_string()]);
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["done"], &moody["emitted"], &moody["dead"]), (&json!(4), &json!(4), &json!(1)), "{summary}");
    let dead = sandbox.dead(&[]);
    assert_eq!((&dead[0]["reason"], &dead[0]["correlationId"]), (&json!("hop-limit"), &json!("flow")));
    assert_eq!(sandbox.state("moody", "runs").as_deref(), Some("4"));
}

#[test]
fn what_counts_as_the_same_event_can_be_chosen() {
    let sandbox = Sandbox::moody("dedup = { key = \"/data/key\" }\n");
    let event = |id: &str, key: &str| mood(id, &json!({ "do": "ok", "key": key }));
    sandbox.publish("in", &[event("1", "a"), event("2", "a"), event("3", "b")]);
    sandbox.until_idle();
    sandbox.publish("in", &[event("4", "b"), event("1", "c")]);
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["done"], &moody["duplicates"]), (&json!(3), &json!(2)), "{summary}");
    let state = ["a", "b", "c"].map(|key| sandbox.state("moody", key).unwrap_or_default());
    assert_eq!(state, ["[\"1\"]", "[\"3\"]", "[\"1\"]"]);
}

#[test]
fn what_nobody_wants_is_counted_and_kept_or_dropped() {
    let channel = |name: &str| format!("[channels.{name}]\nkind = \"local\"\nunrouted = \"{name}\"\n");
    let names = ["keep", "dead-letter", "drop"];
    let sandbox = Sandbox::new(&names.map(channel).concat());
    for name in names {
        sandbox.publish(name, &[mood(name, &json!({}))]);
    }
    let summary = sandbox.until_idle();
    assert_eq!(summary["unrouted"], 3, "{summary}");
    let dead = sandbox.dead(&[]);
    let found: Vec<_> = dead.iter().map(|letter| (&letter["eventId"], &letter["reason"], &letter["reactor"])).collect();
    assert_eq!(found, [(&json!("dead-letter"), &json!("unrouted"), &Value::Null)]);
    let store = sandbox.store();
    for (name, records) in [("keep", 1), ("drop", 0)] {
        let id: u32 = store.query_row("SELECT id FROM channels WHERE name = ?1", [name], |row| row.get(0)).expect("it");
        let sql = format!("SELECT count(*) FROM log_{id}");
        let found: u32 = store.query_row(&sql, [], |row| row.get(0)).expect("its log");
        assert_eq!(found, records, "{name}");
    }
}

#[test]
fn dead_letters_that_go_round_come_to_an_end() {
    let reactor = |name: &str, from: &str, to: &str| {
        format!(
            "[reactors.{name}]\nmodule = \"moody.wasm\"\nfrom = [\"{from}\"]\non = [\"mood\", \"reactor.dead-letter\"]\n\
             emit = {{ mood = \"{from}\" }}\nallow = {{ state = true }}\ndead-letter = {{ channel = \"{to}\" }}\n"
        )
    };
    let channels = "[runtime]\nhop-limit = 4\n[channels.a]\nkind = \"local\"\n[channels.b]\nkind = \"local\"\n";
    let sandbox = Sandbox::new(&format!("{channels}{}{}", reactor("one", "a", "b"), reactor("two", "b", "a")));
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    sandbox.run(&["check"]).ok().says("warning[dead-letter-circle]").says("from `one`, through `b` to `two`");
    sandbox.publish("a", &[mood("first", &json!({ "do": "reject" }))]);
    sandbox.until_idle();
    let dead = sandbox.dead(&[]);
    let hops: Vec<_> = dead.iter().map(|letter| letter["reactor"].as_str().unwrap_or_default()).collect();
    assert_eq!(hops, ["one", "two", "one", "two", "one"], "the newest first");
    let last = dead[0]["detail"].as_str().expect("text");
    assert!(last.contains("not forwarded to `b`: 4 reactors"), "{last}");
    assert!(dead[1..].iter().all(|letter| !letter["detail"].to_string().contains("not forwarded")), "{dead:?}");
}
