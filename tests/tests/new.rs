//! `reactor new`: from an empty folder to a consumer that has run.

use std::fs;
use std::process::Command;

use reactor_tests::{Ran, Sandbox, counts, root};
use serde_json::json;

fn empty() -> Sandbox {
    let sandbox = Sandbox::new("");
    fs::remove_file(sandbox.path("reactors.toml")).expect("the file is there");
    sandbox
}

fn cargo(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    // Shared with the other tests, so that what it depends on is built once.
    let target = root().join("target/new");
    let mut command = Command::new(cargo);
    command.args(args).current_dir(sandbox.path("")).env("CARGO_TARGET_DIR", target).env_remove("RUSTFLAGS");
    command.output().expect("cargo can be run").into()
}

#[test]
fn a_new_consumer_passes_its_test_builds_and_runs() {
    let sandbox = empty();
    sandbox.run(&["new", "greeter"]).ok().says("reactor up --until-idle");
    cargo(&sandbox, &["test", "--manifest-path", "greeter/Cargo.toml"]).ok();
    cargo(&sandbox, &["clippy", "--manifest-path", "greeter/Cargo.toml", "--all-targets", "--", "--deny", "warnings"])
        .ok();
    // Nothing but `up` is needed from here: it builds what is not there.
    sandbox.run(&["--json", "up", "--until-idle"]).ok();
    let shown = sandbox.run(&["--json", "invoke", "greeter", "greeter/event.json"]).ok().json();
    assert_eq!(shown["writes"], json!([{ "key": "ada", "value": 1 }]));
    sandbox.run(&["publish", "events", "greeter/event.json"]).ok();
    let summary = sandbox.run(&["--json", "up", "--until-idle"]).ok().json();
    assert_eq!(counts(&summary, "greeter")["done"], 1, "{summary}");
    assert_eq!(sandbox.state("greeter", "ada").as_deref(), Some("1"));

    // A second one is added to the same file, of which nothing is lost.
    let before = fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.run(&["new", "fare-well", "--on", "parted.*"]).ok();
    let after = fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    assert!(after.starts_with(&before) && after.contains("[reactors.fare-well]\n"), "{after}");
    sandbox.run(&["check"]).code(4).says("run `reactor build fare-well`");
}

#[test]
fn what_is_in_the_way_is_told_and_nothing_is_written() {
    let config = "# mine\n[channels.shop]\nkind = \"local\"\n\n[channels.other]\nkind = \"local\"\n\n\
                  [reactors.there]\nmodule = \"there.wasm\"\nfrom = [\"shop\"]\non = [\"x\"]";
    let sandbox = Sandbox::new(config);
    fs::create_dir(sandbox.path("taken")).expect("a folder");
    for (args, words) in [
        (&["new", "Bad"][..], "cannot be the name of a crate and a reactor"),
        (&["new", "9lives"], "cannot be the name of a crate and a reactor"),
        (&["new", "../out"], "cannot be the name of a crate and a reactor"),
        (&["new", "taken"], "taken already exists"),
        (&["new", "there"], "already has a reactor `there`"),
        (&["new", "fine", "--channel", "shopp"], "has no channel `shopp`; its channels are: other, shop"),
        (&["new", "fine", "--on", "a..b"], "--on a..b"),
        (&["new", "fine", "--sdk", "nowhere"], "nowhere is not the folder of a crate"),
    ] {
        sandbox.run(args).code(2).says(words);
        assert_eq!(fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration"), config);
        assert!(!sandbox.path("fine").exists() && !sandbox.path("there").exists(), "{args:?}");
    }
    sandbox.write("reactors.toml", "[channels.shop]\nkind = \"locale\"\n");
    sandbox.run(&["new", "fine"]).code(3).says("did you mean \"local\"?");
    assert!(!sandbox.path("fine").exists());
    sandbox.write("reactors.toml", config);
    sandbox.run(&["new", "fine", "--channel", "shop"]).ok();
    let after = fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    assert!(after.starts_with(config) && after.contains("from = [\"shop\"]\non = [\"greeted\"]"), "{after}");
}
