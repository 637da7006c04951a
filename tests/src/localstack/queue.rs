//! Queues.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::{BATCH, Depth, LocalStack, Outgoing, REGION, Received, owned};
use crate::wait_until;

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) stack: &'static LocalStack,
    /// Its name, which the configuration may use.
    pub name: String,
    /// Its URL, which the configuration may use, too.
    pub url: String,
}

impl Queue {
    /// Its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:sqs:{REGION}:000000000000:{}", self.name)
    }

    /// Sends one message and returns its id.
    pub fn send(&self, message: impl Into<Outgoing>) -> String {
        let message = message.into();
        let send = self.stack.sqs.send_message().queue_url(&self.url).message_body(&message.body);
        let send = send.set_message_attributes(message.sqs_attributes()).set_delay_seconds(message.delay_seconds());
        let send = send.set_message_group_id(message.group).set_message_deduplication_id(message.dedup);
        self.stack.wait("send a message", send.send()).message_id.expect("its id")
    }

    /// Sends any number of messages in order, ten per call.
    pub fn send_all<M: Into<Outgoing>>(&self, messages: impl IntoIterator<Item = M>) {
        let messages: Vec<Outgoing> = messages.into_iter().map(Into::into).collect();
        for batch in messages.chunks(BATCH) {
            let entry = |(id, message): (usize, &Outgoing)| {
                SendMessageBatchRequestEntry::builder()
                    .id(id.to_string())
                    .message_body(&message.body)
                    .set_message_attributes(message.sqs_attributes())
                    .set_message_group_id(message.group.clone())
                    .set_message_deduplication_id(message.dedup.clone())
                    .set_delay_seconds(message.delay_seconds())
                    .build()
                    .expect("an entry")
            };
            let entries = batch.iter().enumerate().map(entry).collect();
            let send = self.stack.sqs.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let sent = self.stack.wait("send messages", send.send());
            assert!(sent.failed().is_empty(), "{:?}", sent.failed());
        }
    }

    /// Receives up to ten messages and leases each for `lease`, both in whole seconds; waits up to `wait` for the
    /// first.
    pub fn receive(&self, wait: Duration, lease: Duration) -> Vec<Received> {
        let seconds = |time: Duration| i32::try_from(time.as_secs()).expect("few seconds");
        let receive = self.stack.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let receive = receive.wait_time_seconds(seconds(wait)).visibility_timeout(seconds(lease));
        let receive = receive.message_attribute_names("All");
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
        let received = self.stack.wait("receive", receive.send());
        received.messages.unwrap_or_default().into_iter().map(Received::from).collect()
    }

    /// Deletes messages.
    pub fn settle(&self, messages: &[Received]) {
        for batch in messages.chunks(BATCH) {
            let entry = |(id, message): (usize, &Received)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
                entry.receipt_handle(&message.receipt).build().expect("an entry")
            };
            let entries = batch.iter().enumerate().map(entry).collect();
            let delete = self.stack.sqs.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let deleted = self.stack.wait("delete messages", delete.send());
            assert!(deleted.failed().is_empty(), "{:?}", deleted.failed());
        }
    }

    /// Receives and deletes everything that can be received now.
    pub fn drain(&self) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            // A lease that outlives the test: a message that is not deleted was not received.
            let batch = self.receive(Duration::ZERO, Duration::from_secs(600));
            if batch.is_empty() {
                return all;
            }
            self.settle(&batch);
            all.extend(batch);
        }
    }

    /// Receives and deletes until there were this many messages, or panics.
    pub fn drain_until(&self, count: usize) -> Vec<Received> {
        let mut all = Vec::new();
        wait_until(&format!("{count} messages have come to {}", self.name), || {
            all.append(&mut self.drain());
            all.len() >= count
        });
        assert_eq!(all.len(), count, "more than expected: {all:?}");
        all
    }

    /// How many messages it holds.
    pub fn depth(&self) -> Depth {
        let attributes = self.attributes();
        let count = |name| attributes.get(name).and_then(|text| text.parse().ok()).expect("a count");
        Depth {
            visible: count("ApproximateNumberOfMessages"),
            in_flight: count("ApproximateNumberOfMessagesNotVisible"),
            delayed: count("ApproximateNumberOfMessagesDelayed"),
        }
    }

    /// Waits until it holds no messages, including leased ones, or panics.
    pub fn wait_until_empty(&self) {
        self.wait_until_depth("it is empty", |depth| depth.total() == 0);
    }

    /// Waits until its depth fulfils a condition, or panics.
    pub fn wait_until_depth(&self, what: &str, holds: impl Fn(Depth) -> bool) {
        wait_until(&format!("{what}: {}", self.name), || holds(self.depth()));
    }

    /// All its attributes, such as `VisibilityTimeout`.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let get = self.stack.sqs.get_queue_attributes().queue_url(&self.url).attribute_names(QueueAttributeName::All);
        let found = self.stack.wait("get its attributes", get.send()).attributes.unwrap_or_default();
        found.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
    }

    /// Changes some of its attributes.
    pub fn set_attributes(&self, attributes: &[(&str, &str)]) {
        let set = self.stack.sqs.set_queue_attributes().queue_url(&self.url);
        self.stack.wait("set its attributes", set.set_attributes(Some(owned(attributes))).send());
    }

    /// Deletes all its messages.
    pub fn purge(&self) {
        self.stack.wait("purge a queue", self.stack.sqs.purge_queue().queue_url(&self.url).send());
    }

    /// Deletes it.
    pub fn delete(self) {
        self.stack.wait("delete a queue", self.stack.sqs.delete_queue().queue_url(&self.url).send());
    }
}
