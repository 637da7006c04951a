//! `reactor log`: events, and what became of each.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use reactor_tests::{Sandbox, added, mood, root, wait_until};
use serde_json::{Value, json};

/// The order flow, run to its end.
fn demo() -> Sandbox {
    let sandbox = Sandbox::demo();
    sandbox.run(&["publish", "shop", &root().join("examples/orders/events.jsonl").display().to_string()]).ok();
    sandbox.until_idle();
    sandbox
}

fn events(shown: &[Value]) -> Vec<&Value> {
    shown.iter().filter_map(|story| story["events"].as_array()).flatten().collect()
}

fn outcomes<'a>(event: &'a Value, reactor: &str) -> Vec<&'a str> {
    let parts = event["reactors"].as_array().expect("a list").iter();
    parts.filter(|part| part["reactor"] == reactor).filter_map(|part| part["outcome"].as_str()).collect()
}

#[test]
fn the_flow_of_the_example_can_be_looked_at() {
    let sandbox = demo();
    let tail =
        |args: &[&str]| sandbox.run(&[&["--json", "log", "tail", "-n", "1000"], args].concat()).ok().json_lines();
    let all = tail(&[]);
    assert_eq!(all.len(), 170, "every message, published or emitted");
    assert_eq!(tail(&["--outcome", "invalid"]).len(), 2);
    for reactor in ["analytics", "inventory", "notifications", "payments"] {
        let done: usize = events(&all).iter().map(|event| outcomes(event, reactor)).filter(|o| *o == ["done"]).count();
        let mine = tail(&["--reactor", reactor, "--outcome", "done"]);
        assert_eq!(events(&mine).len(), done, "{reactor}");
    }
    let dead = tail(&["--outcome", "dead"]);
    let letters: Vec<_> = events(&dead)
        .iter()
        .flat_map(|event| event["reactors"].as_array().expect("a list"))
        .filter(|part| part["outcome"] == "dead")
        .collect();
    assert_eq!(letters.len(), 4, "six dead letters less the two that were no events");
    assert!(letters.iter().all(|part| part["attempts"].as_array().is_some_and(|all| !all.is_empty())), "{letters:?}");
    let placed = tail(&["--type", "order.placed"]);
    assert!(events(&placed).iter().all(|event| event["eventType"] == "order.placed") && placed.len() > 10);
    let flow = tail(&["--correlation", "flow-o-101"]);
    assert!(flow.len() > 3 && events(&flow).iter().all(|event| event["correlationId"] == "flow-o-101"), "{flow:?}");
    assert_eq!(tail(&["--since", "1h"]).len(), 170);
    let last = sandbox.run(&["log", "tail", "-n", "3"]).ok().stdout;
    assert_eq!(last.lines().count(), 3, "{last}");
    assert!(last.lines().all(|line| line.contains("shop/") && line.contains("analytics:done")), "{last}");
    sandbox.run(&["log", "tail", "--type", "a..b"]).code(2).says("--type a..b");
    sandbox.run(&["log", "tail", "shopp"]).code(2).says("did you mean `shop`?");
}

#[test]
fn one_event_is_shown_with_its_attempts() {
    let sandbox = Sandbox::moody("retry = { max-attempts = 2, initial = \"1h\", max = \"1h\", jitter = \"none\" }\n");
    sandbox.run(&["log", "tail"]).code(5).says("there is no store in");
    let long = mood("later", &json!({ "do": "retry", "times": 1 }));
    let lines =
        [mood("never", &json!({ "do": "reject" })), long, "no event".into(), mood("fine", &json!({ "do": "ok" }))];
    sandbox.publish("in", &lines);
    let place = sandbox.run(&["log", "show", "in/4"]).ok().stdout;
    assert!(place.contains("moody: pending, not admitted yet"), "{place}");
    let up = sandbox.up(&["--json"]);
    wait_until("all but one have ended", || sandbox.state("moody", "runs").is_some() && sandbox.dead(&[]).len() == 2);
    up.wait_for_log("retry");
    let show = |event: &str| sandbox.run(&["--json", "log", "show", event]).ok().json();
    let never = show("never");
    let part = &never["events"][0]["reactors"][0];
    assert_eq!((&part["outcome"], &part["reason"]), (&json!("dead"), &json!("rejected")), "{never}");
    assert_eq!(never["events"][0]["data"]["do"], "reject");
    wait_until("it waits", || show("in/2")["events"][0]["reactors"][0]["outcome"] == "waiting");
    let part = show("later")["events"][0]["reactors"][0].clone();
    assert_eq!(part["attempts"][0]["code"], "retry", "{part}");
    assert!(part["due"].as_str().is_some(), "{part}");
    assert!(show("in/3")["invalid"].as_str().is_some_and(|why| why.starts_with("invalid-json")));
    assert_eq!(show("fine")["events"][0]["reactors"][0]["outcome"], "done");
    let text = sandbox.run(&["log", "show", "never"]).ok().stdout;
    for part in ["in/1, accepted", "moody: dead, rejected; `reactor dead show", "attempt 1 at", "never in the mood"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    sandbox.run(&["log", "show", "in/99"]).code(1).says("no log contains `in/99`");
    sandbox.run(&["log", "show", "nobody"]).code(1).says("no log contains `nobody`");
    up.drain();
}

#[test]
fn each_attempt_is_shown_with_what_it_took_and_what_a_kill_cut_short() {
    let sandbox = Sandbox::moody("timeout = \"1m\"\ncpu = \"1m\"\nretry = { max-attempts = 2, initial = \"1ms\" }\n");
    sandbox.publish("in", &[mood("fine", &json!({ "do": "ok" })), mood("ends", &json!({ "do": "loop" }))]);
    let up = sandbox.up(&["--json"]);
    let started =
        || std::fs::read(sandbox.path(".reactor/claims")).is_ok_and(|marks| marks.iter().any(|byte| *byte != 0));
    wait_until("the first has ended, and the second has begun", || {
        sandbox.state("moody", "runs").is_some() && started()
    });
    up.kill();
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("cpu = \"1m\"", "cpu = \"50ms\""));
    sandbox.until_idle();
    let part = |id: &str| sandbox.run(&["--json", "log", "show", id]).ok().json()["events"][0]["reactors"][0].clone();
    let attempts = |part: &Value| part["attempts"].as_array().expect("a list").clone();
    let fine = part("fine");
    let [done] = &attempts(&fine)[..] else { panic!("{fine}") };
    assert_eq!((&done["code"], &done["number"], &done["worker"]), (&json!("done"), &json!(1), &json!(1)), "{fine}");
    assert!(done["tookMs"].as_f64().is_some_and(|took| took > 0.0), "{fine}");
    assert!(done["module"].as_str().is_some_and(|digest| digest.len() == 64) && done.get("error").is_none(), "{fine}");
    let ends = part("ends");
    let both = attempts(&ends);
    let told: Vec<_> = both.iter().map(|one| (&one["number"], &one["code"], &one["worker"])).collect();
    assert_eq!(told, [(&json!(1), &json!("host"), &json!(2)), (&json!(2), &json!("cpu-limit"), &json!(2))], "{ends}");
    let dead = sandbox.run(&["dead", "show", "1"]).ok().stdout;
    assert!(
        dead.contains(", interrupted, found by worker 2: host") && dead.contains(" ms, worker 2: cpu-limit"),
        "{dead}"
    );
    assert_eq!((&both[0]["interrupted"], both[0].get("tookMs")), (&json!(true), None), "nothing measured it: {ends}");
    let letter = sandbox.run(&["--json", "dead", "show", "1"]).ok().json();
    assert_eq!(
        (&letter["attempts"], letter["attempts"][1]["worker"].as_u64()),
        (&ends["attempts"], Some(2)),
        "{letter}"
    );
    assert_eq!(sandbox.dead(&[])[0], letter);
    let text = sandbox.run(&["log", "show", "fine"]).ok().stdout;
    assert!(
        text.contains("attempt 1 at ") && text.contains(": done, module ") && text.contains(" ms, worker 1"),
        "{text}"
    );
    // What is not to be kept is not kept, and what was kept is removed.
    sandbox.write("reactors.toml", format!("[runtime]\nhistory = \"0s\"\n{config}"));
    sandbox.publish("in", &[mood("later", &json!({ "do": "ok" }))]);
    sandbox.until_idle();
    for id in ["fine", "later"] {
        assert_eq!((&part(id)["outcome"], part(id).get("attempts")), (&json!("done"), None), "{id}");
    }
    assert_eq!(attempts(&part("ends")).len(), 2, "those of a dead letter stay with it");
}

#[test]
fn following_shows_each_event_once_when_it_has_ended() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &[added(0, "a", 1)]);
    let mut follow = sandbox.command(&["--json", "log", "tail", "--follow"]);
    let mut child = follow.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program can be run");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    assert_eq!(next()["offset"], 1);
    for round in 0..5 {
        let first = 1 + round * 20;
        sandbox.publish("in", &(first..first + 20).map(|id| added(id, "a", 1)).collect::<Vec<_>>());
        for id in first..first + 20 {
            let story = next();
            assert_eq!((&story["offset"], &story["events"][0]["eventId"]), (&json!(id + 1), &json!(format!("e{id}"))));
            assert_eq!(story["events"][0]["reactors"][0]["outcome"], "done", "{story}");
        }
    }
    drop(lines);
    sandbox.publish("in", &[added(1_000, "a", 1)]);
    assert!(child.wait().expect("it ends when nobody reads any more").success());
    up.drain();
}
