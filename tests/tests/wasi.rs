//! A module for wasm32-wasip2 that uses the standard library: what it sees is the host's, and there is not much of it.

use reactor_tests::{Sandbox, guest_for};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(
        "[channels.in]\nkind = \"local\"\n\n[reactors.wasi]\nmodule = \"wasi.wasm\"\nfrom = [\"in\"]\non = [\"**\"]\n\
         allow = { state = true }\nconfig = { greeting = \"hello\", number = 7 }\ntimeout = \"3s\"\n\
         retry = { max-attempts = 1 }\n",
    );
    std::fs::copy(guest_for("wasm32-wasip2", "guest-wasi"), sandbox.path("wasi.wasm"))
        .expect("the module can be copied");
    sandbox
}

fn event(kind: &str) -> String {
    json!({ "eventId": format!("e-{kind}"), "eventType": kind, "source": "test", "data": {} }).to_string()
}

#[test]
fn a_program_sees_clocks_environment_and_streams_of_the_host_and_no_files() {
    let sandbox = sandbox().with_env("SECRET", "canary");
    sandbox.publish("in", &[event("look")]);
    let ran = sandbox.run(&["up", "--until-idle"]).ok();
    let seen: Value = serde_json::from_str(&sandbox.state("wasi", "seen").expect("it ran")).expect("JSON");
    let env = json!([["greeting", "hello"], ["number", "7"]]);
    assert_eq!(seen, json!([true, 2, env, ["wasi"], true, 0, true]), "clock, map, variables, arguments, files, sleep");
    let ran = ran.says("printed by e-look").says("no line end").says("and to the other stream");
    assert!(!ran.stderr.contains("canary"));
}

#[test]
fn a_program_that_leaves_sleeps_spins_or_shouts_is_held_to_its_limits() {
    let sandbox = sandbox();
    sandbox.publish("in", &["exit", "sleep", "spin", "shout"].map(event));
    let ran = sandbox.run(&["up", "--until-idle"]).ok();
    let dead = sandbox.dead(&[]);
    let reason = |kind: &str| {
        let found = dead.iter().find(|dead| dead["eventType"] == kind);
        found.and_then(|dead| dead["reason"].as_str()).unwrap_or_else(|| panic!("{kind} is not in {dead:?}")).to_owned()
    };
    assert_eq!(reason("exit"), "trap");
    assert_eq!(reason("sleep"), "timeout");
    assert_eq!(reason("spin"), "host-call-limit");
    assert_eq!(dead.len(), 3, "what prints too much is done: {dead:?}");
    let ran = ran.says("truncated: the attempt has reached its limit of printed lines");
    // One line went to what was printed first, one ends what had no end.
    assert_eq!(ran.stderr.matches(" | line ").count(), 1_000 - 2);
}
