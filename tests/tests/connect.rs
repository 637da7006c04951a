//! `reactor check --connect`, on LocalStack: what it says of queues, topics and subscriptions, and that it leaves them as
//! they are.

use reactor_tests::localstack::{LocalStack, Queue, Subscription};
use reactor_tests::{Ran, Sandbox, guest};
use serde_json::{Value, json};

/// A folder with the reactor `tally`, which makes five attempts; `channels` are tables, `extra` goes into its own.
fn sandbox(channels: &str, extra: &str) -> Sandbox {
    let sandbox = Sandbox::new(&format!(
        "{channels}\n[reactors.tally]\nmodule = \"tally.wasm\"\non = [\"added\"]\nallow = {{ state = true }}\n{extra}\n\
         [reactors.tally.retry]\nmax-attempts = 5\n"
    ));
    std::fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
    sandbox
}

fn sqs(name: &str, queue: &str) -> String {
    format!("[channels.{name}]\nkind = \"sqs\"\nqueue = \"{queue}\"\n")
}

fn sns(name: &str, topic: &str, queue: &str) -> String {
    format!("[channels.{name}]\nkind = \"sns\"\ntopic = \"{topic}\"\nqueue = \"{queue}\"\nformat = \"native\"\n")
}

/// A queue that gives messages up after so many receives.
fn queue(what: &str, receives: u32) -> Queue {
    let stack = LocalStack::get();
    let target = stack.queue("given-up").arn();
    let policy = json!({ "deadLetterTargetArn": target, "maxReceiveCount": receives.to_string() }).to_string();
    stack.queue_with(what, &[("RedrivePolicy", policy.as_str())])
}

/// Lines of a channel, without its name.
fn lines(ran: &Ran, channel: &str) -> Vec<String> {
    let start = format!("{channel}: ");
    ran.stdout.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
}

fn levels(report: &Value, channel: usize) -> Vec<&str> {
    let findings = report["channels"][channel]["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["level"].as_str().expect("a level")).collect()
}

#[test]
fn a_good_set_up_is_found_good() {
    let stack = LocalStack::get();
    let (orders, inbox, dead, topic) =
        (queue("orders", 7), queue("inbox", 7), stack.queue("dead"), stack.topic("news"));
    let statement = json!({
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": inbox.arn(),
        "Condition": { "ArnEquals": { "aws:SourceArn": topic.arn } },
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    inbox.set_attributes(&[("Policy", policy.as_str())]);
    let filter = Some(json!({ "eventType": ["added"] }));
    topic.subscribe(&inbox, &Subscription { raw: true, filter, filter_on_body: true });
    let channels = [sqs("dead", &dead.name), sns("news", &topic.arn, &inbox.url), sqs("orders", &orders.name)].concat();
    let sandbox = sandbox(&channels, "from = [\"orders\", \"news\"]\ndead-letter = { channel = \"dead\" }");

    let ran = sandbox.run(&["check", "--connect"]).ok();
    assert_eq!(lines(&ran, "orders")[0], format!("ok: queue `{}` exists", orders.name));
    assert_eq!(lines(&ran, "news")[0], format!("ok: topic `{}` and queue `{}` exist", topic.arn, inbox.url));
    let dead_lines = lines(&ran, "dead");
    assert_eq!(dead_lines[0], format!("ok: queue `{}` exists", dead.name));
    assert!(dead_lines.len() == 2 && dead_lines[1].ends_with("it needs sqs:SendMessage"), "{dead_lines:?}");
    assert!(ran.stdout.ends_with("ok: 3 channels, 1 reactors\n"), "{}", ran.stdout);

    let report = sandbox.run(&["check", "--connect", "--json"]).ok().json();
    assert_eq!(report["ok"], true);
    for (index, name) in ["dead", "news", "orders"].into_iter().enumerate() {
        assert_eq!(report["channels"][index]["name"], name);
        assert_eq!(levels(&report, index), ["ok", "note"], "{report}");
    }
    assert_eq!(sandbox.run(&["check", "--json"]).ok().json().get("channels"), None, "nobody asked");
}

#[test]
fn what_does_not_fit_is_named_with_what_to_do() {
    let stack = LocalStack::get();
    let (low, inbox, topic) = (queue("low", 3), queue("inbox", 7), stack.topic("news"));
    let gone = LocalStack::name("gone");
    let channels = [sqs("gone", &gone), sqs("low", &low.name), sns("news", &topic.name, &inbox.name)].concat();
    let sandbox = sandbox(&channels, "from = [\"gone\", \"low\", \"news\"]");

    let ran = sandbox.run(&["check", "--connect"]).code(1);
    let found = lines(&ran, "gone");
    assert!(found.len() == 1 && found[0].starts_with(&format!("error: looking for queue `{gone}`: ")), "{found:?}");
    assert!(found[0].ends_with("; create it, or set `create = true`"), "{found:?}");
    let warning = "warning: maxReceiveCount of the RedrivePolicy is 3: SQS would move a message away before the 5 \
                   attempts of reactor `tally` are over; set maxReceiveCount to 7";
    let found = lines(&ran, "low");
    assert!(found.iter().any(|line| line == warning), "{found:?}");
    assert!(!found.iter().any(|line| line.starts_with("error") || line.starts_with("ok")), "{found:?}");
    let found = lines(&ran, "news");
    let unsubscribed = format!("error: the queue is not subscribed to topic `{}`; subscribe it with ", topic.name);
    assert!(found.iter().any(|line| line.starts_with(&unsubscribed)), "{found:?}");
    let statement = "error: the queue's policy does not name the topic: SNS is not allowed to send to it; add this ";
    assert!(found.iter().any(|line| line.starts_with(statement) && line.contains(&topic.arn)), "{found:?}");
    assert!(ran.stderr.ends_with("error: 2 of 3 channels outside cannot be used as they are\n"), "{}", ran.stderr);

    let report = sandbox.run(&["check", "--connect", "--json"]).code(1).json();
    assert_eq!(report["ok"], false);
    assert_eq!(levels(&report, 0), ["error"]);
}

#[test]
fn nothing_is_made_where_the_host_would_make_it() {
    let stack = LocalStack::get();
    let (made, topic, inbox) = (LocalStack::name("made"), LocalStack::name("topic"), LocalStack::name("inbox"));
    let (queue, subscribed) = (sqs("made", &made), sns("news", &topic, &inbox));
    let channels = format!("{queue}create = true\n{subscribed}create = true\n");
    let sandbox = sandbox(&channels, "from = [\"made\", \"news\"]");
    let ran = sandbox.run(&["check", "--connect"]).ok();
    assert_eq!(lines(&ran, "made"), [format!("note: queue `{made}` does not exist yet; `reactor up` will create it")]);
    let expected = [
        format!("note: topic `{topic}` does not exist yet; `reactor up` will create it"),
        format!("note: queue `{inbox}` does not exist yet; `reactor up` will create it"),
    ];
    assert_eq!(lines(&ran, "news"), expected);
    assert!(stack.find_queue(&made).is_none() && stack.find_queue(&inbox).is_none());
    assert!(stack.find_topic(&topic).is_none());
}

#[test]
fn nobody_there_is_an_error_of_every_channel() {
    let channels = [sqs("one", "one"), sqs("two", "two")].concat();
    let sandbox = sandbox(&channels, "from = [\"one\", \"two\"]").with_env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let ran = sandbox.run(&["check", "--connect"]).code(1);
    for channel in ["one", "two"] {
        let found = lines(&ran, channel);
        assert!(found.len() == 1 && found[0].starts_with("error: looking for queue"), "{found:?}");
    }
}
