//! What variables of the configuration stand for is shown nowhere: a canary is in every text of a configuration, and no
//! command prints one, whatever goes wrong.

use std::process::Command;

use reactor_tests::fake_sqs::FakeSqs;
use reactor_tests::http::request;
use reactor_tests::{Ran, Sandbox, guest, mood};
use serde_json::json;

/// In every value, and in no name.
const CANARY: &str = "canary";

const LOCAL: &str = r#"
[runtime]
data-dir = "${V_DATA}/store"
admin = "127.0.0.1:0"

[channels.in]
kind = "local"
identity = "/data/${V_IDENTITY}"

[channels.raw]
kind = "local"
format = { raw = { type = "${V_TYPE}", source = "${V_SOURCE}", id = { attribute = "${V_ATTRIBUTE}" } } }

[channels.typed]
kind = "local"
format = { raw = { type = "${V_TYPE}", source = "${V_SOURCE}" } }

[channels.pointed]
kind = "local"
format = { raw = { type = { pointer = "/${V_POINTER}" } } }

[channels.queue]
kind = "sqs"
queue = "https://sqs.example.com/0/${V_QUEUE}"

[channels.topic]
kind = "sns"
topic = "arn:aws:sns:us-east-1:000000000000:${V_TOPIC}"

[reactors.moody]
module = "${V_MODULE}/moody.wasm"
build = "echo built by '${V_BUILD}'; \"${V_BUILD}\" ${V_BUILD}; test -n \"${V_BUILD}\" && exit 3"
from = ["in", "raw", "typed", "pointed"]
on = ["mood", "${V_TYPE}", "${V_ON}.**"]
order-by = "/data/${V_KEY}"
emit = { mood = "in" }
allow = { state = true, http = ["https://${V_HOST}.example.com"] }
config = { token = "${V_TOKEN}", deep = { list = ["${V_DEEP}"] } }
retry = { max-attempts = 2, initial = "1ms" }
dedup = { key = "/data/${V_DEDUP}" }

[reactors.moody.when]
"/data/a" = [{ exists = false }, "${V_EQUAL}", { prefix = "${V_PREFIX}" }, { anything-but = "${V_NOT}" }]
"#;

/// The configuration, with a canary in each of its variables.
fn with_canaries(config: &str) -> Sandbox {
    let mut sandbox = Sandbox::new(config);
    for variable in config.split("${").skip(1).filter_map(|rest| rest.split_once('}')) {
        let value = format!("{CANARY}-{}", variable.0.trim_start_matches("V_").to_ascii_lowercase());
        sandbox = sandbox.with_env(variable.0, &value);
    }
    sandbox
}

/// Nothing of it has a canary.
#[track_caller]
fn silent(args: &[&str], ran: Ran) -> Ran {
    for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        assert!(!text.to_lowercase().contains(CANARY), "{args:?} shows a value on {name}:\n{text}");
    }
    ran
}

#[track_caller]
fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    silent(args, sandbox.run(args))
}

#[test]
fn nothing_is_shown_while_modules_are_missing() {
    let sandbox = with_canaries(LOCAL);
    for args in [&["graph"][..], &["graph", "--dot"], &["graph", "--json"]] {
        run(&sandbox, args).ok();
    }
    let graph = run(&sandbox, &["graph", "--dot"]).ok();
    assert!(graph.stdout.contains("sqs https://sqs.example.com/0/${V_QUEUE}"), "{}", graph.stdout);
    assert!(graph.stdout.contains("mood, ${V_TYPE}, ${V_ON}.**"), "{}", graph.stdout);
    run(&sandbox, &["check"]).code(4).says("/${V_MODULE}/moody.wasm does not exist");
    run(&sandbox, &["check", "--json"]).code(4);
    sandbox.write("event.json", mood("e", &json!({ "do": "ok" })));
    run(&sandbox, &["invoke", "moody", "event.json"]).code(4);
    for args in [&["build"][..], &["up", "--until-idle"], &["--json", "up"]] {
        let ran = run(&sandbox, args).code(4).says("failed (exit status: 3)");
        // The command as written, and what it printed with the value hidden.
        let ran = ran.says("moody: echo built by '${V_BUILD}';").says("built by ${V_BUILD}");
        assert!(ran.stderr.contains("${V_BUILD}: not found") || ran.stderr.contains("${V_BUILD}: command not found"));
    }
    sandbox.write("reactors.toml", LOCAL.replace("build = ", "# build = "));
    run(&sandbox, &["build"]).code(4).says("${V_MODULE}/moody.wasm does not exist");
}

#[test]
fn nothing_is_shown_of_what_ran() {
    let sandbox = with_canaries(LOCAL);
    std::fs::create_dir(sandbox.path("canary-module")).expect("a folder");
    let module = sandbox.path("canary-module/moody.wasm");
    std::fs::write(&module, "this is no module").expect("a file");
    run(&sandbox, &["check"]).code(4).says("moody.wasm is not WebAssembly");
    std::fs::copy(guest("guest-moody"), module).expect("the module can be copied");
    run(&sandbox, &["log", "tail"]).code(5).says("/${V_DATA}/store");
    run(&sandbox, &["check"]).ok();
    run(&sandbox, &["check", "--json"]).ok();
    for (n, wish) in ["ok", "retry", "reject", "panic", "emit-other"].iter().enumerate() {
        let event = mood(&format!("e{n}"), &json!({ "do": wish, "n": n }));
        sandbox.write("event.json", &event);
        run(&sandbox, &["invoke", "moody", "event.json"]);
        run(&sandbox, &["publish", "in", "event.json"]).ok();
    }
    sandbox.write("raw.json", r#"{"do":"reject"}"#);
    // Without the attribute, or the member, that the format names.
    for channel in ["raw", "pointed"] {
        run(&sandbox, &["publish", channel, "raw.json"]).code(6);
        run(&sandbox, &["invoke", "moody", "raw.json", "--channel", channel]).code(1).says("missing-field");
    }
    run(&sandbox, &["publish", "typed", "raw.json"]).ok();
    let up = sandbox.up(&["--log", "json"]);
    up.wait_for_log("serving metrics and health");
    let log = up.log();
    let address = log.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    for path in ["/metrics", "/healthz", "/readyz"] {
        let (_, text) = request(address, "GET", path, &[]);
        assert!(!text.contains(CANARY), "{path}: {text}");
    }
    assert!(up.terminate().success());
    let log = std::fs::read_to_string(sandbox.path("up.log")).expect("a log");
    assert!(!log.contains(CANARY), "{log}");
    for args in [
        &["up", "--until-idle"][..],
        &["--json", "up", "--until-idle"],
        &["log", "tail"],
        &["log", "tail", "--json"],
        &["log", "show", "in/1"],
        &["log", "show", "raw/1", "--json"],
        &["dead", "list"],
        &["dead", "list", "--json"],
    ] {
        run(&sandbox, args).ok();
    }
    let shown = run(&sandbox, &["log", "show", "typed/1"]).ok();
    assert!(shown.stdout.contains("${V_TYPE}") && shown.stdout.contains("${V_SOURCE}"), "{}", shown.stdout);
    let letters = sandbox.dead(&[]);
    assert_eq!(letters.len(), 7, "{letters:?}");
    for letter in &letters {
        run(&sandbox, &["dead", "show", &letter["id"].to_string()]).ok();
        run(&sandbox, &["dead", "show", "--json", &letter["id"].to_string()]).ok();
        run(&sandbox, &["dead", "list", &letter["id"].to_string()]).ok();
        run(&sandbox, &["dead", "list", "--json", &letter["id"].to_string()]).ok();
    }
    run(&sandbox, &["dead", "redrive", "--all"]).ok();
    run(&sandbox, &["dead", "drop", "--all"]).ok();
}

#[test]
fn nothing_is_shown_of_a_data_directory_that_cannot_be_used() {
    let sandbox = with_canaries(LOCAL);
    std::fs::create_dir(sandbox.path("canary-data")).expect("a folder");
    sandbox.write("canary-data/store", "a file");
    sandbox.write("event.json", mood("e", &json!({ "do": "ok" })));
    run(&sandbox, &["publish", "in", "event.json"]).code(5).says("/${V_DATA}/store is a file");
    run(&sandbox, &["dead", "list"]).code(5);
    std::fs::remove_file(sandbox.path("canary-data/store")).expect("it can be removed");
    std::fs::create_dir(sandbox.path("canary-data/store")).expect("a folder");
    sandbox.write("canary-data/store/reactor.db", "this is no database, however long it is".repeat(100));
    run(&sandbox, &["publish", "in", "event.json"]).code(5);
}

const REMOTE: &str = r#"
[channels.in]
kind = "sqs"
queue = "${V_QUEUE}"

[channels.url]
kind = "sqs"
queue = "http://127.0.0.1:1/000000000000/${V_URL}"

[channels.made]
kind = "sqs"
queue = "${V_MADE}"
create = true

[channels.topic]
kind = "sns"
topic = "${V_TOPIC}"
queue = "${V_INBOX}"

[channels.arn]
kind = "sns"
topic = "arn:aws:sns:us-east-1:000000000000:${V_ARN}"
queue = "${V_INBOX}.fifo"

[reactors.moody]
module = "moody.wasm"
from = ["in", "url", "made", "topic", "arn"]
on = ["mood", "${V_ON}"]
emit = { mood = "in" }
allow = { state = true }
"#;

/// Publishing to a queue that is not there is tried for a while, so everything here runs at once.
#[test]
fn nothing_is_shown_of_queues_that_are_not_there() {
    let aws = FakeSqs::start();
    std::thread::scope(|scope| {
        for place in [aws.url(), "http://127.0.0.1:1".to_owned()] {
            scope.spawn(move || nothing_is_shown_at(&place));
        }
    });
}

fn nothing_is_shown_at(place: &str) {
    let sandbox = with_canaries(REMOTE).with_env("AWS_ENDPOINT_URL", place);
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    let found = run(&sandbox, &["check", "--connect"]).code(1).stdout;
    assert!(found.contains("${V_QUEUE}"), "{found}");
    run(&sandbox, &["check", "--connect", "--json"]).code(1);
    sandbox.write("event.json", mood("e", &json!({ "do": "ok" })));
    let sandbox = &sandbox;
    std::thread::scope(|scope| {
        for channel in ["in", "url", "topic", "arn"] {
            scope.spawn(move || run(sandbox, &["publish", channel, "event.json"]).code(1));
        }
    });
    run(sandbox, &["dead", "redrive", "--from", "in"]).code(1).says("queue `${V_QUEUE}`");
    let up = sandbox.up(&[]);
    up.wait_for_log("queue `${V_QUEUE}`");
    up.wait_for_log("${V_URL}");
    up.wait_for_log("${V_MADE}");
    assert!(up.terminate().success());
    let log = std::fs::read_to_string(sandbox.path("up.log")).expect("a log");
    assert!(!log.contains(CANARY), "{log}");
}

/// Whatever a value is, it is an argument of the command and nothing more.
#[test]
fn a_value_does_not_become_a_part_of_a_build_command() {
    for value in [
        "x; touch forged",
        "$(touch forged)",
        "`touch forged`",
        "' ; touch forged; '",
        "\" ; touch forged; \"",
        "a\ntouch forged",
    ] {
        let sandbox = Sandbox::new(
            "[channels.in]\nkind = \"local\"\n[reactors.r]\nmodule = \"r.wasm\"\nfrom = \"in\"\non = \"a\"\n\
             build = '''printf %s \"${VALUE}\" > quoted; printf %s '${VALUE}' > single; printf %s ${VALUE} > bare\n\
             printf %s $$VALUE > own; tr '\\0' '\\n' < /proc/$$$$/cmdline > self'''\n",
        );
        let sandbox = sandbox.with_env("VALUE", value);
        sandbox.run(&["build"]).ok();
        let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).expect("a file");
        assert_eq!([read("quoted"), read("single")], [value, value]);
        assert!(!read("bare").is_empty());
        assert!(!sandbox.path("forged").exists(), "{value} was run");
        assert!(!read("self").contains(value), "the list of processes has it: {}", read("self"));
    }
}

/// The shell's own rules hold for a value without quotes around it, and a default is what the file says.
#[test]
fn build_commands_work_as_they_did() {
    let sandbox = Sandbox::new(
        "[channels.in]\nkind = \"local\"\n[reactors.r]\nmodule = \"r.wasm\"\nfrom = \"in\"\non = \"a\"\n\
         build = '''printf '<%s>' ${FLAGS} \"${DIR:-../../target}/x\" ${DIR:-other} $$(( ${COUNT} + 1 )) > out; env > env'''\n",
    );
    let sandbox = sandbox.with_env("FLAGS", "--release  --locked").with_env("COUNT", "41");
    let ran = sandbox.run(&["build"]).ok();
    assert!(
        ran.stderr.contains("r: printf '<%s>' ${FLAGS} \"${DIR:-../../target}/x\" ${DIR:-other} $$(("),
        "{}",
        ran.stderr
    );
    let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).expect("a file");
    assert_eq!(read("out"), "<--release><--locked><../../target/x><other><42>");
    assert!(!read("env").lines().any(|line| line.starts_with("DIR=")), "a default is not set for what is run");
}

/// It holds the pipe through which a command with variables prints.
#[test]
fn what_a_build_leaves_running_does_not_keep_it() {
    let sandbox = Sandbox::new(
        "[channels.in]\nkind = \"local\"\n[reactors.r]\nmodule = \"r.wasm\"\nfrom = \"in\"\non = \"a\"\n\
         build = \"sleep 600 & echo $$! > pid; echo nearly '${WORD}'\"\n",
    );
    let sandbox = sandbox.with_env("WORD", "canary-word");
    run(&sandbox, &["build"]).ok().says("nearly ${WORD}");
    let pid = std::fs::read_to_string(sandbox.path("pid")).expect("its number");
    let killed = Command::new("kill").arg(pid.trim()).status().expect("kill can be run");
    assert!(killed.success(), "it ran on");
}
