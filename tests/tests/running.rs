//! A host that runs while others publish, redrive and drop, and that is stopped and started again.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::time::{Duration, Instant};

use reactor_tests::{Sandbox, added, counts, mood, wait_until};
use serde_json::{Value, json};

/// An event that the `tally` guest cannot read.
fn unreadable() -> String {
    json!({ "eventId": "bad", "eventType": "added", "source": "test", "data": { "account": 1 } }).to_string()
}

fn waiting(sandbox: &Sandbox) -> u32 {
    let sql = "SELECT count(*) FROM deliveries WHERE place = 3";
    sandbox.store().query_row(sql, [], |row| row.get(0)).expect("the deliveries")
}

#[test]
fn events_that_are_published_meanwhile_are_done_at_once() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--json"]);
    for round in 0..3_usize {
        sandbox.publish("in", &[added(2 * round, "a", 1), added(2 * round + 1, "a", 1)]);
        let total = (2 * round + 2).to_string();
        wait_until("the events are done", || sandbox.state("tally", "a") == Some(total.clone()));
    }
    let summary = up.drain();
    assert_eq!(counts(&summary, "tally")["done"], 6, "{summary}");
    assert_eq!(summary["published"], json!([["in", 6]]));
}

#[test]
fn a_host_that_is_stopped_leaves_the_rest_to_the_next() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--json"]);
    let events: Vec<_> = (0..2_000).map(|id| added(id, &format!("a{id}"), 1)).collect();
    sandbox.publish("in", &events);
    let summary = up.drain();
    let tally = counts(&summary, "tally");
    let [delivered, done, active] = ["delivered", "done", "active"].map(|name| tally[name].as_u64().expect("a count"));
    assert_eq!(delivered, done + active, "{summary}");
    let summary = sandbox.until_idle();
    assert_eq!(counts(&summary, "tally")["done"], 2_000, "{summary}");
    assert_eq!(counts(&summary, "tally")["retried"], 0, "a drain is no failure: {summary}");
    let sql = "SELECT count(*), sum(CAST(CAST(value AS TEXT) AS INTEGER)) FROM state";
    let state: (u32, u32) = sandbox.store().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("state");
    assert_eq!(state, (2_000, 2_000));
}

#[test]
fn events_on_one_key_get_in_each_others_way_but_not_for_ever() {
    let sandbox = Sandbox::tally("");
    let events: Vec<_> = (0..400).map(|id| added(id, "a", 1)).collect();
    sandbox.publish("in", &events);
    let ended = sandbox.run(&["--json", "up", "--until-idle"]).ok();
    assert_eq!(counts(&ended.json(), "tally")["done"], 400, "{}", ended.stdout);
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("400"));
    let repeated = ended
        .stderr
        .split("repeated=")
        .nth(1)
        .and_then(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next());
    let repeated: u32 = repeated.and_then(|count| count.parse().ok()).expect("how many runs were repeated");
    // Eight runs at once make each other repeat, about eight times an event; chains of doomed runs made a thousand.
    assert!(repeated < 400 * 50, "{repeated} runs were repeated");
}

#[test]
fn an_attempt_that_outlasts_the_drain_is_cancelled_and_not_counted() {
    let endless = "cpu = \"60s\"\ntimeout = \"60s\"\nretry = { max-attempts = 1 }\n";
    let sandbox = Sandbox::moody(&format!("{endless}[runtime]\ndrain = \"50ms\"\n"));
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &[mood("e", &json!({ "do": "loop" }))]);
    up.wait_for_log("in the mood for Loop");
    let summary = up.drain();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["active"], &moody["dead"]), (&json!(1), &json!(0)), "{summary}");
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("cpu = \"60s\"", "cpu = \"100ms\""));
    sandbox.until_idle();
    let dead = sandbox.dead(&[]);
    assert_eq!(dead[0]["reason"], "cpu-limit");
    assert_eq!(dead[0]["attempts"].as_array().map(Vec::len), Some(1), "{}", dead[0]);
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_attempt_counts() {
    let endless = "cpu = \"60s\"\ntimeout = \"60s\"\nretry = { max-attempts = 2, initial = \"1ms\" }\n";
    let sandbox = Sandbox::moody(&format!("{endless}[runtime]\ndrain = \"1h\"\n"));
    let up = sandbox.up(&[]);
    sandbox.publish("in", &[mood("e", &json!({ "do": "loop" }))]);
    up.wait_for_log("in the mood for Loop");
    up.signal("TERM");
    up.wait_for_log("draining");
    up.signal("INT");
    assert_eq!(up.wait().code(), Some(1));
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("cpu = \"60s\"", "cpu = \"100ms\""));
    sandbox.until_idle();
    let dead = sandbox.dead(&[]);
    let codes: Vec<_> =
        dead[0]["attempts"].as_array().expect("a list").iter().map(|attempt| &attempt["code"]).collect();
    assert_eq!(codes, ["host", "cpu-limit"], "{}", dead[0]);
}

#[test]
fn dead_letters_are_redriven_and_dropped_while_the_host_runs() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &[unreadable()]);
    wait_until("it is dead", || !sandbox.dead(&[]).is_empty());
    let first = sandbox.dead(&[]).remove(0);
    let id = first["id"].to_string();
    let asked = sandbox.run(&["--json", "dead", "redrive", &id]).ok().json();
    assert_eq!(asked, json!({ "ids": [first["id"]], "carriedOut": true, "request": "redriven" }));
    wait_until("it is dead again", || sandbox.dead(&[])[0]["redriving"] == false);
    let dead = sandbox.dead(&[]);
    assert_eq!((dead.len(), &dead[0]["id"]), (1, &first["id"]), "{dead:?}");
    assert_ne!(dead[0]["at"], first["at"]);
    assert_eq!(dead[0]["reason"], "rejected");
    sandbox.run(&["dead", "drop", &id]).ok();
    assert!(sandbox.dead(&[]).is_empty());
    let summary = up.drain();
    assert_eq!(counts(&summary, "tally")["active"], 0, "{summary}");
}

#[test]
fn dead_letters_are_redriven_and_dropped_while_no_host_runs() {
    let sandbox = Sandbox::tally("");
    sandbox.publish("in", &[unreadable()]);
    sandbox.until_idle();
    let first = sandbox.dead(&[]).remove(0);
    let asked = sandbox.run(&["--json", "dead", "redrive", "--reason", "rejected"]).ok().json();
    assert_eq!(asked, json!({ "ids": [first["id"]], "carriedOut": false, "request": "redriven" }));
    let summary = sandbox.until_idle();
    assert_eq!(counts(&summary, "tally")["dead"], 1, "{summary}");
    let again = sandbox.dead(&[]).remove(0);
    assert_eq!(again["id"], first["id"]);
    assert_ne!(again["at"], first["at"]);
    sandbox.run(&["dead", "drop", "--all"]).ok();
    assert!(sandbox.dead(&[]).is_empty());
    // What was given up was never done, so it runs when it comes again.
    sandbox.publish("in", &[unreadable()]);
    let summary = sandbox.until_idle();
    let found = ["duplicates", "dropped", "dead"].map(|name| counts(&summary, "tally")[name].clone());
    assert_eq!(found, [0, 1, 1].map(Value::from), "{summary}");
}

#[test]
fn a_redrive_with_a_better_module_succeeds() {
    let sandbox = Sandbox::moody("config = { }\n");
    sandbox.publish("in", &[mood("e", &json!({ "do": "emit-other" }))]);
    sandbox.until_idle();
    assert_eq!(sandbox.dead(&[])[0]["reason"], "emit-denied");
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("emit = { mood", "emit = { other = \"in\", mood"));
    sandbox.run(&["dead", "redrive", "--all"]).ok();
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["done"], &moody["dead"], &moody["emitted"]), (&json!(1), &json!(0), &json!(1)), "{summary}");
    assert!(sandbox.dead(&[]).is_empty());
}

#[test]
fn a_back_off_survives_a_crash() {
    let sandbox = Sandbox::moody("retry = { max-attempts = 2, initial = \"700ms\", jitter = \"none\" }\n");
    let start = Instant::now();
    let up = sandbox.up(&[]);
    sandbox.publish("in", &[mood("e", &json!({ "do": "retry", "times": 1 }))]);
    wait_until("it waits", || waiting(&sandbox) == 1);
    up.kill();
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["done"], &moody["retried"]), (&json!(1), &json!(1)), "{summary}");
    assert!(start.elapsed() >= Duration::from_millis(700), "the second attempt came early");
}

#[test]
fn a_parked_key_waits_until_its_dead_letter_is_dropped() {
    let sandbox = Sandbox::moody("order-by = \"/data/key\"\ndead-letter = { on-exhausted = \"park-key\" }\n");
    let event = |id: &str, wish: &str, key: &str| mood(id, &json!({ "do": wish, "key": key }));
    sandbox.publish("in", &[event("a1", "reject", "a"), event("a2", "ok", "a"), event("b1", "ok", "b")]);
    let up = sandbox.up(&["--json"]);
    wait_until("the other key is done", || sandbox.state("moody", "b").as_deref() == Some("[\"b1\"]"));
    wait_until("it is dead", || !sandbox.dead(&[]).is_empty());
    // Also across a restart, and for events that come later.
    let summary = up.drain();
    assert_eq!(counts(&summary, "moody")["active"], 1, "{summary}");
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &[event("a3", "ok", "a"), event("b2", "ok", "b")]);
    wait_until("the other key goes on", || sandbox.state("moody", "b").as_deref() == Some("[\"b1\",\"b2\"]"));
    assert_eq!(sandbox.state("moody", "a"), None);
    sandbox.run(&["dead", "drop", "--all"]).ok();
    wait_until("the key goes on", || sandbox.state("moody", "a").as_deref() == Some("[\"a2\",\"a3\"]"));
    let summary = up.drain();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["done"], &moody["active"]), (&json!(4), &json!(0)), "{summary}");
}

#[test]
fn a_reactor_that_is_gone_keeps_its_deliveries() {
    let sandbox = Sandbox::moody("retry = { max-attempts = 2, initial = \"100ms\", jitter = \"none\" }\n");
    let up = sandbox.up(&[]);
    sandbox.publish("in", &[mood("e", &json!({ "do": "retry", "times": 1 }))]);
    wait_until("it waits", || waiting(&sandbox) == 1);
    up.kill();
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", "[channels.in]\nkind = \"local\"\n");
    let gone = sandbox.run(&["--json", "up", "--until-idle"]).ok().says("reactor `moody` is not in the config");
    assert_eq!(counts(&gone.json(), "moody")["waiting"], 1, "{}", gone.stdout);
    sandbox.write("reactors.toml", config);
    let summary = sandbox.until_idle();
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["done"], &moody["waiting"]), (&json!(1), &json!(0)), "{summary}");
}

#[test]
fn log_lines_are_json_on_request() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--log", "json", "--json"]);
    sandbox.publish("in", &[unreadable()]);
    wait_until("it is dead", || !sandbox.dead(&[]).is_empty());
    up.wait_for_log("dead letter");
    let log = sandbox.path("up.log");
    up.drain();
    let lines = std::fs::read_to_string(log).expect("the log");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let dead = lines.iter().find(|line| line["message"] == "dead letter").expect("a line about the dead letter");
    assert_eq!(
        (&dead["reactor"], &dead["event"], &dead["reason"]),
        (&json!("tally"), &json!("bad"), &json!("rejected"))
    );
    assert_eq!(dead["level"], "WARN");
}

#[test]
fn a_request_for_a_reactor_that_is_gone_is_told_once_and_kept() {
    let sandbox = Sandbox::moody("");
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("its configuration");
    sandbox.publish("in", &[mood("m1", &json!({ "do": "reject", "times": 1 }))]);
    sandbox.until_idle();
    sandbox.write("reactors.toml", "[channels.in]\nkind = \"local\"\n");
    sandbox.run(&["dead", "redrive", "1"]).ok();
    let up = sandbox.up(&[]);
    up.wait_for_log("its reactor is not in the configuration");
    for n in 0..10 {
        sandbox.publish("in", &[mood(&format!("other{n}"), &json!({ "do": "ok" }))]);
    }
    assert!(up.terminate().success());
    let log = std::fs::read_to_string(sandbox.path("up.log")).expect("its log");
    assert_eq!(log.matches("its reactor is not in the configuration").count(), 1, "{log}");
    sandbox.write("reactors.toml", config);
    let summary = sandbox.until_idle();
    assert!(sandbox.dead(&[]).iter().all(|letter| letter["redriving"] == false), "{summary}");
    let log = sandbox.run(&["up", "--until-idle"]).ok().stderr;
    assert!(!log.contains("redriving"), "the request was carried out before: {log}");
}
