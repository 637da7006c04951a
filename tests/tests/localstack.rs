//! What `reactor_tests::localstack` and LocalStack itself do, which every other test of queues and topics builds on.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_tests::localstack::{Depth, LocalStack, Outgoing, Queue, Received, Subscription};
use reactor_tests::{Sandbox, wait_until};
use serde_json::json;

const LEASE: Duration = Duration::from_secs(600);

fn bodies(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

fn sorted(messages: &[Received]) -> Vec<&str> {
    let mut bodies = bodies(messages);
    bodies.sort_unstable();
    bodies
}

/// Receives until there were this many, and keeps them under their leases.
fn take(queue: &Queue, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    wait_until("the messages have come", || {
        all.append(&mut queue.receive(Duration::from_secs(1), LEASE));
        all.len() >= count
    });
    all
}

#[test]
fn a_message_comes_back_as_it_was_sent() {
    let queue = LocalStack::get().queue("round-trip");
    let id = queue.send(Outgoing::new(r#"{"a":"ä"}"#).attribute("site", "north"));
    assert_eq!(queue.depth(), Depth { visible: 1, in_flight: 0, delayed: 0 });
    let received = take(&queue, 1);
    assert_eq!((&received[0].id, received[0].json()), (&id, json!({ "a": "ä" })));
    assert_eq!(received[0].attributes, BTreeMap::from([("site".into(), "north".into())]));
    assert_eq!(received[0].system["ApproximateReceiveCount"], "1");
    assert_eq!(queue.depth(), Depth { visible: 0, in_flight: 1, delayed: 0 });
    queue.settle(&received);
    queue.wait_until_empty();
}

#[test]
fn many_messages_can_be_sent_counted_drained_and_purged() {
    let queue = LocalStack::get().queue("many");
    queue.send_all((0..25).map(|number| format!("{number:02}")));
    queue.send(Outgoing { delay: Some(LEASE), ..Outgoing::new("later") });
    assert_eq!(queue.depth(), Depth { visible: 25, in_flight: 0, delayed: 1 });
    let drained = queue.drain();
    assert_eq!(sorted(&drained), (0..25).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    assert_eq!(queue.depth().total(), 1);
    queue.purge();
    queue.wait_until_empty();
}

#[test]
fn a_lease_that_ends_gives_the_message_back() {
    let queue = LocalStack::get().queue("lease");
    queue.send("again");
    assert_eq!(queue.receive(Duration::from_secs(5), Duration::from_secs(1)).len(), 1);
    assert_eq!(queue.receive(Duration::ZERO, LEASE).len(), 0);
    let second = take(&queue, 1);
    assert_eq!(second[0].system["ApproximateReceiveCount"], "2");
}

#[test]
fn a_fifo_queue_keeps_order_locks_groups_and_drops_duplicates() {
    let queue = LocalStack::get().fifo_queue("fifo");
    let message =
        |number: usize, group: &str| Outgoing::fifo(format!("{group}{number}"), group, &format!("{group}{number}"));
    queue.send_all((0..12).map(|number| message(number, "a")));
    queue.send(message(3, "a"));
    assert_eq!(queue.depth().visible, 12);
    let first = queue.receive(Duration::from_secs(5), LEASE);
    assert_eq!(bodies(&first), (0..10).map(|number| format!("a{number}")).collect::<Vec<_>>());
    assert_eq!(first[0].system["MessageGroupId"], "a");
    queue.send(message(0, "b"));
    assert_eq!(bodies(&queue.receive(Duration::from_secs(5), LEASE)), ["b0"], "the group a is locked");
    queue.settle(&first);
    assert_eq!(bodies(&queue.receive(Duration::from_secs(5), LEASE)), ["a10", "a11"]);
}

#[test]
fn a_topic_reaches_one_queue_raw_and_another_wrapped() {
    let stack = LocalStack::get();
    let (topic, raw, wrapped) = (stack.topic("news"), stack.queue("raw"), stack.queue("wrapped"));
    topic.subscribe(&raw, &Subscription { raw: true, ..Subscription::default() });
    topic.subscribe(&wrapped, &Subscription::default());
    assert_eq!(topic.subscriptions()[&raw.arn()]["RawMessageDelivery"], "true");
    assert_eq!(topic.subscriptions()[&wrapped.arn()]["RawMessageDelivery"], "false");
    let id = topic.publish(Outgoing::new("text").attribute("site", "north"));
    let received = raw.drain_until(1);
    assert_eq!(received[0].body, "text");
    assert_eq!(received[0].attributes["site"], "north");
    let notification = wrapped.drain_until(1)[0].json();
    assert_eq!(notification["Type"], "Notification");
    assert_eq!((&notification["Message"], &notification["MessageId"]), (&json!("text"), &json!(id)));
    assert_eq!(notification["TopicArn"], json!(topic.arn));
    assert_eq!(notification["MessageAttributes"]["site"]["Value"], "north");
}

#[test]
fn a_filter_policy_lets_through_what_matches() {
    let stack = LocalStack::get();
    let (topic, by_attribute, by_body) = (stack.topic("filtered"), stack.queue("attribute"), stack.queue("body"));
    let raw = Subscription { raw: true, ..Subscription::default() };
    topic.subscribe(&by_attribute, &Subscription { filter: Some(json!({ "site": ["north"] })), ..raw.clone() });
    let on_body =
        Subscription { filter: Some(json!({ "amount": [{ "numeric": [">", 5] }] })), filter_on_body: true, ..raw };
    topic.subscribe(&by_body, &on_body);
    topic.publish_all([
        Outgoing::new(r#"{"amount":1}"#).attribute("site", "north"),
        Outgoing::new(r#"{"amount":9}"#).attribute("site", "south"),
    ]);
    assert_eq!(bodies(&by_attribute.drain_until(1)), [r#"{"amount":1}"#]);
    assert_eq!(bodies(&by_body.drain_until(1)), [r#"{"amount":9}"#]);
}

#[test]
fn a_fifo_topic_reaches_a_fifo_queue_in_order() {
    let stack = LocalStack::get();
    let (topic, queue) = (stack.fifo_topic("ordered"), stack.fifo_queue("ordered"));
    topic.subscribe(&queue, &Subscription { raw: true, ..Subscription::default() });
    topic.publish_all((0..10).map(|number| Outgoing::fifo(number.to_string(), "g", &format!("d{number}"))));
    queue.wait_until_depth("it has ten messages", |depth| depth.visible == 10);
    assert_eq!(bodies(&queue.drain()), (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn what_somebody_else_made_can_be_found_changed_and_deleted() {
    let stack = LocalStack::get();
    let missing = LocalStack::name("missing");
    assert!(stack.find_queue(&missing).is_none() && stack.find_topic(&missing).is_none());
    let queue = stack.queue_with("found", &[("VisibilityTimeout", "77")]);
    let found = stack.find_queue(&queue.name).expect("it is there");
    assert_eq!((&found.url, &found.attributes()["QueueArn"]), (&queue.url, &queue.arn()));
    assert_eq!(found.attributes()["VisibilityTimeout"], "77");
    found.set_attributes(&[("VisibilityTimeout", "78")]);
    assert_eq!(queue.attributes()["VisibilityTimeout"], "78");
    found.delete();
    assert!(stack.find_queue(&queue.name).is_none());
    let topic = stack.topic("found");
    let found = stack.find_topic(&topic.name).expect("it is there");
    assert_eq!(found.arn, topic.arn);
    found.delete();
    assert!(stack.find_topic(&topic.name).is_none());
}

#[test]
fn the_program_is_led_to_the_emulator_unless_a_test_says_otherwise() {
    let stack = LocalStack::get();
    let sandbox = Sandbox::new("").with_env("AWS_REGION", "eu-central-1");
    let command = sandbox.command(&["check"]);
    let set: BTreeMap<_, _> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?))).collect();
    assert_eq!((set["AWS_ENDPOINT_URL"], set["AWS_REGION"]), (stack.url(), "eu-central-1"));
    assert_eq!(set["AWS_ACCESS_KEY_ID"], "test");
}
