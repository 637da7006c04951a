//! What the program does about its data directory: it makes none to look at, notices when it goes away, and ends when it
//! is told to, whoever keeps the store busy.

use std::os::unix::fs::PermissionsExt;

use reactor_tests::{Sandbox, added, counts, wait_until};

#[test]
fn looking_makes_no_store() {
    let sandbox = Sandbox::tally("");
    let listed = sandbox.run(&["--json", "dead", "list"]).ok();
    assert_eq!(listed.stdout, "");
    assert!(
        listed.stderr.contains("there is no store in") && listed.stderr.contains("reactor up"),
        "{}",
        listed.stderr
    );
    for (look, code) in [
        (&["dead", "show", "1"][..], 1),
        (&["dead", "drop", "--all"], 0),
        (&["dead", "redrive", "--all"], 0),
        (&["log", "tail"], 5),
        (&["log", "show", "in/1"], 5),
        (&["graph"], 0),
    ] {
        assert_eq!(sandbox.run(look).code, code, "{look:?}");
        assert!(!sandbox.path(".reactor").exists(), "{look:?} made a store");
    }
}

#[test]
fn a_host_ends_when_its_data_directory_goes_away() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &[added(1, "a", 1)]);
    wait_until("the event is done", || sandbox.state("tally", "a").as_deref() == Some("1"));
    std::fs::rename(sandbox.path(".reactor"), sandbox.path("elsewhere")).expect("the folder can be moved");
    wait_until("the host has said why it ends", || up.log().contains("was removed, moved or replaced"));
    assert_eq!(up.wait().code(), Some(5));
    std::fs::rename(sandbox.path("elsewhere"), sandbox.path(".reactor")).expect("the folder can be moved back");
    sandbox.publish("in", &[added(2, "a", 1)]);
    assert_eq!(counts(&sandbox.until_idle(), "tally")["done"], 2);
}

#[test]
fn a_host_that_waits_for_another_process_ends_when_it_is_told_to() {
    let sandbox = Sandbox::tally("rate = \"20/s\"\n[runtime]\ndrain = \"1s\"\n");
    let up = sandbox.up(&["--json"]);
    sandbox.publish("in", &(0..400).map(|id| added(id, "a", 1)).collect::<Vec<_>>());
    wait_until("some events are done", || sandbox.state("tally", "a").is_some());
    let other = sandbox.store();
    other.execute_batch("BEGIN IMMEDIATE").expect("the other process writes");
    up.wait_for_log("keeps the store busy");
    let summary = up.drain();
    other.execute_batch("ROLLBACK").expect("it has not written");
    let tally = counts(&summary, "tally");
    let [delivered, done, active] = ["delivered", "done", "active"].map(|name| tally[name].as_u64().expect("a count"));
    assert!(done < 400 && delivered == done + active, "{summary}");
}

#[test]
fn a_directory_that_others_can_enter_is_warned_of() {
    let sandbox = Sandbox::tally("");
    sandbox.publish("in", &[added(1, "a", 1)]);
    let mode = |mode| std::fs::set_permissions(sandbox.path(".reactor"), PermissionsExt::from_mode(mode));
    mode(0o755).expect("a mode can be set");
    let ran = sandbox.run(&["up", "--until-idle"]).ok();
    assert_eq!(ran.stderr.matches("chmod 700").count(), 1, "{}", ran.stderr);
    mode(0o700).expect("a mode can be set");
    assert!(!sandbox.run(&["up", "--until-idle"]).ok().stderr.contains("chmod"));
}
