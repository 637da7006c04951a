//! Modules that take long to compile, under a program that has other things to do.

use std::fs;
use std::process::Stdio;

use reactor_tests::{Sandbox, added, counts, wait_until};
use serde_json::json;

/// Small, and would take gigabytes.
fn bomb() -> Vec<u8> {
    let (locals, blocks) = ("i32 ".repeat(9_000), "(block (br_if 0 (local.get 0)))".repeat(5_000));
    let uses: String = (0..9_000).map(|at| format!("(local.set {at} (i32.const 1))")).collect();
    wat::parse_str(format!("(component (core module (func $slow (local {locals}) {blocks} {uses})))")).expect("text")
}

/// Takes seconds, and is below what is refused by its look.
fn slow() -> Vec<u8> {
    let function = format!("(func {})", "(call_indirect (type $t) (i32.const 1))".repeat(11_000));
    let wat = format!("(component (core module (type $t (func)) (table 10 funcref) {}))", function.repeat(4));
    wat::parse_str(wat).expect("text")
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<String> {
    let parent = parent.to_string();
    let ids = fs::read_dir("/proc").expect("processes").flatten().map(|process| process.file_name());
    let ids = ids.filter_map(|id| id.into_string().ok());
    let is_child = |id: &String| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&parent)
    };
    ids.filter(is_child).collect()
}

fn is_gone(id: &str) -> bool {
    // One whose parent has ended is a zombie until the system's first process looks.
    fs::read_to_string(format!("/proc/{id}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_bomb_is_refused_with_the_exit_code_of_modules() {
    let sandbox = Sandbox::tally("");
    sandbox.write("tally.wasm", bomb());
    for command in [["check"].as_slice(), &["up", "--until-idle"]] {
        sandbox.run(command).code(4).says("would take too long to compile: function 0 (`slow`)");
    }
}

#[test]
fn what_exceeds_the_limits_of_compiling_is_refused_by_name() {
    let sandbox = Sandbox::tally("").with_env("REACTOR_COMPILE_MEMORY", "48");
    sandbox.write("tally.wasm", slow());
    sandbox.run(&["check"]).code(4).says("that took more than 48 MiB of memory");
    let sandbox = Sandbox::tally("").with_env("REACTOR_COMPILE_SECONDS", "never");
    sandbox.run(&["check"]).code(2).says("REACTOR_COMPILE_SECONDS must be a number");
}

#[test]
fn a_stop_during_the_first_load_ends_the_program_and_its_compiler() {
    for name in ["TERM", "INT"] {
        let sandbox = Sandbox::tally("");
        sandbox.write("tally.wasm", slow());
        let log = fs::File::create(sandbox.path("up.log")).expect("a log file");
        let mut up = sandbox
            .command(&["up"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program can be run");
        wait_until("it compiles", || !children(up.id()).is_empty());
        let compilers = children(up.id());
        let kill = std::process::Command::new("kill").args([format!("-{name}"), up.id().to_string()]).status();
        assert!(kill.expect("kill can be run").success());
        let status = up.wait().expect("it ends");
        let log = fs::read_to_string(sandbox.path("up.log")).expect("its log");
        assert!(status.success() && log.contains("stopping while modules are being loaded"), "{status}: {log}");
        wait_until("the compiler is gone", || compilers.iter().all(|id| is_gone(id)));
    }
}

#[test]
fn a_killed_program_leaves_no_compiler() {
    let sandbox = Sandbox::tally("");
    sandbox.write("tally.wasm", slow());
    let mut check = sandbox.command(&["check"]).stderr(Stdio::null()).spawn().expect("the program can be run");
    wait_until("it compiles", || !children(check.id()).is_empty());
    let compilers = children(check.id());
    check.kill().expect("it can be killed");
    check.wait().expect("it ends");
    wait_until("the compiler is gone", || compilers.iter().all(|id| is_gone(id)));
}

#[test]
fn a_running_host_refuses_a_bomb_and_works_and_stops_while_a_reload_compiles() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&["--json"]);
    sandbox.write("aside", bomb());
    fs::rename(sandbox.path("aside"), sandbox.path("tally.wasm")).expect("the file takes its place");
    up.signal("HUP");
    up.wait_for_log("would take too long to compile");
    sandbox.publish("in", &[added(1, "a", 1)]);
    wait_until("it works on", || sandbox.state("tally", "a").as_deref() == Some("1"));
    sandbox.write("tally.wasm", slow());
    up.signal("HUP");
    wait_until("it compiles", || !children(up.pid()).is_empty());
    let compilers = children(up.pid());
    sandbox.publish("in", &[added(2, "a", 1)]);
    wait_until("events run meanwhile", || sandbox.state("tally", "a").as_deref() == Some("2"));
    assert!(!is_gone(&compilers[0]), "it still compiles");
    let summary = up.drain();
    assert_eq!(counts(&summary, "tally")["done"], json!(2), "{summary}");
    wait_until("the compiler is gone", || compilers.iter().all(|id| is_gone(id)));
}

#[test]
fn a_link_that_leaves_the_folder_is_refused_unless_it_is_allowed() {
    let elsewhere = tempfile::TempDir::new().expect("a folder");
    let sandbox = Sandbox::tally("");
    let module = sandbox.path("tally.wasm");
    let real = elsewhere.path().join("tally.wasm");
    fs::rename(&module, sandbox.path("inside.wasm")).expect("it can be moved");
    std::os::unix::fs::symlink("inside.wasm", &module).expect("a link");
    sandbox.run(&["check"]).ok();
    fs::remove_file(&module).expect("the link");
    fs::copy(sandbox.path("inside.wasm"), &real).expect("a copy");
    std::os::unix::fs::symlink(&real, &module).expect("a link");
    sandbox.run(&["check"]).code(4).says("path-escapes").says("outside the configuration's folder");
    let allowed = elsewhere.path().to_str().expect("a name in UTF-8").to_owned();
    sandbox.with_env("REACTOR_MODULE_DIRS", &allowed).run(&["check"]).ok();
}
