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

#[test]
fn what_is_no_event_goes_where_its_channel_says() {
    let sandbox = Sandbox::new(
        "[channels.in]\nkind = \"local\"\nunrouted = \"dead-letter\"\ndead-letter = { channel = \"dead\" }\n\
         [channels.dead]\nkind = \"local\"\n[reactors.moody]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\non = [\"mood\"]\nemit = { mood = \"in\" }\n\
         allow = { state = true }\n",
    );
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    sandbox.run_with(&["publish", "in", "--input", "whole"], b"\xff\x00 \n").code(6);
    let other = mood("other", &json!({ "do": "ok" })).replace("\"mood\"", "\"other\"");
    sandbox.publish("in", &[mood("good", &json!({ "do": "ok" })), other]);
    let long = format!("\"{}\"", "x".repeat(200 << 10)).replace('x', "\\u0001");
    sandbox.run_with(&["publish", "in"], &long.as_bytes()[..250 << 10]).code(6);
    let summary = sandbox.until_idle();
    assert_eq!((&summary["invalid"], &counts(&summary, "moody")["done"]), (&json!(2), &json!(1)), "{summary}");
    assert_eq!(sandbox.dead(&[]).len(), 3, "the store keeps them");
    let shown = sandbox.run(&["--json", "log", "tail", "dead"]).ok().json_lines();
    let events: Vec<_> = shown.iter().map(|story| &story["events"][0]).collect();
    assert_eq!(events.len(), 3, "{shown:?}");
    assert!(
        events.iter().all(|event| event["eventType"] == "reactor.dead-letter" && event["source"] == "in"),
        "{shown:?}"
    );
    let whole = |number: u32| sandbox.run(&["--json", "log", "show", &format!("dead/{number}")]).ok().json();
    let data = |number: u32| whole(number)["events"][0]["data"].clone();
    assert_eq!((&data(1)["reason"], &data(1)["message"]["bodyBase64"]), (&json!("invalid-event"), &json!("/wAgCg==")));
    assert_eq!((&data(2)["reason"], &data(2)["eventId"]), (&json!("unrouted"), &json!("other")));
    assert!(data(3)["message"]["leftOut"].as_u64().is_some_and(|size| size > 200 << 10), "{}", data(3));
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event["eventId"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each is an event of its own");
    let graph = sandbox.run(&["graph"]).ok().stdout;
    assert!(graph.contains("channel_in -.->"), "{graph}");
}

#[test]
fn hops_of_what_a_reactor_emitted_go_on_where_it_is_published_again() {
    let sandbox = Sandbox::moody("");
    sandbox.publish("in", &[mood("first", &json!({ "do": "emit" }))]);
    let emitted = |summary: &Value| counts(summary, "moody")["emitted"].as_u64();
    assert_eq!(emitted(&sandbox.until_idle()), Some(16));
    let letter = sandbox.dead(&[]).remove(0);
    let body = letter["message"]["body"].as_str().expect("text");
    let mut last: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        (&last["source"], &last["reactorHops"]),
        (&json!("moody"), &json!(16)),
        "each emitted event is one further"
    );
    let again = |last: &mut Value, id: &str, hops: u32| {
        (last["eventId"], last["reactorHops"]) = (json!(id), json!(hops));
        last.to_string()
    };
    sandbox.publish("in", &[again(&mut last, "end", 16), again(&mut last, "near", 14)]);
    assert_eq!(emitted(&sandbox.until_idle()), Some(16 + 2), "none for the first, two for the second");
    let reasons: Vec<_> = sandbox.dead(&[]).iter().map(|letter| letter["reason"].clone()).collect();
    assert_eq!(reasons, [json!("hop-limit"), json!("hop-limit"), json!("hop-limit")]);
}

#[test]
fn hops_that_others_count_are_theirs() {
    let sandbox = Sandbox::moody("");
    let native = mood("native", &json!({ "do": "emit" })).replacen('{', "{\"hop\":99,\"reactorHops\":99,", 1);
    let cloud = json!({
        "specversion": "1.0", "type": "mood", "source": "moodys", "id": "cloud", "hop": 99, "reactorhops": 99,
        "data": { "do": "emit" },
    });
    sandbox.publish("in", &[native, cloud.to_string()]);
    sandbox.until_idle();
    let dead = sandbox.dead(&[]);
    let reasons: Vec<_> = dead.iter().map(|letter| &letter["reason"]).collect();
    assert_eq!(reasons, [&json!("hop-limit"); 2], "each chain ends");
    let summary = sandbox.until_idle();
    assert_eq!(counts(&summary, "moody")["emitted"], 2 * 16, "and not before it is as long as it may be");
}
