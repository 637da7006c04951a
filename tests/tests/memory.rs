//! Memory is bounded by bytes, whatever waits in the store.

use std::fmt::Write;
use std::process::{Command, Output};

use reactor_tests::{Sandbox, Up, guest, mood, program, wait_until};
use serde_json::{Value, json};

const REACTORS: usize = 8;
const EVENTS: usize = 60;
const MIB: u64 = 1 << 20;
/// What the reactors' queues may take, and room for what is on its way.
const MOST: u64 = 120 * MIB;

/// The most memory that a process has had, in bytes.
fn peak(up: &Up) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", up.pid())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Several reactors that read the same channel, each with a policy.
fn sandbox(policy: impl Fn(&str) -> String) -> Sandbox {
    let mut config =
        "[runtime]\nqueue-memory = \"16MiB\"\n[channels.in]\nkind = \"local\"\nmax-event = \"1000KiB\"\n".to_owned();
    for number in 0..REACTORS {
        let name = format!("r{number}");
        let policy = policy(&name);
        write!(config, "[reactors.{name}]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\non = [\"mood\"]\nemit = {{ mood = \"in\" }}\nallow = {{ state = true }}\nconcurrency = 1\n{policy}").expect("text");
    }
    let sandbox = Sandbox::new(&config);
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    sandbox
}

fn publish_large(sandbox: &Sandbox, wish: impl Fn(usize) -> Value) {
    let pad = "x".repeat(900_000);
    let event = |n| {
        let mut data = wish(n);
        data["pad"] = json!(pad);
        mood(&format!("m{n}"), &data)
    };
    sandbox.publish("in", &(0..EVENTS).map(event).collect::<Vec<_>>());
}

/// Waits until every reactor has begun so many runs.
fn wait_for_runs(up: &Up, each: usize) {
    wait_until("every reactor runs", || {
        let log = up.log();
        let runs =
            |n| log.lines().filter(|line| line.contains(&format!(" r{n} ")) && line.contains("in the mood")).count();
        (0..REACTORS).all(|number| runs(number) >= each)
    });
}

#[test]
fn a_restart_takes_no_more_than_the_queues_may() {
    let sandbox = sandbox(|_| "cpu = \"60s\"\ntimeout = \"60s\"\n".into());
    publish_large(&sandbox, |_| json!({ "do": "loop" }));
    let up = sandbox.up(&[]);
    wait_for_runs(&up, 1);
    let before = peak(&up);
    up.kill();
    let up = sandbox.up(&[]);
    wait_for_runs(&up, 1);
    let after = peak(&up);
    eprintln!("{} MiB before the restart, {} MiB after", before / MIB, after / MIB);
    assert!(after < before.max(MOST), "it takes much more after a restart");
}

#[test]
fn large_events_that_keep_failing_are_loaded_as_there_is_room() {
    let sandbox =
        sandbox(|name| format!("[reactors.{name}.retry]\nmax-attempts = 1000\ninitial = \"20ms\"\nmax = \"20ms\"\n"));
    publish_large(&sandbox, |_| json!({ "do": "retry" }));
    let up = sandbox.up(&[]);
    wait_for_runs(&up, 2 * EVENTS);
    let most = peak(&up);
    eprintln!("{} MiB at most", most / MIB);
    assert!(most < MOST, "it takes more than the queues may");
}

#[test]
fn held_events_are_loaded_as_there_is_room() {
    let sandbox = sandbox(|name| {
        format!("order-by = \"/data/key\"\n[reactors.{name}.retry]\ninitial = \"20ms\"\nmax = \"20ms\"\n")
    });
    // Each fails once, while those of the same key behind it are held.
    publish_large(&sandbox, |n| json!({ "do": "retry", "times": 1, "key": format!("k{}", n % 20) }));
    let up = sandbox.up(&[]);
    wait_for_runs(&up, 2 * EVENTS);
    let most = peak(&up);
    eprintln!("{} MiB at most", most / MIB);
    assert!(most < MOST, "it takes more than the queues may");
}

/// Runs a command that may have so much address space, in kilobytes.
fn run_within(sandbox: &Sandbox, kilobytes: u64, args: &str) -> Output {
    let script = format!("ulimit -v {kilobytes}; exec '{}' {args}", program().display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(sandbox.path("")).env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
    command.output().expect("sh can be run")
}

#[test]
fn dead_letters_are_looked_through_without_their_messages() {
    let sandbox = sandbox(|_| String::new());
    publish_large(&sandbox, |_| json!({ "do": "reject" }));
    sandbox.until_idle();
    // All messages together have some 430 MB.
    let limit = 400_000;
    let listed = run_within(&sandbox, limit, "dead list --reason rejected");
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    assert_eq!(text.matches("rejected").count(), REACTORS * EVENTS);
    let whole = run_within(&sandbox, limit, "--json dead list --reactor r1 --limit 20");
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let bodies = String::from_utf8_lossy(&whole.stdout);
    assert!(bodies.lines().count() == 20 && bodies.len() > 20 * 900_000, "with their messages");
    let asked = run_within(&sandbox, limit, "dead redrive --all");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "480 to be redriven when `reactor up` runs\n");
}
