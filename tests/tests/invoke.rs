//! `reactor invoke`: one run, shown, with nothing applied.

use reactor_tests::{Sandbox, added, mood};
use serde_json::json;

#[test]
fn a_run_is_shown_and_not_applied() {
    let sandbox = Sandbox::tally("");
    sandbox.write("event.json", added(1, "a", 5));
    let shown = sandbox.run(&["--json", "invoke", "tally", "event.json"]).ok().json();
    assert_eq!((&shown["outcome"], &shown["writes"]), (&json!("done"), &json!([{ "key": "a", "value": 5 }])));
    assert!(!sandbox.path(".reactor/reactor.db").exists(), "no store was made");

    sandbox.publish("in", &[added(2, "a", 7)]);
    sandbox.until_idle();
    let shown = sandbox.run(&["--json", "invoke", "tally", "event.json"]).ok().json();
    assert_eq!(shown["writes"], json!([{ "key": "a", "value": 12 }]), "on top of what is in the store");
    assert_eq!(shown["reads"], json!(["a"]));
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("7"), "and left as it was");
    let shown = sandbox.run(&["--json", "invoke", "tally", "event.json", "--fresh"]).ok().json();
    assert_eq!(shown["writes"][0]["value"], 5);
    let shown = sandbox.run(&["--json", "invoke", "tally", "event.json", "--state", "a=100"]).ok().json();
    assert_eq!(shown["writes"][0]["value"], 105);
    let text = sandbox.run(&["invoke", "tally", "event.json"]).ok().stdout;
    assert!(text.contains("writes  a = 12") && text.contains("nothing was applied"), "{text}");
}

#[test]
fn every_outcome_is_told_and_a_bad_one_is_an_exit_code() {
    let sandbox = Sandbox::moody("");
    for (wish, outcome) in [("retry", "retry"), ("reject", "reject"), ("panic", "trap"), ("emit-other", "emit-denied")]
    {
        let ran =
            sandbox.run_with(&["--json", "invoke", "moody"], mood("x", &json!({ "do": wish })).as_bytes()).code(1);
        let shown = ran.json();
        assert_eq!((&shown["outcome"], &shown["writes"]), (&json!(outcome), &json!([])), "{wish}");
        assert!(shown["error"].as_str().is_some_and(|error| !error.is_empty()), "{shown}");
    }
    let emit = mood("x", &json!({ "do": "emit" }));
    let ran = sandbox.run_with(&["--json", "invoke", "moody", "-"], emit.as_bytes()).ok().says("in the mood for Emit");
    let shown = ran.json();
    assert_eq!((&shown["emits"][0]["channel"], &shown["emits"][0]["eventType"]), (&json!("in"), &json!("mood")));
    let second = mood("x", &json!({ "do": "retry", "times": 1 }));
    sandbox.run_with(&["invoke", "moody", "--attempt", "2"], second.as_bytes()).ok();
}

#[test]
fn what_cannot_be_run_is_told() {
    let sandbox = Sandbox::tally("");
    sandbox.run_with(&["invoke", "tally"], b"{").code(1).says("it would become a dead letter");
    sandbox.run_with(&["invoke", "taly"], b"{}").code(2).says("did you mean `tally`?");
    sandbox.run(&["invoke", "tally", "nowhere.json"]).code(1).says("cannot read nowhere.json");
    let other = added(1, "a", 1).replace("\"added\"", "\"other\"");
    sandbox.run_with(&["invoke", "tally"], other.as_bytes()).ok().says("`tally` would not get this event");
    let two = format!("{}\n{}\n", added(1, "a", 1), added(2, "a", 2));
    let ran = sandbox.run_with(&["invoke", "tally"], two.as_bytes()).code(1);
    ran.says("line 1 and line 2 each hold an event").says("`invoke` takes one event").says("reactor publish in");
    sandbox.run_with(&["invoke", "tally"], b"\n").code(1).says("it is empty");
    let long = added(1, &"x".repeat(256 << 10), 1);
    sandbox.run_with(&["invoke", "tally"], long.as_bytes()).code(1).says("accepts at most 262144");
    let batch = format!("[{},7,{}]", added(1, "a", 1), added(2, "b", 2));
    let ran = sandbox.run_with(&["--json", "invoke", "tally"], batch.as_bytes()).code(1).says("element 1 of the array");
    assert_eq!(ran.json_lines().len(), 2, "the good ones are run");
}
