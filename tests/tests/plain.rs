//! What comes from outside can neither forge a line of the program nor steer or mislead a terminal.

use reactor_tests::{Ran, Sandbox, guest, mood};
use serde_json::{Value, json};

/// What no output may have, besides control characters: what turns the direction of writing, ends lines or is not seen.
const FORBIDDEN: &str = "\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{61c}\u{180e}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\
    \u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}\u{fff9}\u{fffa}\u{fffb}\u{e0001}\u{e0041}\u{e007f}";

/// Passes as the id or the type of an event, which have no control characters.
fn unseen() -> String {
    format!("ab{FORBIDDEN}\u{2028}forged dead letter 99\u{202e}cd")
}

/// Everything at once.
fn hostile() -> String {
    format!("{}\nforged: line\r\nforged\rforged\u{85}forged\u{b}\u{c}\t\u{1b}[2J\u{9b}31m\u{7}\u{8}\u{7f}\\n", unseen())
}

#[track_caller]
fn assert_plain(text: &str) {
    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || FORBIDDEN.contains(*c));
    assert_eq!(bad, None, "in\n{}", text.escape_debug());
    let forged = text.split('\n').find(|line| line.trim_start().starts_with("forged"));
    assert_eq!(forged, None, "in\n{text}");
}

#[track_caller]
fn plain(ran: Ran) -> Ran {
    assert_plain(&ran.stdout);
    assert_plain(&ran.stderr);
    ran
}

/// A reactor for everything, whose configuration is hostile as far as it may be.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(&format!(
        "[channels.in]\nkind = \"local\"\n[channels.out]\nkind = \"local\"\n\n[reactors.moody]\nmodule = \"moody.wasm\"\n\
         from = [\"in\"]\non = [\"**\", \"{}\"]\nemit = {{ \"**\" = \"out\" }}\nallow = {{ state = true }}\n\
         retry = {{ max-attempts = 2, initial = \"1ms\", max = \"1ms\", jitter = \"none\" }}\n",
        unseen()
    ));
    std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
    sandbox
}

/// Events with hostile ids, types, flows and data, which end well, badly in every way, and are no events at all.
fn events() -> Vec<String> {
    let (unseen, hostile) = (unseen(), hostile());
    let event = |mood: &str| {
        json!({
            "eventId": format!("{mood} {unseen}"), "eventType": unseen, "source": unseen, "correlationId": unseen,
            "subject": unseen, "partitionKey": unseen,
            "data": { "do": mood, "key": hostile, "why": hostile, (hostile.clone()): hostile },
        })
    };
    let mut events: Vec<Value> = ["ok", "reject", "retry", "panic", "emit", "emit-other"].map(event).into();
    events.push(json!({ "eventId": hostile, "eventType": "x", "source": "s", "data": {} }));
    events.push(json!({ "eventId": "x", "eventType": "x", "source": "s", "v": hostile, "time": hostile, "data": {} }));
    let mut lines: Vec<String> = events.iter().map(Value::to_string).collect();
    lines.push(format!("{{\"{unseen}\":1,\"{unseen}\":2}}"));
    lines.push(format!("no JSON {unseen}\u{1b}[2J\rforged"));
    lines
}

#[test]
fn hostile_events_forge_no_line_of_any_command() {
    let sandbox = sandbox();
    let attribute = format!("note{}={}", hostile(), hostile());
    let lines = events();
    let publish = ["publish", "in", "--input", "lines", "--attribute", &attribute];
    plain(sandbox.run_with(&publish, lines.join("\n").as_bytes())).ok().says("it will become a dead letter");
    let up = sandbox.command(&["up", "--until-idle"]).env("RUST_LOG", "debug").output().expect("it can be run");
    let up = plain(up.into()).ok();
    for part in ["in the mood for", "\\u{202e}cd\\nforged: line\\r\\nforged"] {
        assert!(up.stderr.contains(part), "{part} is not in\n{}", up.stderr);
    }

    let letters = sandbox.dead(&[]);
    assert!(letters.len() >= 6, "{letters:?}");
    plain(sandbox.run(&["dead", "list"])).ok();
    for letter in &letters {
        let id = letter["id"].to_string();
        let shown = plain(sandbox.run(&["dead", "show", &id])).ok().stdout;
        assert!(shown.contains("\\nforged: line\\r\\nforged\\rforged\\u{85}forged"), "the attribute:\n{shown}");
        assert!(shown.contains("\\u{202e}cd") && shown.contains("\\\\n"), "{shown}");
        let json = plain(sandbox.run(&["--json", "dead", "show", &id])).ok().json();
        assert_eq!(json, *letter);
        assert!(lines.iter().any(|line| json["message"]["body"] == **line), "exactly as it was: {json}");
    }
    plain(sandbox.run(&["log", "tail", "-n", "100"])).ok();
    plain(sandbox.run(&["--json", "log", "tail", "-n", "100"])).ok();
    for mood in ["ok", "reject", "retry", "panic"] {
        let shown = plain(sandbox.run(&["log", "show", &format!("{mood} {}", unseen())])).ok().stdout;
        assert!(shown.contains("correlation  ab\\u{200b}") && shown.contains("\\u202ecd"), "{shown}");
    }
    plain(sandbox.run(&["log", "show", "in/9"])).ok();
    for line in &lines {
        plain(sandbox.run_with(&["invoke", "moody", "--attribute", &attribute], line.as_bytes()));
        plain(sandbox.run_with(&["invoke", "moody", "--state", &format!("{}=x", hostile())], line.as_bytes()));
        plain(sandbox.run_with(&["--json", "invoke", "moody", "--log", "json"], line.as_bytes()));
    }
}

#[test]
fn an_error_of_several_lines_stands_behind_a_margin() {
    let sandbox = Sandbox::moody("");
    let why = "first\n\nattempt 2 at 2026-01-01T00:00:00Z: done\n  | \\";
    sandbox.publish("in", &[mood("a", &json!({ "do": "reject", "why": why }))]);
    let up = sandbox.run(&["up", "--until-idle"]).ok();
    let said = "first\\n\\nattempt 2 at 2026-01-01T00:00:00Z: done\\n  | \\\\";
    assert!(up.stderr.lines().any(|line| line.contains(said)), "{}", up.stderr);
    let shown = sandbox.run(&["dead", "show", "1"]).ok().stdout;
    let margin = "  | first\n  | \n  | attempt 2 at 2026-01-01T00:00:00Z: done\n  |   | \\\\\n";
    assert!(shown.contains(margin), "{shown}");
    assert!(!shown.lines().any(|line| line.starts_with("attempt 2")), "{shown}");
}

#[test]
fn hostile_names_and_arguments_forge_no_line() {
    let sandbox = sandbox();
    let hostile = hostile();
    for command in [&["check"][..], &["graph"], &["graph", "--dot"], &["--json", "graph"], &["up", "--until-idle"]] {
        let told = plain(sandbox.run(command)).ok().stdout;
        assert!(told.contains("forged dead letter 99"), "the pattern is shown:\n{told}");
    }
    sandbox.write("event.json", "{}");
    for command in [
        &["check", "--config", &hostile][..],
        &["publish", &hostile],
        &["publish", "in", &hostile],
        &["publish", "in", "--attribute", &hostile],
        &["invoke", &hostile, "event.json"],
        &["invoke", "moody", &hostile],
        &["invoke", "moody", "event.json", "--channel", &hostile],
        &["build", &hostile],
        &["dead", "list", "--reactor", &hostile],
        &["dead", "list", "--since", &hostile],
        &["dead", "show", &hostile],
        &["dead", "redrive", "--from", &hostile],
        &["log", "show", &hostile],
        &["log", "tail", &hostile],
        &["log", "tail", "--type", &hostile],
        &["explain", &hostile],
        &["new", &hostile],
        &["new", "fine", "--on", &hostile],
        &["new", "fine", "--sdk", &hostile],
        &["bench", "moody", &hostile],
        &["--data-dir", "event.json/x", "publish", "in"],
        &["up", "--otlp", &hostile],
        &[&hostile],
        &["check", &hostile],
    ] {
        let told = plain(sandbox.run(command));
        assert!(told.code != 0 && !told.stderr.is_empty(), "{command:?}: {told:?}");
    }
}

#[test]
fn a_hostile_configuration_forges_no_line() {
    let unseen = unseen();
    for config in [
        format!("[channels.in]\nkind = \"{unseen}\\nforged\\u001b[2J\" # {unseen}\u{200d}\u{feff}\n"),
        format!("[channels.in]\nkind = \"local\"\n\"{unseen}\" = 1 # \u{2066}\n"),
        format!("[channels.\"{unseen}\\nforged\"]\nkind = \"local\"\n"),
        format!("[channels.in]\nkind = \"local\u{1b}[2J\rforged\"\n# {unseen}\n"),
        format!(
            "# {unseen}\n[channels.in]\nkind = \"local\"\n[reactors.a]\nmodule = \"{unseen}\\n\"\nfrom = [\"in\"]\non = [\"a\\nb\", \"{unseen}*\"]\n"
        ),
        format!(
            "[channels.in]\nkind = \"local\"\n[reactors.a]\nmodule = \"a.wasm\"\nbuild = \"echo '{unseen}' >/dev/null; false\"\nfrom = [\"in\"]\non = [\"**\"]\n"
        ),
    ] {
        let sandbox = Sandbox::new(&config);
        for command in [&["check"][..], &["--json", "check"], &["check", "--color", "never"], &["build"]] {
            let told = plain(sandbox.run(command));
            assert_ne!(told.code, 0, "{command:?} {config}: {told:?}");
        }
    }
}

#[test]
fn what_a_reload_refuses_stands_behind_a_margin() {
    let sandbox = Sandbox::tally("");
    for format in ["text", "json"] {
        let up = sandbox.up(&["--log", format]);
        let before = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
        sandbox.write("reactors.toml", format!("{before}\n[channels.\"{}\\nforged\"]\nkind = \"local\"\n", unseen()));
        up.signal("HUP");
        up.wait_for_log("new configuration rejected; still running the previous one:");
        // The line is written at once, but may be read in the middle.
        up.wait_for_log("forged dead letter 99");
        sandbox.write("reactors.toml", before);
        up.signal("TERM");
        let log = up.log();
        assert_plain(&log);
        if format == "text" {
            assert!(
                log.contains("running the previous one:\n  | error[") && log.contains("\n  |   --> reactors.toml:"),
                "{log}"
            );
        } else {
            let told = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
            assert!(told.into_iter().any(|line| line["diagnostics"].is_string()), "{log}");
        }
        assert!(up.wait().success());
    }
}
