//! Deploys under a running `reactor up`: rebuilt modules, broken ones, and a changed configuration.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::fs;
use std::time::{Duration, SystemTime};

use reactor_tests::{Sandbox, added, counts, mood, wait_until};
use serde_json::json;

/// The module with a custom section that changes nothing but its digest.
fn rebuilt(module: &[u8], name: u8) -> Vec<u8> {
    [module, &[0, 3, 1, b'v', name]].concat()
}

/// Replaces a file as a linker does; its time moves on, however coarse the file system's clock is.
fn replace(sandbox: &Sandbox, name: &str, bytes: &[u8]) {
    let (file, aside) = (sandbox.path(name), sandbox.path("aside"));
    let before = fs::metadata(&file).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    fs::write(&aside, bytes).expect("a file in a temporary folder");
    let later = SystemTime::now().max(before + Duration::from_millis(10));
    fs::File::options().append(true).open(&aside).and_then(|file| file.set_modified(later)).expect("a time");
    fs::rename(&aside, &file).expect("the file takes its place");
}

#[test]
fn a_rebuilt_module_is_swapped_in_under_load_and_a_broken_one_is_refused() {
    const ROUNDS: usize = 4;
    let sandbox = Sandbox::tally("");
    let module = fs::read(sandbox.path("tally.wasm")).expect("the module");
    let up = sandbox.up(&["--json", "--watch"]);
    let mut published = 0;
    for round in 0..ROUNDS {
        let events: Vec<_> = (published..published + 300).map(|id| added(id, &format!("a{}", id % 40), 1)).collect();
        sandbox.publish("in", &events);
        published += events.len();
        let digit = b'0' + u8::try_from(round).expect("few rounds");
        replace(&sandbox, "tally.wasm", &rebuilt(&module, digit));
        wait_until("the module is swapped", || up.log().matches("module swapped").count() == round + 1);
    }
    replace(&sandbox, "tally.wasm", &module[..module.len() / 2]);
    up.wait_for_log("new configuration rejected; still running the previous one");
    up.wait_for_log("not a valid module");
    sandbox.publish("in", &[added(published, "last", 1)]);
    wait_until("the old module runs on", || sandbox.state("tally", "last").as_deref() == Some("1"));
    let summary = up.drain();
    let tally = counts(&summary, "tally");
    assert_eq!((&tally["delivered"], &tally["retried"]), (&json!(published + 1), &json!(0)), "{summary}");
    // What was left in the queue is done by the next one.
    replace(&sandbox, "tally.wasm", &module);
    let summary = sandbox.until_idle();
    assert_eq!(counts(&summary, "tally")["done"], published + 1, "{summary}");
    let sql = "SELECT sum(CAST(CAST(value AS TEXT) AS INTEGER)) FROM state";
    let sum: isize = sandbox.store().query_row(sql, [], |row| row.get(0)).expect("the state");
    assert_eq!(sum.unsigned_abs(), published + 1, "each effect once");
}

#[test]
fn sighup_takes_over_a_changed_configuration_or_says_why_not() {
    let sandbox = Sandbox::moody("retry = { max-attempts = 2, initial = \"10ms\" }\n");
    let before = fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &[mood("first", &json!({ "do": "retry" }))]);
    wait_until("its attempts are used up", || sandbox.dead(&[]).len() == 1);

    up.signal("HUP");
    up.wait_for_log("configuration and modules are unchanged");

    sandbox.write("reactors.toml", before.replace("max-attempts = 2", "max-attempts = 3"));
    up.signal("HUP");
    up.wait_for_log("configuration changed");
    sandbox.publish("in", &[mood("second", &json!({ "do": "retry" }))]);
    wait_until("its attempts are used up", || sandbox.dead(&[]).len() == 2);
    assert_eq!(sandbox.dead(&[])[0]["attempts"].as_array().map(Vec::len), Some(3), "by the new policy");

    sandbox.write("reactors.toml", before.replace("max-attempts = 2", "max-attemps = 2"));
    up.signal("HUP");
    up.wait_for_log("did you mean `max-attempts`?");

    sandbox.write("reactors.toml", format!("[runtime]\nconcurrency = 3\n{before}"));
    up.signal("HUP");
    up.wait_for_log("`runtime.concurrency` can only change with a restart");

    let other = "\n[reactors.other]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\non = [\"mood\"]\nallow = { state = true }\nemit = { mood = \"in\" }\n";
    sandbox.write("reactors.toml", format!("{before}{other}"));
    up.signal("HUP");
    up.wait_for_log("the new configuration is in force");
    sandbox.publish("in", &[mood("third", &json!({ "do": "ok" }))]);
    wait_until("both have run", || {
        sandbox.state("moody", "runs").is_some() && sandbox.state("other", "runs").is_some()
    });
    let summary = up.drain();
    assert_eq!(counts(&summary, "other")["done"], 1, "it gets what comes from now on: {summary}");
}

#[test]
fn what_waits_for_a_reactor_that_was_removed_is_reported_and_kept() {
    let sandbox = Sandbox::moody("retry = { initial = \"1h\", jitter = \"none\", max = \"1h\" }\n");
    let before = fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    let up = sandbox.up(&["--json", "--watch"]);
    sandbox.publish("in", &[mood("one", &json!({ "do": "retry", "times": 1 }))]);
    up.wait_for_log("retry");
    replace(&sandbox, "reactors.toml", before.replace("reactors.moody", "reactors.calm").as_bytes());
    up.wait_for_log(
        "reactor `moody` is not in the configuration; its 1 unfinished deliveries are kept until it is added again",
    );
    up.wait_for_log("the new configuration is in force");
    replace(&sandbox, "reactors.toml", before.as_bytes());
    wait_until("the first is back", || up.log().matches("the new configuration is in force").count() == 2);
    let summary = up.drain();
    assert_eq!(counts(&summary, "moody")["waiting"], 1, "{summary}");
}
