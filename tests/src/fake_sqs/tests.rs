//! Tests the fake with its intended client, the AWS SDK.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchOutput;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::{Counts, FakeSqs, Fault, Rule, redrive_policy};

/// A server, a queue, and a client without retries.
struct Bench {
    sqs: FakeSqs,
    client: Client,
    url: String,
}

impl Bench {
    fn new(queue: &str, attributes: &[(&str, &str)]) -> Self {
        let sqs = FakeSqs::start();
        let url = sqs.create_with(queue, attributes);
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(sqs.url())
            .build();
        Self { client: Client::from_conf(config), sqs, url }
    }

    async fn receive(&self, max: i32) -> Vec<SdkMessage> {
        let call = self.client.receive_message().queue_url(&self.url).max_number_of_messages(max);
        let call = call.message_attribute_names("All").message_system_attribute_names(MessageSystemAttributeName::All);
        call.send().await.expect("an answer").messages.unwrap_or_default()
    }

    async fn delete(&self, receipt: &str) -> Result<(), String> {
        let call = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send();
        call.await.map(drop).map_err(code)
    }

    async fn extend(&self, receipt: &str, seconds: i32) -> Result<(), String> {
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        call.visibility_timeout(seconds).send().await.map(drop).map_err(code)
    }

    async fn send(&self, body: &str) -> Result<(), String> {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.map(drop).map_err(code)
    }

    async fn delete_batch(&self, receipts: &[&str]) -> DeleteMessageBatchOutput {
        let entries = receipts.iter().enumerate().map(|(place, receipt)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(*receipt);
            entry.build().expect("an entry")
        });
        let call = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries.collect()));
        call.send().await.expect("an answer")
    }

    fn counts(&self) -> Counts {
        let queue = self.url.rsplit('/').next().expect("a name");
        self.sqs.queue(queue).counts()
    }
}

/// The code of a service error, or the kind of another error.
fn code<E: ProvideErrorMetadata + std::error::Error + 'static>(error: SdkError<E>) -> String {
    match &error {
        SdkError::ServiceError(inner) => match inner.err().code() {
            Some(code) => code.to_owned(),
            None => format!("status {}", inner.raw().status()),
        },
        // Not `is_io`: the SDK reports a connection that is closed without a response under `other`.
        SdkError::DispatchFailure(_) => "dispatch".into(),
        SdkError::TimeoutError(_) => "timeout".into(),
        SdkError::ResponseError(response) => format!("response {}", response.raw().status()),
        _ => format!("{}", DisplayErrorContext(error)),
    }
}

fn receipt(message: &SdkMessage) -> &str {
    message.receipt_handle().expect("a receipt")
}

fn bodies(messages: &[SdkMessage]) -> Vec<&str> {
    messages.iter().filter_map(SdkMessage::body).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let bench = Bench::new("in", &[]);
    let text = MessageAttributeValue::builder().data_type("String").string_value("ü").build().expect("a value");
    let blob = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255])).build();
    let call = bench.client.send_message().queue_url(&bench.url).message_body("{\"a\": \"ü\"}");
    let call = call.message_attributes("text", text.clone()).message_attributes("blob", blob.expect("a value"));
    let id = call.send().await.expect("an answer").message_id.expect("an id");

    let messages = bench.receive(10).await;
    assert_eq!(bodies(&messages), ["{\"a\": \"ü\"}"]);
    assert_eq!(messages[0].message_id(), Some(&*id));
    let attributes = messages[0].message_attributes().expect("attributes");
    assert_eq!(attributes["text"], text);
    assert_eq!(attributes["blob"].binary_value().expect("a blob").as_ref(), [0, 255]);
    let system = messages[0].attributes().expect("system attributes");
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert!(system[&MessageSystemAttributeName::SentTimestamp].parse::<u64>().expect("a number") > 1_600_000_000_000);
    assert_eq!(bench.sqs.queue("in").messages()[0].id, id);
    assert_eq!(bench.counts(), Counts { in_flight: 1, sent: 1, ..Counts::default() });

    bench.delete(receipt(&messages[0])).await.expect("deleted");
    bench.delete(receipt(&messages[0])).await.expect("deleted twice");
    assert_eq!(bench.sqs.queue("in").deleted_receipts(), [receipt(&messages[0])]);
    assert_eq!(bench.counts(), Counts { deleted: 1, sent: 1, ..Counts::default() });
    assert_eq!(bench.delete("nonsense").await, Err("ReceiptHandleIsInvalid".into()));
}

#[tokio::test]
async fn a_lease_ends_and_its_receipt_with_it() {
    let bench = Bench::new("in", &[("VisibilityTimeout", "10")]);
    bench.sqs.send("in", "a", &[], None, None);
    let first = bench.receive(1).await;
    assert!(bench.receive(1).await.is_empty());
    bench.extend(receipt(&first[0]), 600).await.expect("extended");
    bench.sqs.advance(500 * SECOND);
    assert!(bench.receive(1).await.is_empty());
    bench.sqs.advance(101 * SECOND);
    bench.extend(receipt(&first[0]), 600).await.expect("AWS says nothing when the lease is over");
    let second = bench.receive(1).await;
    assert_ne!(receipt(&first[0]), receipt(&second[0]));

    bench.delete(receipt(&first[0])).await.expect("AWS says nothing about a stale receipt");
    assert_eq!(bench.counts().in_flight, 1);
    assert_eq!(bench.extend(receipt(&first[0]), 1).await, Err("InvalidParameterValue".into()));
    bench.sqs.strict_receipts(true);
    assert_eq!(bench.delete(receipt(&first[0])).await, Err("ReceiptHandleIsInvalid".into()));
    bench.sqs.advance(11 * SECOND);
    let in_flight = "AWS.SimpleQueueService.MessageNotInflight";
    assert_eq!(bench.extend(receipt(&second[0]), 1).await, Err(in_flight.into()));
    bench.delete(receipt(&second[0])).await.expect("nobody else has received it");
    assert_eq!(bench.counts().deleted, 1);
}

#[tokio::test]
async fn a_lease_of_zero_gives_back() {
    let bench = Bench::new("in", &[]);
    bench.sqs.send("in", "a", &[], None, None);
    let first = bench.receive(1).await;
    bench.extend(receipt(&first[0]), 0).await.expect("given back");
    assert_eq!(bench.counts().visible, 1);
    assert_eq!(bench.receive(1).await.len(), 1);
}

#[tokio::test]
async fn a_fifo_queue_keeps_the_order_of_a_group_and_drops_duplicates() {
    let bench = Bench::new("in.fifo", &[]);
    let send = |body, group, dedup| bench.sqs.send("in.fifo", body, &[], Some(group), Some(dedup));
    let first = send("a1", "a", "1");
    assert_eq!(send("a1 again", "a", "1"), first);
    for (body, group, dedup) in [("a2", "a", "2"), ("b1", "b", "3"), ("a3", "a", "4")] {
        send(body, group, dedup);
    }
    let one = bench.receive(1).await;
    assert_eq!(bodies(&one), ["a1"]);
    let system = one[0].attributes().expect("system attributes");
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "a");
    assert_eq!(system[&MessageSystemAttributeName::MessageDeduplicationId], "1");
    assert_eq!(bodies(&bench.receive(10).await), ["b1"]);
    bench.delete(receipt(&one[0])).await.expect("deleted");
    let rest = bench.receive(10).await;
    assert_eq!(bodies(&rest), ["a2", "a3"]);

    send("a1 again", "a", "1");
    assert_eq!(bench.counts().sent, 4);
    bench.sqs.advance(301 * SECOND);
    assert_eq!(bench.delete(receipt(&rest[0])).await, Err("InvalidParameterValue".into()));
    send("a1 later", "a", "1");
    assert_eq!(bodies(&bench.receive(10).await), ["a2", "b1", "a3", "a1 later"]);
    assert_eq!(bench.send("no group").await, Err("MissingParameter".into()));
}

#[tokio::test]
async fn a_message_that_is_received_too_often_goes_to_the_dead_letter_queue() {
    let bench = Bench::new("in", &[("RedrivePolicy", &redrive_policy("dead", 2))]);
    bench.sqs.create("dead");
    bench.sqs.send("in", "a", &[], None, None);
    for _ in 0..2 {
        assert_eq!(bench.receive(1).await.len(), 1);
        bench.sqs.advance(31 * SECOND);
    }
    assert!(bench.receive(1).await.is_empty());
    assert!(bench.sqs.queue("in").messages().is_empty());
    let dead = bench.sqs.queue("dead").messages();
    assert_eq!((&*dead[0].body, dead[0].receives), ("a", 2));
    let call = bench.client.get_queue_attributes().queue_url(bench.sqs.queue("dead").url());
    let answer = call.attribute_names(QueueAttributeName::All).send().await.expect("an answer");
    let attributes = answer.attributes().expect("attributes");
    assert_eq!(attributes[&QueueAttributeName::ApproximateNumberOfMessages], "1");
    assert_eq!(attributes[&QueueAttributeName::QueueArn], super::arn("dead"));
}

#[tokio::test]
async fn a_long_poll_wakes_up_for_a_message() {
    // An hour, which SQS would not allow: if a poll is not woken, the test does not end.
    let bench = Bench::new("in", &[("ReceiveMessageWaitTimeSeconds", "3600")]);
    let after_sending = async {
        while bench.sqs.calls("ReceiveMessage") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.send("a").await
    };
    let (messages, sent) = tokio::join!(bench.receive(1), after_sending);
    sent.expect("sent");
    assert_eq!(bodies(&messages), ["a"]);
    // On its own when a lease ends; and when the clock is advanced.
    bench.extend(receipt(&messages[0]), 1).await.expect("shortened");
    assert_eq!(bench.receive(1).await.len(), 1);
    let after_waiting = async {
        while bench.sqs.calls("ReceiveMessage") < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.sqs.advance(31 * SECOND);
    };
    assert_eq!(tokio::join!(bench.receive(1), after_waiting).0.len(), 1);
    let requests = bench.sqs.requests();
    let polls: Vec<_> = requests.iter().filter(|request| request.operation == "ReceiveMessage").collect();
    assert_eq!(polls.len(), 3, "a poll is one call: {requests:?}");
    assert!(polls.iter().all(|poll| poll.messages == 1 && poll.outcome == "ok"));
}

#[tokio::test]
async fn a_call_fails_as_it_is_told_to_and_as_often() {
    let bench = Bench::new("in", &[]);
    let kinds = [
        (Fault::Throttled, "RequestThrottled"),
        (Fault::ThrottlingException, "ThrottlingException"),
        (Fault::InternalError, "InternalFailure"),
        (Fault::Unavailable, "status 503"),
        (Fault::Reset, "dispatch"),
        (Fault::AccessDenied, "AccessDenied"),
        (Fault::ExpiredToken, "ExpiredToken"),
        (Fault::QueueDoesNotExist, "AWS.SimpleQueueService.NonExistentQueue"),
    ];
    for (fault, expected) in kinds {
        let rule = bench.sqs.inject(Rule::on("Send*", fault).queue("in").skip(1).times(2));
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            outcomes.push(bench.send("a").await);
        }
        let failed = || Err(expected.to_owned());
        assert_eq!(outcomes, [Ok(()), failed(), failed(), Ok(())]);
        assert_eq!(bench.sqs.fired(rule), 2);
        bench.sqs.remove(rule);
    }
    assert_eq!(bench.counts().sent, 16);
    let outcomes: Vec<_> = bench.sqs.requests().iter().map(|request| request.outcome).collect();
    assert_eq!(&outcomes[..4], ["ok", "RequestThrottled", "RequestThrottled", "ok"]);
}

#[tokio::test]
async fn an_answer_is_lost_after_the_call_is_done() {
    let bench = Bench::new("in", &[]);
    bench.sqs.inject(Rule::on("*", Fault::LoseAnswer).times(1));
    assert_eq!(bench.send("a").await, Err("dispatch".into()));
    assert_eq!(bench.counts().visible, 1);
    bench.sqs.inject(Rule::on("ReceiveMessage", Fault::LoseAnswer).times(1));
    bench.client.receive_message().queue_url(&bench.url).send().await.expect_err("a lost answer");
    assert_eq!(bench.counts().in_flight, 1);
    assert_eq!(bench.sqs.requests().last().map(|request| (request.outcome, request.messages)), Some(("lost", 1)));
    bench.sqs.advance(31 * SECOND);
    let message = bench.receive(1).await;
    bench.sqs.inject(Rule::on("DeleteMessage*", Fault::LoseAnswer).times(1));
    assert_eq!(bench.delete(receipt(&message[0])).await, Err("dispatch".into()));
    assert_eq!(bench.counts().deleted, 1);
}

#[tokio::test]
async fn a_call_that_hangs_is_not_done_if_the_client_gives_up() {
    let bench = Bench::new("in", &[]);
    bench.sqs.inject(Rule::on("SendMessage", Fault::Hang(Duration::from_secs(2))));
    let patience = TimeoutConfig::builder().operation_timeout(Duration::from_millis(200)).build();
    let config = bench.client.config().to_builder().timeout_config(patience).build();
    let hasty = Client::from_conf(config);
    let error = hasty.send_message().queue_url(&bench.url).message_body("a").send().await.expect_err("it hangs");
    assert_eq!(code(error), "timeout");
    bench.send("b").await.expect("it waits");
    let sent: Vec<_> = bench.sqs.queue("in").messages().into_iter().map(|message| message.body).collect();
    assert_eq!(sent, ["b"]);
}

#[tokio::test]
async fn entries_of_a_batch_fail_one_by_one_and_come_back_in_another_order() {
    let bench = Bench::new("in", &[]);
    let entries = (0..6).map(|place| {
        let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(place.to_string());
        entry.build().expect("an entry")
    });
    let entries: Vec<_> = entries.collect();
    let fault = |sender_fault| Fault::Entries { every: 4, code: "InternalError", sender_fault };
    let rule = bench.sqs.inject(Rule::on("SendMessageBatch", fault(false)));
    let call = || bench.client.send_message_batch().queue_url(&bench.url).set_entries(Some(entries.clone()));
    let answer = call().send().await.expect("an answer");
    assert_eq!(answer.successful().len(), 5);
    let failed = &answer.failed()[0];
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("3", "InternalError", false));
    let answer = call().send().await.expect("an answer");
    assert_eq!(answer.failed().iter().map(|entry| entry.id()).collect::<Vec<_>>(), ["1", "5"]);
    assert_eq!(bench.counts().visible, 9);
    bench.sqs.remove(rule);

    bench.sqs.inject(Rule::on("DeleteMessageBatch", Fault::Reverse));
    bench.sqs.inject(Rule::on("DeleteMessageBatch", fault(true)));
    let messages = bench.receive(3).await;
    let mut receipts: Vec<_> = messages.iter().map(receipt).collect();
    receipts.push("nonsense");
    let answer = bench.delete_batch(&receipts).await;
    assert_eq!(answer.successful().iter().map(|entry| entry.id()).collect::<Vec<_>>(), ["2", "1", "0"]);
    assert!(answer.failed()[0].sender_fault());
    assert_eq!(bench.sqs.requests().last().expect("a request").entries, 4);

    bench.sqs.heal();
    let answer = bench.delete_batch(&["nonsense"]).await;
    assert_eq!(answer.failed()[0].code(), "ReceiptHandleIsInvalid");
    let error = call().set_entries(Some(Vec::new())).send().await.expect_err("an empty batch");
    assert_eq!(code(error), "AWS.SimpleQueueService.EmptyBatchRequest");
}

#[tokio::test]
async fn receipts_go_stale_and_messages_come_twice() {
    let bench = Bench::new("in", &[]);
    bench.sqs.send("in", "a", &[], None, None);
    let first = bench.receive(1).await;
    bench.sqs.inject(Rule::on("DeleteMessage", Fault::Stale).times(1));
    bench.delete(receipt(&first[0])).await.expect("AWS says nothing");
    assert_eq!(bench.counts().visible, 1);

    let second = bench.receive(1).await;
    bench.sqs.inject(Rule::on("ReceiveMessage", Fault::Duplicate).times(1));
    let third = bench.receive(1).await;
    assert_eq!(second[0].message_id(), third[0].message_id());
    assert_ne!(receipt(&second[0]), receipt(&third[0]));

    bench.sqs.inject(Rule::on("DeleteMessage", Fault::KeepDeleted).times(1));
    bench.delete(receipt(&third[0])).await.expect("deleted, it says");
    assert_eq!(bench.counts().in_flight, 1);
    bench.sqs.queue("in").make_receipts_stale();
    assert_eq!(bench.extend(receipt(&third[0]), 5).await, Err("InvalidParameterValue".into()));
    assert_eq!(bench.counts().visible, 1);
}

#[tokio::test]
async fn chance_goes_by_the_seed() {
    let bench = Bench::new("in", &[]);
    bench.sqs.inject(Rule::on("SendMessage", Fault::Throttled).chance(0.5));
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        bench.sqs.seed(seed);
        let mut run = Vec::new();
        for _ in 0..32 {
            run.push(bench.send("a").await.is_ok());
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn queues_come_and_go() {
    let bench = Bench::new("in", &[]);
    let client = &bench.client;
    let made = client.create_queue().queue_name("new").attributes(QueueAttributeName::VisibilityTimeout, "5");
    let url = made.send().await.expect("an answer").queue_url.expect("a URL");
    assert_eq!(client.get_queue_url().queue_name("new").send().await.expect("an answer").queue_url(), Some(&*url));
    let again = client.create_queue().queue_name("new").attributes(QueueAttributeName::VisibilityTimeout, "6");
    assert_eq!(code(again.send().await.expect_err("another attribute")), "QueueAlreadyExists");
    bench.sqs.send("new", "a", &[], None, None);
    client.purge_queue().queue_url(&url).send().await.expect("an answer");
    assert_eq!(bench.sqs.queue("new").counts(), Counts { sent: 1, ..Counts::default() });
    let set = client.set_queue_attributes().queue_url(&url).attributes(QueueAttributeName::DelaySeconds, "900");
    set.send().await.expect("an answer");
    bench.sqs.send("new", "a", &[], None, None);
    assert_eq!(bench.sqs.queue("new").counts().delayed, 1);
    client.delete_queue().queue_url(&url).send().await.expect("an answer");
    let error = client.receive_message().queue_url(&url).send().await.expect_err("no queue");
    assert!(error.as_service_error().expect("an error of the service").is_queue_does_not_exist());
}

#[tokio::test]
async fn what_sqs_refuses_is_refused() {
    let bench = Bench::new("in", &[]);
    assert_eq!(bench.send("").await, Err("MissingParameter".into()));
    assert_eq!(bench.send("\u{1}").await, Err("InvalidMessageContents".into()));
    assert_eq!(bench.send(&"a".repeat((1 << 20) + 1)).await, Err("InvalidParameterValue".into()));
    let call = bench.client.receive_message().queue_url(&bench.url).max_number_of_messages(11);
    assert_eq!(code(call.send().await.expect_err("too many")), "InvalidParameterValue");
}

#[tokio::test]
async fn many_messages_from_many_tasks_are_each_handed_out_once() {
    let bench = Bench::new("in", &[]);
    for number in 0..2000 {
        bench.sqs.send("in", &number.to_string(), &[], None, None);
    }
    let worker = || async {
        loop {
            let messages = bench.receive(10).await;
            if messages.is_empty() {
                break;
            }
            let receipts: Vec<_> = messages.iter().map(receipt).collect();
            assert!(bench.delete_batch(&receipts).await.failed().is_empty());
        }
    };
    tokio::join!(worker(), worker(), worker(), worker());
    assert_eq!(bench.counts(), Counts { deleted: 2000, sent: 2000, ..Counts::default() });
    assert!(bench.sqs.queue("in").deleted().iter().all(|message| message.receives == 1));
}
