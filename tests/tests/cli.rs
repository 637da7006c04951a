//! What the program says, and with which exit code it ends, when something is wrong.

use std::process::Command;

use reactor_tests::fake_sqs::FakeSqs;
use reactor_tests::{Sandbox, added, counts, guest, program};
use serde_json::{Value, json};

const LOCAL: &str = "[channels.in]\nkind = \"local\"\n";

#[test]
fn no_configuration() {
    let sandbox = Sandbox::new(LOCAL);
    sandbox.run(&["check", "--config", "other.toml"]).code(3).says("other.toml");
    sandbox.run(&["publish", "in", "--config", "nowhere/other.toml"]).code(3).says("nowhere/other.toml");
}

#[test]
fn a_configuration_may_be_a_pipe_and_one_that_nothing_writes_to_is_an_error() {
    let sandbox = Sandbox::new(LOCAL);
    let made = Command::new("mkfifo").arg(sandbox.path("silent.toml")).status().expect("mkfifo can be run");
    assert!(made.success());
    sandbox.run(&["check", "--config", "silent.toml"]).code(3).says("silent.toml is a pipe").says("give a file");
    let piped = format!("cat reactors.toml | '{}' check --config /dev/stdin", program().display());
    let told = Command::new("sh").args(["-c", &piped]).current_dir(sandbox.path("")).output().expect("sh can be run");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    sandbox.run(&["check", "--config", "/dev/zero"]).code(3).says("larger than 1MiB");
}

#[test]
fn every_error_of_a_configuration_at_once() {
    let sandbox = Sandbox::new("[channels.in]\nkind = \"locl\"\nretenton = \"1d\"\n\n[reactors.a]\nfrom = [\"out\"]\n");
    let told = sandbox.run(&["check"]).code(3);
    assert_eq!(told.stdout, "");
    for text in ["reactors.toml:2", "locl", "^", "did you mean", "retenton", "`module`", "`on`"] {
        assert!(told.stderr.contains(text), "`{text}` is not in:\n{}", told.stderr);
    }
    let told = sandbox.run(&["check", "--json"]).code(3);
    let problems: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert!(problems.to_string().contains("locl"), "{problems}");
}

#[test]
fn codes_are_explained() {
    let sandbox = Sandbox::new("[channels.in]\nkind = \"local\"\nretenton = \"1d\"\n");
    sandbox.run(&["check"]).code(3).says("error[unknown-key]").says("`reactor explain CODE` explains");
    // The configuration is wrong, and is not looked at.
    let told = sandbox.run(&["explain", "unknown-key"]).ok();
    assert!(told.stdout.starts_with("# unknown-key: "), "{}", told.stdout);
    let told = sandbox.run(&["explain", "unknown-key", "--json"]).ok();
    let page: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((&page["code"], page["text"].as_str().is_some()), (&json!("unknown-key"), true), "{page}");
    sandbox.run(&["explain", "retry-exhausted"]).code(2).says("did you mean `retries-exhausted`?");
    let list = sandbox.run(&["explain"]).ok().stdout;
    let all: Value = serde_json::from_str(&sandbox.run(&["explain", "--json"]).ok().stdout).expect("JSON");
    assert!(
        list.lines().count() >= 60 && all["codes"].as_array().map(Vec::len) == Some(list.lines().count()),
        "{list}"
    );
    assert!(list.lines().any(|line| line.starts_with("trap ")), "{list}");
}

#[test]
fn the_schema_is_that_of_the_documentation() {
    let sandbox = Sandbox::new("not even TOML");
    let printed = sandbox.run(&["schema"]).ok().stdout;
    let committed = reactor_tests::root().join("docs/reactors.schema.json");
    assert_eq!(printed, std::fs::read_to_string(committed).expect("the schema"));
}

#[test]
fn a_configuration_that_is_no_toml() {
    let sandbox = Sandbox::new("[channels.in\nkind = 1");
    sandbox.run(&["up"]).code(3).says("reactors.toml:1").says("^");
    sandbox.write("reactors.toml", b"\xff\xfe\x00");
    sandbox.run(&["up"]).code(3).says("UTF-8");
}

#[test]
fn a_channel_that_is_not_there() {
    let sandbox = Sandbox::new("[channels.orders]\nkind = \"local\"\n");
    sandbox.run_with(&["publish", "order"], b"{}").code(2).says("did you mean `orders`?");
}

#[test]
fn a_queue_that_is_not_there() {
    let aws = FakeSqs::start();
    let sandbox =
        Sandbox::new("[channels.in]\nkind = \"sqs\"\nqueue = \"orders\"\n").with_env("AWS_ENDPOINT_URL", &aws.url());
    let event = br#"{"eventId":"e1","eventType":"t","source":"s","data":1}"#;
    sandbox.run_with(&["publish", "in"], event).code(1).says("`orders`").says("create it, or set `create = true`");
    aws.create("orders");
    let published = sandbox.run_with(&["publish", "in"], event).ok();
    assert_eq!(published.stdout, "1 message accepted by `in`, 0 rejected\n");
    assert_eq!(aws.queue("orders").counts().visible, 1);
}

#[test]
fn a_module_that_is_missing_or_broken() {
    let sandbox = Sandbox::tally("");
    let good = std::fs::read(sandbox.path("tally.wasm")).expect("the module");
    std::fs::remove_file(sandbox.path("tally.wasm")).expect("it can be removed");
    for command in ["check", "up"] {
        sandbox.run(&[command]).code(4).says("tally.wasm does not exist").says("reactors.toml:5");
    }
    sandbox.write("tally.wasm", "this is no module");
    sandbox.run(&["check"]).code(4).says("is not WebAssembly");
    sandbox.write("tally.wasm", "");
    sandbox.run(&["check"]).code(4).says("is empty");
    sandbox.write("tally.wasm", &good[..good.len() / 2]);
    sandbox.run(&["check"]).code(4).says("is not a valid module");
    sandbox.run(&["up", "--until-idle"]).code(4);
    sandbox.write("tally.wasm", good);
    sandbox.run(&["check"]).ok();
}

#[test]
fn an_import_that_is_not_granted() {
    let sandbox = Sandbox::new(&format!(
        "{LOCAL}\n[reactors.tally]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\non = [\"added\"]\n"
    ));
    std::fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    let told = sandbox.run(&["check"]).code(4).says("not granted").says("allow = { state = true }");
    assert!(told.stderr.contains("reactor:guest/state"), "{}", told.stderr);
}

#[test]
fn check_says_what_there_is() {
    let sandbox = Sandbox::tally("");
    let told = sandbox.run(&["check"]).ok();
    assert!(told.stdout.contains("tally") && told.stdout.contains("ok: 1 channels, 1 reactors"), "{}", told.stdout);
    let checked = sandbox.run(&["check", "--json"]).ok().json();
    assert_eq!(checked["ok"], true);
    assert_eq!(checked["reactors"][0]["name"], "tally");
    assert!(checked["reactors"][0]["imports"].to_string().contains("reactor:guest/state"), "{checked}");
    assert!(!sandbox.path(".reactor/reactor.db").exists(), "check has made a store");
}

#[test]
fn a_store_that_another_host_runs() {
    let sandbox = Sandbox::tally("");
    let up = sandbox.up(&[]);
    sandbox.run(&["up"]).code(5).says(&format!("(process {})", up.pid()));
    assert!(up.terminate().success());
    sandbox.run(&["up", "--until-idle"]).ok();
}

#[test]
fn a_data_directory_that_holds_something_else() {
    let sandbox = Sandbox::new(LOCAL);
    std::fs::create_dir(sandbox.path(".reactor")).expect("a folder");
    sandbox.write(".reactor/reactor.db", "my diary, which must not be lost");
    sandbox.run(&["up", "--until-idle"]).code(5).says("reactor.db");
    sandbox.run_with(&["publish", "in"], b"{}").code(5).says("reactor.db");
    let kept = std::fs::read_to_string(sandbox.path(".reactor/reactor.db")).expect("the file");
    assert_eq!(kept, "my diary, which must not be lost");

    std::fs::remove_file(sandbox.path(".reactor/reactor.db")).expect("it can be removed");
    sandbox.store().execute_batch("CREATE TABLE diary (day); INSERT INTO diary VALUES (1);").expect("a database");
    sandbox.run(&["up", "--until-idle"]).code(5).says("is not a Reactor data directory");
    let days: u32 = sandbox.store().query_row("SELECT count(*) FROM diary", [], |row| row.get(0)).expect("its table");
    assert_eq!(days, 1);

    sandbox.write("file", "");
    sandbox.run(&["up", "--until-idle", "--data-dir", "file"]).code(5).says("file");
}

#[test]
fn a_store_of_a_newer_version() {
    let sandbox = Sandbox::new(LOCAL);
    sandbox.run(&["up", "--until-idle"]).ok();
    sandbox.store().execute_batch("PRAGMA user_version = 99").expect("a pragma");
    sandbox.run(&["up", "--until-idle"]).code(5).says("newer Reactor (store version 99").says("upgrade");
    sandbox.run_with(&["publish", "in"], b"{}").code(5).says("newer");
}

#[test]
fn a_line_that_is_too_long_and_lines_that_are_no_events() {
    let sandbox = Sandbox::tally("");
    let long = added(1, &"x".repeat(256 << 10), 1);
    let lines = [&added(0, "a", 1), &long, "not JSON", "{\"no\":\"type\"}", "", &added(2, "a", 2)].join("\n");
    let told = sandbox.run_with(&["--json", "publish", "in", "-"], lines.as_bytes()).code(6);
    let told = told.says("line 2: rejected").says("line 3: accepted, but").says("line 4: accepted, but");
    assert_eq!(
        told.json(),
        json!({ "channel": "in", "accepted": 4, "refused": 1, "undecodable": 2, "duplicates": 0, "firstOffset": 1, "lastOffset": 4 })
    );
    let summary = sandbox.until_idle();
    assert_eq!(summary["invalid"], 2);
    assert_eq!(counts(&summary, "tally")["done"], 2);
    let mut bodies: Vec<_> =
        sandbox.dead(&["--reason", "invalid-event"]).iter().map(|d| d["message"].clone()).collect();
    bodies.reverse();
    assert_eq!(bodies, [json!({ "body": "not JSON" }), json!({ "body": "{\"no\":\"type\"}" })]);
}

#[test]
fn input_of_every_shape() {
    let sandbox = Sandbox::tally("");
    let publish = |input: &[u8]| sandbox.run_with(&["publish", "in", "--json"], input).ok().json();
    assert_eq!(publish(b"")["accepted"], 0);
    assert_eq!(publish(b"\n \n\n")["accepted"], 0);
    let event: Value = serde_json::from_str(&added(1, "a", 5)).expect("JSON");
    assert_eq!(publish(format!("{event:#}").as_bytes())["accepted"], 1, "one document over many lines");
    assert_eq!(publish(format!("{}\r\n{}\r\n", added(2, "a", 6), added(3, "a", 7)).as_bytes())["accepted"], 2);
    sandbox.write("events.jsonl", added(4, "a", 8));
    assert_eq!(sandbox.run(&["publish", "in", "events.jsonl", "--json"]).ok().json()["accepted"], 1);
    assert_eq!(counts(&sandbox.until_idle(), "tally")["done"], 4);
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("26"));
    sandbox.run(&["publish", "in", "missing.jsonl"]).code(1).says("missing.jsonl");
    sandbox.run(&["publish", "in", "."]).code(2).says("is a folder");
}

#[test]
fn a_file_of_events_may_be_a_pipe_and_one_that_nothing_writes_to_is_an_error() {
    let sandbox = Sandbox::tally("");
    let made = Command::new("mkfifo").arg(sandbox.path("events")).status().expect("mkfifo can be run");
    assert!(made.success());
    for command in [&["publish", "in", "events"][..], &["invoke", "tally", "events"], &["bench", "tally", "events"]] {
        sandbox.run(command).code(1).says("events is a pipe, and nothing was written to it");
    }
    let path = sandbox.path("events");
    let line = format!("{}\n", added(1, "a", 5));
    let mut reader = sandbox.command(&["--json", "publish", "in", "events"]);
    let reader = reader.stdout(std::process::Stdio::piped()).spawn().expect("the program can be run");
    std::fs::write(path, line).expect("a pipe that is read");
    let told = reactor_tests::Ran::from(reader.wait_with_output().expect("it ends")).ok();
    assert_eq!(told.json()["accepted"], 1);
}

#[test]
fn input_in_which_nothing_is_an_event_is_told_by_the_exit_code() {
    let sandbox = Sandbox::tally("");
    sandbox
        .run_with(&["publish", "in"], b"{\"a\":1}\n{\"a\":2}\n")
        .code(6)
        .says("line 2: accepted")
        .says("can be decoded as an event");
    sandbox
        .run_with(&["publish", "in"], format!("{{\n{}\n", added(1, "a", 1)).as_bytes())
        .ok()
        .says("line 1: accepted");
    let long = format!("{{\n \"a\": \"{}\"\n}}\n", "x".repeat(300 << 10));
    sandbox
        .run_with(&["publish", "in"], long.as_bytes())
        .code(6)
        .says("the input as a whole: rejected")
        .says("--input lines");
    sandbox.run_with(&["publish", "in"], b"{\n \"a\":\n").code(6).says("the input as a whole: accepted");
    assert_eq!(counts(&sandbox.until_idle(), "tally")["done"], 1);
}

#[test]
fn hostile_bodies_end_as_dead_letters() {
    let sandbox = Sandbox::tally("");
    sandbox.write(
        "reactors.toml",
        std::fs::read_to_string(sandbox.path("reactors.toml"))
            .expect("the configuration")
            .replace("kind = \"local\"", "kind = \"local\"\nmax-event = \"1000KiB\""),
    );
    let deep = "[".repeat(1_000_000);
    let nested = format!(
        "{{\"eventId\":\"n\",\"eventType\":\"added\",\"source\":\"t\",\"data\":{}{}}}",
        &deep[..400_000],
        "]".repeat(400_000)
    );
    let hostile: [&[u8]; 5] =
        [deep.as_bytes(), nested.as_bytes(), b"\x00\xff\xfe\x80garbage\x00", b"\"\\ud800\"", b"null"];
    for body in hostile {
        sandbox.run_with(&["publish", "in", "--input", "whole"], body).code(6).says("accepted, but");
    }
    sandbox.run_with(&["publish", "in"], added(1, "a", 1).as_bytes()).ok();
    let summary = sandbox.until_idle();
    assert_eq!(summary["invalid"], hostile.len());
    assert_eq!(counts(&summary, "tally")["done"], 1);
    let dead = sandbox.dead(&[]);
    assert_eq!(dead.len(), hostile.len());
    // Newest first: the binary one is the third of five, and is kept as it was.
    assert_eq!(dead[2]["message"], json!({ "bodyBase64": "AP/+gGdhcmJhZ2UA" }));
    sandbox.run(&["dead", "show", &dead[2]["id"].to_string()]).ok();
}

#[test]
fn dead_letters_that_are_not_there() {
    let sandbox = Sandbox::tally("");
    sandbox.run(&["dead", "show", "7"]).code(1).says("no dead letter 7");
    sandbox.run(&["dead", "drop"]).code(2).says("choose dead letters by");
    sandbox.run(&["dead", "list", "--reactor", "other"]).code(2).says("`other`");
    sandbox.run(&["dead", "list", "--since", "soon"]).code(2).says("soon");
    sandbox.run(&["dead", "drop", "--all"]).ok();
}
