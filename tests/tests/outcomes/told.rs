//! What is not done is never shown as done. The inputs are described in `tests/field/outcomes.md`.

use reactor_tests::{Sandbox, counts, guest, mood, wait_until};
use serde_json::{Value, json};

/// A file of `tests/field`.
fn field(name: &str) -> String {
    reactor_tests::field(name).to_str().expect("a path in UTF-8").to_owned()
}

/// A folder with the guest `moody` on every type, whose channel has this format; `extra` goes into its table.
fn seen(format: &str, extra: &str) -> Sandbox {
    let sandbox = Sandbox::moody("");
    sandbox.write(
        "reactors.toml",
        format!(
            "[channels.in]\nkind = \"local\"\n{format}\n[channels.out]\nkind = \"local\"\n[reactors.moody]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\n\
             on = [\"**\"]\nemit = {{ mood = \"out\" }}\nallow = {{ state = true }}\n{extra}\n"
        ),
    );
    sandbox
}

/// The outcome of each record of `in`, for its only reactor.
fn told(sandbox: &Sandbox) -> Vec<Value> {
    let lines = sandbox.run(&["--json", "log", "tail", "-n", "1000"]).ok().json_lines();
    lines.iter().map(|story| story["events"][0]["reactors"][0].clone()).collect()
}

fn words(sandbox: &Sandbox) -> Vec<String> {
    told(sandbox).iter().map(|part| part["outcome"].as_str().unwrap_or_default().to_owned()).collect()
}

/// That every delivery of a reactor is in exactly one column, and each record's in the one that the log says.
fn adds_up(summary: &Value, reactor: &str) {
    let of = counts(summary, reactor);
    let count = |name: &str| of[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"));
    let columns = ["done", "dead", "dropped", "waiting", "held", "parked", "running"];
    assert_eq!(count("delivered"), columns.iter().map(|name| count(name)).sum::<u64>(), "{summary}");
}

#[test]
fn the_second_of_one_id_is_a_duplicate_of_the_first() {
    let sandbox = seen("", "");
    sandbox.run(&["publish", "in", &field("log/same-id-other-data.jsonl")]).ok().says("line 2").says("moody");
    let summary = sandbox.until_idle();
    adds_up(&summary, "moody");
    let moody = counts(&summary, "moody");
    assert_eq!((&moody["delivered"], &moody["done"], &moody["duplicates"]), (&json!(1), &json!(1), &json!(1)));
    let told = told(&sandbox);
    assert_eq!(told[0]["outcome"], "done");
    assert_eq!(
        told[1],
        json!({ "reactor": "moody", "outcome": "duplicate", "firstOutcome": "done", "differs": ["data"],
                "first": { "channel": "in", "offset": 1, "part": 0 } })
    );
    let tail = sandbox.run(&["log", "tail"]).ok().stdout;
    assert!(
        tail.lines().nth(1).is_some_and(|line| line.contains("moody:duplicate[of in/1, done, other data]")),
        "{tail}"
    );
    let show = sandbox.run(&["log", "show", "in/2"]).ok().stdout;
    for part in ["moody: duplicate of in/1, which is done: not run", "warning: its data differs from that of in/1"] {
        assert!(show.contains(part), "{part} is not in\n{show}");
    }
    let picked = |outcome: &str| sandbox.run(&["log", "tail", "--outcome", outcome]).ok().stdout.lines().count();
    assert_eq!((picked("duplicate"), picked("done"), picked("dropped")), (1, 1, 0));
    // The same again is a duplicate without a warning; of another type, it is one with a warning.
    sandbox
        .run_with(
            &["publish", "in"],
            br#"{ "eventId": "1", "eventType": "order.placed", "source": "shop", "data": { "v": 1 } }"#,
        )
        .ok()
        .says("duplicate for moody");
    sandbox.publish("in", &[r#"{"eventId":"1","eventType":"order.paid","source":"shop","data":{"v":1}}"#.into()]);
    sandbox.until_idle();
    let told = self::told(&sandbox);
    assert_eq!((&told[2]["differs"], &told[3]["differs"]), (&json!([]), &json!(["type"])), "{told:?}");
}

#[test]
fn events_that_a_configuration_makes_equal_are_duplicates() {
    let config = std::fs::read_to_string(field("raw/documented-meter-readings.toml")).expect("the configuration");
    let by_serial = config.lines().find(|line| line.starts_with("format")).expect("a format");
    let whole = by_serial.replace("id = { pointer = \"/serial\" }, ", "");
    for (format, extra, expected) in [
        (by_serial, "", ["done", "duplicate", "duplicate"]),
        (by_serial, "dedup = false", ["done"; 3]),
        (whole.as_str(), "", ["done"; 3]),
    ] {
        let sandbox = seen(format, extra);
        let publish =
            ["publish", "in", &field("raw/documented-meter-readings.jsonl"), "--attribute", "site=hall", "--json"];
        let published = sandbox.run(&publish).ok().json();
        let summary = sandbox.until_idle();
        adds_up(&summary, "moody");
        let duplicates = expected.iter().filter(|word| **word == "duplicate").count();
        assert_eq!(published["duplicates"], duplicates, "{format} {extra}");
        assert_eq!(counts(&summary, "moody")["duplicates"], duplicates, "{format} {extra}");
        assert_eq!(words(&sandbox), expected, "{format} {extra}");
        let firsts: Vec<_> = told(&sandbox).iter().map(|part| part["first"]["offset"].clone()).collect();
        assert!(firsts.iter().all(|first| *first == Value::Null || *first == 1), "{firsts:?}");
    }
}

#[test]
fn what_was_dropped_is_not_done_and_runs_when_it_is_published_again() {
    let sandbox = Sandbox::tally("emit = { mood = \"in\" }");
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("\"added\"", "\"order.placed\""));
    let file = field("dead/rejected-then-dropped.json");
    let publish = || sandbox.run(&["publish", "in", &file, "--json"]).ok().json();
    assert_eq!(publish()["duplicates"], 0);
    sandbox.until_idle();
    assert_eq!(publish()["duplicates"], 1, "its letter is there");
    sandbox.until_idle();
    assert_eq!(words(&sandbox), ["dead", "duplicate"]);
    assert_eq!(told(&sandbox)[1]["firstOutcome"], "dead");
    let show = sandbox.run(&["log", "show", "in/2"]).ok().stdout;
    assert!(
        show.contains("duplicate of in/1, which is dead: not run; `reactor dead redrive 1` runs it again"),
        "{show}"
    );
    sandbox.run(&["dead", "drop", "1"]).ok();
    assert_eq!(words(&sandbox), ["dropped", "duplicate"]);
    let show = sandbox.run(&["log", "show", "1"]).ok().stdout;
    assert!(
        show.contains("tally: dropped: dead letter 1 (rejected) was dropped; the reactor never handled the event"),
        "{show}"
    );
    let summary = sandbox.until_idle();
    adds_up(&summary, "tally");
    assert_eq!((&counts(&summary, "tally")["dead"], &counts(&summary, "tally")["dropped"]), (&json!(0), &json!(1)));
    // The module is mended: here, the one that takes anything.
    std::fs::copy(guest("guest-moody"), sandbox.path("tally.wasm")).expect("the module can be copied");
    assert_eq!(publish()["duplicates"], 0);
    let summary = sandbox.until_idle();
    adds_up(&summary, "tally");
    assert_eq!(words(&sandbox), ["dropped", "duplicate", "done"]);
    assert_eq!(told(&sandbox)[1]["first"]["offset"], 1, "as it was");
}

#[test]
fn what_waits_for_others_or_for_a_person_says_so() {
    let sandbox = Sandbox::moody(
        "order-by = \"/data/key\"\nretry = { max-attempts = 2, initial = \"1h\", max = \"1h\", jitter = \"none\" }\n\
         dead-letter = { on-exhausted = \"park-key\" }\n",
    );
    let event = |id: &str, what: &str, key: &str| mood(id, &json!({ "do": what, "key": key }));
    sandbox.publish("in", &[event("1", "reject", "a"), event("2", "ok", "a"), event("3", "ok", "a")]);
    let ended = sandbox.run(&["up", "--until-idle"]).ok();
    let waits = "1 dead letter, 1 parked key with 2 deliveries behind";
    assert!(ended.stderr.contains(&format!("needs attention: {waits}")), "{}", ended.stderr);
    let failed = sandbox.run(&["--json", "up", "--until-idle", "--fail-on-dead"]).code(7).says(waits);
    let summary = failed.json();
    adds_up(&summary, "moody");
    assert_eq!(summary["waitsForPerson"], json!({ "deadLetters": 1, "parkedKeys": 1, "parked": 2 }));
    assert_eq!(words(&sandbox), ["dead", "parked", "parked"]);
    assert_eq!(told(&sandbox)[1]["letter"], 1);
    let show = sandbox.run(&["log", "show", "2"]).ok().stdout;
    assert!(show.contains("moody: parked behind dead letter 1 of its key; `reactor dead redrive 1`"), "{show}");
    sandbox.publish("in", &[event("4", "retry", "b"), event("5", "ok", "b"), event("6", "ok", "b")]);
    let up = sandbox.up(&["--json"]);
    wait_until("those behind are held", || words(&sandbox)[3..] == ["waiting", "held", "held"]);
    assert_eq!(told(&sandbox)[4]["behind"], json!({ "channel": "in", "offset": 4, "part": 0 }));
    let summary = up.drain();
    adds_up(&summary, "moody");
    let moody = counts(&summary, "moody");
    let found = ["delivered", "dead", "waiting", "held", "parked", "running"].map(|name| moody[name].clone());
    assert_eq!(found, [6, 1, 1, 2, 2, 0].map(Value::from), "{summary}");
    for (outcome, count) in [("held", 2), ("parked", 2), ("waiting", 1), ("dead", 1), ("done", 0)] {
        let picked = sandbox.run(&["log", "tail", "--outcome", outcome]).ok().stdout;
        assert_eq!(picked.lines().count(), count, "{outcome}: {picked}");
    }
    sandbox.run(&["dead", "drop", "1"]).ok();
    let up = sandbox.up(&["--json"]);
    wait_until("the key goes on", || words(&sandbox)[..3] == ["dropped", "done", "done"]);
    adds_up(&up.drain(), "moody");
}

#[test]
fn a_batch_without_dead_letters_ends_well() {
    let sandbox = seen("", "");
    sandbox.publish("in", &[mood("1", &json!({ "do": "ok" }))]);
    let ended = sandbox.run(&["up", "--until-idle", "--fail-on-dead"]).ok();
    assert!(!ended.stderr.contains("for a person"), "{}", ended.stderr);
    sandbox.run_with(&["publish", "in"], b"no event").code(6);
    sandbox.run(&["up", "--until-idle", "--fail-on-dead"]).code(7).says("1 dead letter;");
}

#[test]
fn the_log_shows_the_part_of_a_message_that_is_no_event() {
    let sandbox = seen("", "");
    let array = format!("[{},{}]", mood("1", &json!({ "do": "ok" })), json!({ "no": "type" }));
    sandbox.run_with(&["publish", "in", "--input", "whole"], array.as_bytes()).ok().says("a part of it");
    sandbox.until_idle();
    let story = sandbox.run(&["--json", "log", "show", "in/1"]).ok().json();
    assert!(story["invalid"].as_str().is_some_and(|why| why.starts_with("unknown-envelope")), "{story}");
    assert_eq!(story["events"][0]["reactors"][0]["outcome"], "done", "{story}");
    let show = sandbox.run(&["log", "show", "in/1"]).ok().stdout;
    assert!(show.contains("a part of it cannot be decoded: unknown-envelope"), "{show}");
    let tail = sandbox.run(&["log", "tail", "--outcome", "invalid"]).ok().stdout;
    assert!(tail.contains("moody:done") && tail.contains("in/1 a part cannot be decoded: unknown-envelope"), "{tail}");
}

#[test]
fn a_reactor_that_came_later_was_not_given_the_event() {
    let sandbox = seen("", "");
    sandbox.publish("in", &[mood("1", &json!({}))]);
    sandbox.until_idle();
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    let later = config.split_once("[reactors.moody]").expect("its table").1;
    sandbox.write("reactors.toml", format!("{config}\n[reactors.later]{later}"));
    sandbox.until_idle();
    let story = sandbox.run(&["--json", "log", "show", "in/1"]).ok().json();
    let parts = story["events"][0]["reactors"].as_array().expect("a list");
    let outcome = |name: &str| parts.iter().find(|part| part["reactor"] == name).map(|part| part["outcome"].clone());
    assert_eq!((outcome("moody"), outcome("later")), (Some(json!("done")), Some(json!("unknown"))), "{story}");
}

#[test]
fn what_became_of_an_event_does_not_change_with_the_configuration() {
    let sandbox = seen("", "");
    sandbox.publish("in", &[mood("1", &json!({ "do": "ok" })), mood("1", &json!({ "do": "ok" }))]);
    sandbox.publish("in", &[mood("2", &json!({ "do": "reject" }))]);
    sandbox.until_idle();
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    let before = told(&sandbox);
    assert_eq!(words(&sandbox), ["done", "duplicate", "dead"]);
    // It wants other events, has another dedup key, does not read the channel, or is not there any more.
    let (channels, _) = config.split_once("[reactors.moody]").expect("its table");
    for changed in [
        config.replace("\"**\"", "\"other\""),
        config.replace("on = ", "dedup = { key = \"/data/do\" }\non = "),
        config.replace("on = ", "dedup = false\non = "),
        config.replace("from = [\"in\"]", "from = [\"out\"]"),
        channels.to_owned(),
    ] {
        sandbox.write("reactors.toml", &changed);
        assert_eq!(told(&sandbox), before, "{changed}");
    }
    let counted =
        |args: &[&str]| sandbox.run(&[&["log", "tail", "--outcome"][..], args].concat()).ok().stdout.lines().count();
    assert_eq!((counted(&["done"]), counted(&["dead"]), counted(&["unrouted"])), (1, 1, 0));
    // The format does not fit any more, so that the event cannot be read.
    sandbox
        .write("reactors.toml", config.replace("kind = \"local\"\n\n", "kind = \"local\"\nformat = \"cloudevents\"\n"));
    let story = sandbox.run(&["--json", "log", "show", "in/1"]).ok().json();
    assert!(story["invalid"].is_string(), "{story}");
    assert_eq!((&story["events"][0]["unread"], &story["events"][0]["part"]), (&json!(true), &json!(0)), "{story}");
    assert_eq!(story["events"][0]["reactors"][0]["outcome"], "done", "{story}");
    assert_eq!(sandbox.run(&["--json", "log", "show", "1"]).ok().json_lines().len(), 1, "by the attempts at it");
    let text = sandbox.run(&["log", "show", "in/3"]).ok().stdout;
    for part in
        ["cannot be decoded: ", "event 1 of it is not found by the present configuration", "moody: dead, rejected"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let tail = sandbox.run(&["log", "tail", "--outcome", "dead"]).ok().stdout;
    assert!(tail.contains("in/3 unread (event 1) moody:dead[rejected"), "{tail}");
}

#[test]
fn what_nobody_wanted_or_could_read_stays_so() {
    let sandbox = seen("", "");
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("\"**\"", "\"other\""));
    sandbox.publish("in", &[mood("1", &json!({}))]);
    sandbox.run_with(&["publish", "in"], b"{ \"no\": \"event\" }").code(6);
    sandbox.until_idle();
    // Now both are events, which the reactor wants.
    sandbox.write(
        "reactors.toml",
        config.replace("kind = \"local\"\n\n", "kind = \"local\"\nformat = { raw = { type = \"raw\" } }\n"),
    );
    let unrouted = sandbox.run(&["log", "tail", "--outcome", "unrouted"]).ok().stdout;
    assert_eq!(unrouted.lines().count(), 1, "{unrouted}");
    assert!(unrouted.contains("in/1 raw ") && unrouted.contains(" unrouted moody:unknown"), "{unrouted}");
    let invalid = sandbox.run(&["--json", "log", "tail", "--outcome", "invalid"]).ok().json_lines();
    assert_eq!(invalid.len(), 1, "{invalid:?}");
    assert_eq!(invalid[0]["offset"], 2, "{invalid:?}");
    let show = sandbox.run(&["log", "show", "in/1"]).ok().stdout;
    assert!(show.contains("no reactor wanted it\nmoody: unknown"), "{show}");
}

#[test]
fn what_is_shown_has_the_digits_that_were_sent() {
    let sandbox = seen("", "");
    sandbox.run(&["publish", "in", &field("json/numbers-beyond-doubles.json")]).ok();
    sandbox.until_idle();
    let (text, json) =
        (sandbox.run(&["log", "show", "n-1"]).ok().stdout, sandbox.run(&["--json", "log", "show", "n-1"]).ok().stdout);
    let numbers = [
        ("id", "9007199254740993"),
        ("u64", "18446744073709551615"),
        ("big", "123456789012345678901234567890"),
        ("ratio", "0.1234567890123456789"),
        ("price", "10.10"),
    ];
    for (name, digits) in numbers {
        assert!(text.contains(&format!("\"{name}\": {digits}")), "{digits} is not in\n{text}");
        assert!(json.contains(&format!("\"{name}\":{digits}")), "{digits} is not in\n{json}");
    }
}

#[test]
fn json_has_all_that_the_text_has() {
    let sandbox = seen("", "");
    let event = json!({
        "eventId": "1", "eventType": "a.b", "eventVersion": 3, "source": "s", "timestamp": "2026-01-02T03:04:05Z",
        "subject": "sub", "correlationId": "flow", "causationId": "cause", "partitionKey": "key",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "data": {},
    });
    sandbox.publish("in", &[event.to_string()]);
    sandbox.until_idle();
    let story = sandbox.run(&["--json", "log", "show", "in/1"]).ok().json();
    for (name, value) in event.as_object().expect("an object") {
        assert_eq!(story["events"][0][name], *value, "{name} in {story}");
    }
    assert_eq!(story["events"][0]["contentType"], "application/json");
}

#[test]
fn unknown_reasons_and_reactors_are_errors() {
    let sandbox = seen("", "");
    sandbox.publish("in", &[mood("1", &json!({ "do": "reject" }))]);
    sandbox.until_idle();
    for command in ["list", "redrive", "drop"] {
        let wrong = sandbox.run(&["dead", command, "--reason", "retry-exhausted"]).code(2);
        wrong.says("no dead letter has the reason `retry-exhausted`; did you mean `retries-exhausted`?");
        sandbox.run(&["dead", command, "--reactor", "nobody"]).code(2).says("nobody");
    }
    sandbox.run(&["log", "tail", "--reactor", "modoy"]).code(2).says("did you mean `moody`?");
    sandbox.run(&["dead", "list", "--reason", "retries-exhausted"]).ok();
}

#[test]
fn a_letter_that_is_to_be_redriven_is_marked() {
    let sandbox = seen("", "");
    sandbox.publish("in", &[mood("1", &json!({ "do": "reject" }))]);
    sandbox.until_idle();
    assert_eq!(sandbox.dead(&[])[0]["asked"], Value::Null);
    sandbox.run(&["dead", "redrive", "1"]).ok();
    assert_eq!(sandbox.dead(&[])[0]["asked"], "redrive");
    for command in [&["dead", "list"][..], &["dead", "show", "1"]] {
        let text = sandbox.run(command).ok().stdout;
        assert!(text.contains("(to be redriven at the next `reactor up`)"), "{text}");
    }
    sandbox.until_idle();
    assert_eq!(sandbox.dead(&[])[0]["asked"], Value::Null);
}
