//! What people filter on and how they write it (`tests/field`), and what the program says and does.

use std::fs;

use reactor_tests::fake_sqs::FakeSqs;
use reactor_tests::{Sandbox, added, counts, field_text, guest};
use serde_json::json;

/// Runs a configuration from the field on its events; answers with the ids of those that reached its reactor.
fn reached(name: &str) -> Vec<String> {
    let sandbox = Sandbox::seen(&(field_text(&format!("filter/{name}.toml")) + "allow = { state = true }\n"));
    sandbox.run_with(&["publish", "in"], field_text(&format!("filter/{name}.jsonl")).as_bytes()).ok();
    let summary = sandbox.until_idle();
    let seen = sandbox.given("seen");
    let ids: Vec<String> = seen.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(counts(&summary, "seen")["delivered"], json!(ids.len()), "{summary}");
    ids
}

#[test]
fn ids_of_sixty_four_bits_are_told_apart() {
    assert_eq!(reached("sixty-four-bit-ids"), ["1"]);
}

#[test]
fn anything_but_a_prefix_is_understood() {
    assert_eq!(reached("anything-but-prefix"), ["2"]);
}

#[test]
fn what_is_odd_is_told_by_check_and_up_only() {
    let sandbox = Sandbox::new(
        "[channels.in]\nkind = \"local\"\n\n[reactors.tally]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\n\
         on = [\"added\", \"added.#\"]\nallow = { state = true }\n",
    );
    fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    let says = "warning[foreign-pattern]";
    sandbox.run(&["check"]).ok().says(says).says("write \"added.**\" instead");
    let event = added(0, "a", 1);
    sandbox.write("event.json", &event);
    for quiet in [
        &["publish", "in", "event.json"][..],
        &["log", "tail"],
        &["log", "show", "e0"],
        &["dead", "list"],
        &["graph"],
        &["invoke", "tally", "event.json"],
    ] {
        let ran = sandbox.run(quiet).ok();
        assert!(!ran.stderr.contains("warning["), "{quiet:?}: {}", ran.stderr);
    }
    sandbox.run(&["up", "--until-idle"]).ok().says(says);
}

#[test]
fn an_empty_folder_is_told_how_to_begin() {
    let sandbox = Sandbox::new("");
    fs::remove_file(sandbox.path("reactors.toml")).expect("the file");
    for command in ["up", "check", "build"] {
        sandbox.run(&[command]).code(3).says("error[file]").says("`reactor new NAME`");
    }
}

#[test]
fn a_queue_may_be_named_by_its_arn() {
    let aws = FakeSqs::start();
    aws.create("orders");
    let config = |region: &str, name: &str| {
        format!(
            "[channels.in]\nkind = \"sqs\"\nqueue = \"arn:aws:sqs:{region}:000000000000:{name}\"\ncreate = true\n\n\
             [reactors.tally]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\non = [\"added\"]\nallow = {{ state = true }}\n"
        )
    };
    let sandbox = Sandbox::new(&config("eu-west-1", "orders"))
        .with_env("AWS_ENDPOINT_URL", &aws.url())
        .with_env("AWS_REGION", "eu-west-1");
    fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    aws.send("orders", &added(0, "a", 7), &[], None, None);
    let summary = sandbox.until_idle();
    assert_eq!(counts(&summary, "tally")["done"], json!(1), "{summary}");
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("7"));

    sandbox.write("reactors.toml", config("eu-west-1", "elsewhere"));
    let missing = sandbox.run(&["check", "--connect"]).code(1);
    assert!(
        missing.stdout.contains("error: looking for queue `arn:aws:sqs:eu-west-1:000000000000:elsewhere`"),
        "{missing:?}"
    );
    sandbox.write("reactors.toml", config("us-east-2", "orders"));
    let far = sandbox.run(&["check", "--connect"]).code(1);
    assert!(far.stdout.contains("it is in region us-east-2, and the host uses eu-west-1"), "{far:?}");
}
