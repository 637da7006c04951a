//! Topics.

use std::collections::BTreeMap;

use aws_sdk_sns::types::PublishBatchRequestEntry;
use serde_json::Value;

use super::{BATCH, LocalStack, Outgoing, Queue};

/// How a queue receives the messages published on a topic.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Deliver messages as published instead of wrapped in a notification.
    pub raw: bool,
    /// Deliver only matching messages.
    pub filter: Option<Value>,
    /// Apply the filter to the body instead of the message attributes.
    pub filter_on_body: bool,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    pub(super) stack: &'static LocalStack,
    /// Its name, which the configuration may use.
    pub name: String,
    /// Its ARN, which the configuration may use, too.
    pub arn: String,
}

impl Topic {
    /// Subscribes a queue; returns the subscription's ARN.
    pub fn subscribe(&self, queue: &Queue, how: &Subscription) -> String {
        let mut subscribe = self.stack.sns.subscribe().topic_arn(&self.arn).protocol("sqs").endpoint(queue.arn());
        subscribe = subscribe.return_subscription_arn(true).attributes("RawMessageDelivery", how.raw.to_string());
        if let Some(filter) = &how.filter {
            let scope = if how.filter_on_body { "MessageBody" } else { "MessageAttributes" };
            subscribe = subscribe.attributes("FilterPolicy", filter.to_string()).attributes("FilterPolicyScope", scope);
        }
        self.stack.wait("subscribe", subscribe.send()).subscription_arn.expect("its ARN")
    }

    /// The endpoints (ARNs of queues) of its subscriptions and their attributes.
    pub fn subscriptions(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let list = self.stack.sns.list_subscriptions_by_topic().topic_arn(&self.arn);
        let list = self.stack.wait("list subscriptions", list.send()).subscriptions.unwrap_or_default();
        let attributes = list.into_iter().map(|subscription| {
            let arn = subscription.subscription_arn.expect("its ARN");
            let get = self.stack.sns.get_subscription_attributes().subscription_arn(arn);
            let found = self.stack.wait("get its attributes", get.send()).attributes.unwrap_or_default();
            (subscription.endpoint.expect("its endpoint"), found.into_iter().collect())
        });
        attributes.collect()
    }

    /// Publishes one message and returns its id.
    pub fn publish(&self, message: impl Into<Outgoing>) -> String {
        let message = message.into();
        let publish = self.stack.sns.publish().topic_arn(&self.arn).message(&message.body);
        let publish = publish.set_message_attributes(message.sns_attributes());
        let publish = publish.set_message_group_id(message.group).set_message_deduplication_id(message.dedup);
        self.stack.wait("publish a message", publish.send()).message_id.expect("its id")
    }

    /// Publishes any number of messages in order, ten per call.
    pub fn publish_all<M: Into<Outgoing>>(&self, messages: impl IntoIterator<Item = M>) {
        let messages: Vec<Outgoing> = messages.into_iter().map(Into::into).collect();
        for batch in messages.chunks(BATCH) {
            let entry = |(id, message): (usize, &Outgoing)| {
                PublishBatchRequestEntry::builder()
                    .id(id.to_string())
                    .message(&message.body)
                    .set_message_attributes(message.sns_attributes())
                    .set_message_group_id(message.group.clone())
                    .set_message_deduplication_id(message.dedup.clone())
                    .build()
                    .expect("an entry")
            };
            let entries = batch.iter().enumerate().map(entry).collect();
            let publish = self.stack.sns.publish_batch().topic_arn(&self.arn);
            let publish = publish.set_publish_batch_request_entries(Some(entries));
            let published = self.stack.wait("publish messages", publish.send());
            assert!(published.failed().is_empty(), "{:?}", published.failed());
        }
    }

    /// Deletes it and its subscriptions.
    pub fn delete(self) {
        self.stack.wait("delete a topic", self.stack.sns.delete_topic().topic_arn(&self.arn).send());
    }
}
