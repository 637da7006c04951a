//! Whatever a message carries reaches the module, the filters, the log and the dead letter: `field/` has the inputs, each with
//! the right value beside it.

use reactor_tests::fake_sqs::FakeSqs;
use reactor_tests::{Sandbox, counts, field_text, wait_until};
use serde_json::{Value, json};

/// The right value of an input that is one event.
fn right(name: &str) -> Value {
    let case: Value = serde_json::from_str(&field_text(&format!("{name}.right.json"))).expect("JSON");
    case["seen"][0].clone()
}

/// A folder with this configuration, whose last table is the one of the reactor `seen`.
fn seen(config: &str) -> Sandbox {
    Sandbox::seen(&format!("{config}\nallow = {{ state = true }}\n"))
}

/// The same for one local channel of a format, and a reactor that wants everything; `extra` goes into its table.
fn local(format: &str, extra: &str) -> Sandbox {
    seen(&format!(
        "[channels.in]\nkind = \"local\"\nformat = {format}\n\n[reactors.seen]\nmodule = \"seen.wasm\"\nfrom = [\"in\"]\n\
         on = [\"**\"]\n{extra}"
    ))
}

/// What the reactor was given as an event of this id.
fn given(sandbox: &Sandbox, id: &str) -> Value {
    let mut all = sandbox.given("seen").into_iter();
    all.find(|event| event["id"] == id).unwrap_or_else(|| panic!("{id} was not seen"))
}

/// Compares what the reactor was given with each member of the right value.
fn assert_given(sandbox: &Sandbox, right: &Value) {
    let given = given(sandbox, right["id"].as_str().expect("an id"));
    for (name, value) in right.as_object().expect("members") {
        assert_eq!(given[name], *value, "{name} of {given}");
    }
}

fn publish(sandbox: &Sandbox, input: &str, attributes: &[&str]) {
    let mut args = vec!["publish", "in", "--input", "whole"];
    attributes.iter().for_each(|attribute| args.extend(["--attribute", attribute]));
    sandbox.run_with(&args, input.as_bytes()).ok();
}

#[test]
fn what_an_envelope_carries_reaches_the_module() {
    for name in [
        "cloudevents/extensions-and-dataschema",
        "cloudevents/correlationid-is-an-integer",
        "cloudevents/dataversion-is-a-date",
        "eventbridge/ecr-image-push",
    ] {
        let sandbox = local("\"auto\"", "");
        publish(&sandbox, &field_text(&format!("{name}.json")), &[]);
        sandbox.until_idle();
        let right = right(name);
        assert_given(&sandbox, &right);
        let shown = sandbox.run(&["--json", "log", "tail"]).ok().json();
        let names = |attributes: &Value| -> Vec<String> {
            let pairs = attributes.as_array().expect("attributes").iter();
            pairs.map(|pair| pair[0].as_str().expect("a name").to_owned()).collect()
        };
        let mut expected = names(&right["attributes"]);
        expected.sort();
        let found = shown["events"][0]["attributes"].as_object().cloned().unwrap_or_default();
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected, "{name}: {shown}");
    }
}

#[test]
fn extensions_reach_the_module_in_binary_mode() {
    let sandbox = local("\"auto\"", "");
    let attributes = [
        "ce-specversion=1.0",
        "ce-type=com.example.someevent",
        "ce-id=b-1",
        "ce-source=/mycontext",
        "ce-tenantid=acme",
        "ce-dataschema=https://example.com/schemas/order/2.json",
    ];
    publish(&sandbox, "{\"world\":\"hello\"}", &attributes);
    sandbox.until_idle();
    let expected = json!([
        ["tenantid", "String", "text", "acme"],
        ["dataschema", "String", "text", "https://example.com/schemas/order/2.json"],
    ]);
    assert_eq!(given(&sandbox, "b-1")["attributes"], expected);
}

#[test]
fn the_key_of_an_s3_notification_can_be_used_as_it_is() {
    for (name, key) in [
        ("s3/key-is-url-encoded.json", "photos/2024/my holiday (caf\u{e9})+1.jpg"),
        ("s3/minio-put.json", "a1/colors.xml"),
    ] {
        let sandbox = local("\"auto\"", "order-by = \"/subject\"\n");
        publish(&sandbox, &field_text(name), &[]);
        sandbox.until_idle();
        let id = sandbox.run(&["--json", "log", "tail"]).ok().json()["events"][0]["eventId"].clone();
        let event = given(&sandbox, id.as_str().expect("an id"));
        assert_eq!((&event["subject"], &event["type"]), (&json!(key), &json!("aws.s3.ObjectCreated:Put")), "{name}");
        let notification: Value = serde_json::from_str(&field_text(name)).expect("JSON");
        let record: Value = serde_json::from_str(event["data"].as_str().expect("data")).expect("JSON");
        assert_eq!(record, notification["Records"][0], "the record is as it was sent");
    }
}

#[test]
fn the_type_may_be_an_attribute_of_the_sns_notification() {
    let sandbox = seen(&field_text("sns/type-in-message-attributes.toml"));
    publish(&sandbox, &field_text("sns/type-in-message-attributes.json"), &[]);
    sandbox.until_idle();
    assert_given(&sandbox, &right("sns/type-in-message-attributes"));
}

#[test]
fn a_filter_may_look_at_what_stands_beside_the_data() {
    let cloud = field_text("cloudevents/when-extension.toml");
    seen(&cloud).run(&["check"]).code(3).says("write `/data/tenantid`; beside the data, `/attributes/tenantid`");
    let sandbox = seen(&cloud.replace("/tenantid", "/attributes/tenantid"));
    let event = field_text("cloudevents/extensions-and-dataschema.json");
    publish(&sandbox, &event, &[]);
    publish(&sandbox, &event.replace("acme", "other").replace("4321-4321-4321", "o-1"), &[]);
    assert_eq!(counts(&sandbox.until_idle(), "seen")["done"], 1);
    given(&sandbox, "4321-4321-4321");

    let bridge = field_text("eventbridge/when-account.toml");
    let asked = seen(&bridge.replace("/data/account", "/account"));
    asked.run(&["check"]).code(3).says("`/attributes/account`").says("account and region of EventBridge");
    let sandbox = seen(&bridge.replace("/data/account", "/attributes/account"));
    let event = field_text("eventbridge/ecr-image-push.json");
    publish(&sandbox, &event, &[]);
    publish(&sandbox, &event.replace("123456789012", "210987654321").replace("13cde686", "23cde686"), &[]);
    assert_eq!(counts(&sandbox.until_idle(), "seen")["done"], 1);
    given(&sandbox, "13cde686-328b-6117-af20-0e5566167482");
}

#[test]
fn order_and_dedup_may_look_at_attributes() {
    let dedup = "[reactors.seen.dedup]\nkey = \"/attributes/request\"\n";
    let sandbox = Sandbox::seen(&format!(
        "[channels.in]\nkind = \"local\"\n\n[reactors.seen]\nmodule = \"seen.wasm\"\nfrom = [\"in\"]\non = [\"**\"]\n\
         order-by = \"/attributes/tenant\"\nallow = {{ state = true }}\n{dedup}"
    ));
    for (id, request) in [("a", "r1"), ("b", "r1"), ("c", "r2")] {
        let event = json!({ "eventId": id, "eventType": "t", "source": "s", "data": {} });
        publish(&sandbox, &event.to_string(), &["tenant=acme", &format!("request={request}")]);
    }
    let summary = sandbox.until_idle();
    let seen = counts(&summary, "seen");
    assert_eq!((&seen["done"], &seen["duplicates"]), (&json!(2), &json!(1)), "{summary}");
    assert!(sandbox.given("seen").iter().all(|event| event["id"] != "b"), "it has the key of the first");
}

#[test]
fn a_pattern_that_ends_within_a_word_is_told_what_to_write() {
    let sandbox = Sandbox::seen(&field_text("config/prefix-of-a-word.toml"));
    let told = sandbox
        .run(&["check"])
        .code(3)
        .says("when = { \"/eventType\" = { prefix = \"aws.s3.ObjectCreated:\" } }")
        .says("when = { \"/eventType\" = { prefix = \"orders/\" } }")
        .says("when = { \"/eventType\" = \"job@call\" }");
    // What is proposed is a configuration, and what it is meant to take gets through.
    let mut config = String::from("[channels.in]\nkind = \"local\"\n");
    for (number, (_, line)) in told.stderr.lines().filter_map(|line| line.split_once("write \"")).enumerate() {
        let Some((on, when)) = line.split_once("\" instead, and ") else { panic!("{line}") };
        config += &format!(
            "\n[reactors.r{number}]\nmodule = \"seen.wasm\"\nfrom = [\"in\"]\non = [\"{on}\"]\n{when}\nallow = {{ state = true }}\n"
        );
    }
    sandbox.write("reactors.toml", config);
    for (id, event_type) in [("1", "aws.s3.ObjectCreated:Put"), ("2", "orders/placed"), ("3", "job@call")] {
        let event = json!({ "eventId": id, "eventType": event_type, "source": "s", "data": {} });
        publish(&sandbox, &event.to_string(), &[]);
    }
    let summary = sandbox.until_idle();
    for (number, id) in [("r0", "1"), ("r1", "2"), ("r2", "3")] {
        assert_eq!(counts(&summary, number)["done"], 1, "{summary}");
        assert_eq!(sandbox.given(number)[0]["id"], id, "{number}");
    }
}

/// A queue that is read, and one for its dead letters.
fn queues(aws: &FakeSqs, extra: &str) -> Sandbox {
    aws.create("orders");
    aws.create("orders-dlq");
    let sandbox = Sandbox::seen(&format!(
        "[channels.in]\nkind = \"sqs\"\nqueue = \"orders\"\n\n[channels.dead]\nkind = \"sqs\"\nqueue = \"orders-dlq\"\n\n\
         [reactors.seen]\nmodule = \"seen.wasm\"\nfrom = [\"in\"]\non = [\"**\"]\nallow = {{ state = true }}\n{extra}\n\
         [reactors.seen.dead-letter]\nchannel = \"dead\"\n"
    ));
    sandbox.with_env("AWS_ENDPOINT_URL", &aws.url())
}

#[test]
fn attributes_of_a_queue_reach_module_filter_log_and_dead_letter() {
    let aws = FakeSqs::start();
    let sandbox = queues(
        &aws,
        "when = { \"/attributes/tenant\" = [\"acme\"], \"/attributes/weight\" = { numeric = [\">\", 1] } }\n",
    );
    let input: Value = serde_json::from_str(&field_text("sqs/attributes-of-four-kinds.json")).expect("JSON");
    let url = aws.queue("orders").url();
    aws.send_input(&url, &input);
    let mut other = input.clone();
    other["MessageBody"] = json!(input["MessageBody"].as_str().expect("a body").replace("\"1\"", "\"2\""));
    other["MessageAttributes"]["tenant"]["StringValue"] = json!("other");
    aws.send_input(&url, &other);
    let mut rejected = input.clone();
    rejected["MessageBody"] = json!(input["MessageBody"].as_str().expect("a body").replace("\"1\"", "\"3\""));
    rejected["MessageAttributes"]["fate"] = json!({ "DataType": "String", "StringValue": "reject" });
    aws.send_input(&url, &rejected);
    let summary = sandbox.until_idle();
    let seen = counts(&summary, "seen");
    assert_eq!((&seen["done"], &seen["dead"], &summary["unrouted"]), (&json!(1), &json!(1), &json!(1)), "{summary}");
    let right = json!({ "id": "1", "type": "order.placed", "source": "shop", "data": "{}", "attributes": [
        ["key", "Binary", "bytes", [0, 1, 255]],
        ["policy", "String.Json", "text", "{}"],
        ["tenant", "String", "text", "acme"],
        ["weight", "Number", "number", "1.50"],
    ] });
    assert_given(&sandbox, &right);

    wait_until("the dead letter is outside", || aws.queue("orders-dlq").counts().visible == 1);
    let letter = aws.queue("orders-dlq").messages().remove(0);
    assert_eq!(letter.body, rejected["MessageBody"].as_str().expect("a body"));
    let mut attributes = letter.attributes.clone();
    attributes.remove("reactor-dead-letter").expect("the note");
    assert_eq!(json!(attributes), rejected["MessageAttributes"], "types and bytes are those that were received");

    let shown = sandbox.run(&["dead", "show", "1"]).ok().stdout;
    let told = sandbox.run(&["--json", "dead", "show", "1"]).ok().json();
    for line in ["tenant: acme\n", "weight: 1.50 (Number)\n", "policy: {} (String.Json)\n", "key: AAH/ (Binary)\n"] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let types = json!({ "weight": "Number", "policy": "String.Json", "key": "Binary" });
    assert_eq!((&told["attributes"]["key"], &told["attributeTypes"]), (&json!("AAH/"), &types), "{told}");
}

#[test]
fn the_log_shows_what_a_message_carries() {
    let aws = FakeSqs::start();
    let sandbox = queues(&aws, "");
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    // A copied message stays in the log of its channel.
    sandbox.write("reactors.toml", config.replace("queue = \"orders\"\n", "queue = \"orders\"\nsettle = \"stored\"\n"));
    let input: Value = serde_json::from_str(&field_text("sqs/attributes-of-four-kinds.json")).expect("JSON");
    aws.send_input(&aws.queue("orders").url(), &input);
    sandbox.until_idle();
    let shown = sandbox.run(&["log", "show", "1"]).ok().stdout;
    for line in ["attributes\n", "    tenant: acme\n", "    weight: 1.50 (Number)\n", "    key: AAH/ (Binary)\n"] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let types = json!({ "weight": "Number", "policy": "String.Json", "key": "Binary" });
    for command in [&["--json", "log", "show", "1"][..], &["--json", "log", "tail"]] {
        let told = sandbox.run(command).ok().json();
        let event = &told["events"][0];
        assert_eq!((&event["attributes"]["tenant"], &event["attributeTypes"]), (&json!("acme"), &types), "{told}");
    }
}
