//! A topic as a sink.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::{BatchResultErrorEntry, MessageAttributeValue, PublishBatchRequestEntry};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use reactor_config::Written;
use reactor_core::attribute::Attribute;
use reactor_core::channel::{ChannelError, Limits, Result, Sink, Trouble};
use reactor_core::event::Message;

use super::LIMITS;
use crate::aws::batch::{Outgoing, in_order, send_all};
use crate::aws::message::fifo;
use crate::aws::{Aws, Tried, explain, explain_entry, silence};
use crate::sqs::SqsQueue;

/// An SNS topic, which need not exist yet.
#[derive(Debug)]
pub(crate) struct SnsTopic {
    pub(super) aws: Aws,
    /// Name or ARN.
    pub(super) topic: Written,
    create: bool,
    arn: Mutex<Option<Arc<str>>>,
    /// The queue through which it is read; gives the region and account of a topic known only by name.
    queue: Option<Arc<SqsQueue>>,
}

impl SnsTopic {
    /// A topic by name or ARN; if `create`, it is created when found missing.
    pub(crate) fn new(aws: Aws, topic: Written, create: bool, queue: Option<Arc<SqsQueue>>) -> Self {
        Self { aws, topic, create, arn: Mutex::default(), queue }
    }

    fn name(&self) -> &str {
        self.topic.meaning().rsplit(':').next().unwrap_or_default()
    }

    fn is_fifo(&self) -> bool {
        self.topic.meaning().ends_with(".fifo")
    }

    pub(super) fn what<'w>(&'w self, doing: &'w str) -> Tried<'w> {
        Tried { doing, kind: "topic", name: &self.topic }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.arn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted(&self, error: ChannelError) -> ChannelError {
        if error.trouble == Trouble::Missing {
            *self.known() = None;
        }
        error
    }

    /// The topic's ARN, resolved at first use.
    pub(super) async fn arn(&self) -> Result<Arc<str>> {
        if let Some(arn) = self.known().clone() {
            return Ok(arn);
        }
        // An ARN names an existing topic, perhaps of another account, so it is never created.
        let arn: Arc<str> = if self.topic.meaning().starts_with("arn:") {
            self.topic.meaning().into()
        } else if self.create {
            self.make().await?.into()
        } else {
            self.find().await?.into()
        };
        *self.known() = Some(Arc::clone(&arn));
        Ok(arn)
    }

    /// Creates the topic; if it exists, SNS returns the existing one.
    async fn make(&self) -> Result<String> {
        let mut request = self.aws.sns.create_topic().name(self.name());
        if self.is_fifo() {
            request = request.attributes("FifoTopic", "true");
        }
        let made = request.send().await.map_err(|error| explain(&self.what("making"), &error))?;
        made.topic_arn.ok_or_else(|| silence(&self.what("making")))
    }

    /// A topic's name is not an address. Usually its queue is in the same account and region; otherwise topics are
    /// listed.
    async fn find(&self) -> Result<String> {
        if let Some(queue) = &self.queue
            && let Some(arn) = queue.arn().await.ok().and_then(|arn| sibling(&arn, self.name()))
            && self.aws.sns.get_topic_attributes().topic_arn(&arn).send().await.is_ok()
        {
            return Ok(arn);
        }
        let what = self.what("looking for");
        let mut pages = self.aws.sns.list_topics().into_paginator().send();
        let tail = format!(":{}", self.name());
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain(&what, &error))?;
            let found = page.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.topic_arn);
            if let Some(arn) = found.into_iter().find(|arn| arn.ends_with(&tail)) {
                return Ok(arn);
            }
        }
        let detail = format!("{what}: there is none of this name; create it, or set `create = true`");
        Err(ChannelError { trouble: Trouble::Missing, detail })
    }

    async fn publish(&self, messages: &[Message], batch: &[usize]) -> Result<Vec<Result<()>>> {
        let arn = self.arn().await?;
        let what = self.what("publishing to");
        let mut entries = Vec::with_capacity(batch.len());
        for (id, index) in batch.iter().enumerate() {
            let entry = self
                .entry(id, &messages[*index])
                .map_err(|error| ChannelError { trouble: Trouble::Refused, detail: format!("{what}: {error}") })?;
            entries.push(entry);
        }
        let request = self.aws.sns.publish_batch().topic_arn(&*arn).set_publish_batch_request_entries(Some(entries));
        let answer = request.send().await.map_err(|error| self.noted(explain(&what, &error)))?;
        let done = answer.successful.unwrap_or_default().into_iter().filter_map(|entry| Some((entry.id?, Ok(()))));
        let failed = answer.failed.unwrap_or_default().into_iter().map(|entry| failed(&what, entry));
        Ok(in_order(&what, batch.len(), done.chain(failed)))
    }

    fn entry(&self, id: usize, message: &Message) -> Result<PublishBatchRequestEntry, BuildError> {
        let body = String::from_utf8_lossy(&message.body);
        let mut entry = PublishBatchRequestEntry::builder().id(id.to_string()).message(body);
        for attribute in &message.attributes {
            entry = entry.message_attributes(&attribute.name, outgoing(attribute)?);
        }
        if self.is_fifo() {
            let (group, dedup) = fifo(message);
            entry = entry.message_group_id(group).message_deduplication_id(dedup);
        }
        entry.build()
    }

    /// The subscription of a queue to this topic, if it exists.
    pub(super) async fn subscription(&self, queue: &str) -> Result<Option<String>> {
        let arn = self.arn().await?;
        let what = self.what("looking at the subscriptions of");
        let mut pages = self.aws.sns.list_subscriptions_by_topic().topic_arn(&*arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.noted(explain(&what, &error)))?;
            for found in page.subscriptions.unwrap_or_default() {
                if found.endpoint.as_deref() == Some(queue) {
                    return Ok(found.subscription_arn);
                }
            }
        }
        Ok(None)
    }

    /// The attributes of a subscription.
    pub(super) async fn subscription_attributes(&self, arn: &str) -> Result<HashMap<String, String>> {
        let what = self.what("looking at a subscription of");
        let answer = self.aws.sns.get_subscription_attributes().subscription_arn(arn).send().await;
        Ok(answer.map_err(|error| explain(&what, &error))?.attributes.unwrap_or_default())
    }
}

fn failed(what: &Tried<'_>, entry: BatchResultErrorEntry) -> (String, Result<()>) {
    let error = explain_entry(what, &entry.code, entry.message.as_deref(), entry.sender_fault);
    (entry.id, Err(error))
}

/// An attribute as it is published.
fn outgoing(attribute: &Attribute) -> std::result::Result<MessageAttributeValue, BuildError> {
    let Outgoing { kind, text, bytes } = Outgoing::of(attribute);
    MessageAttributeValue::builder().data_type(kind).set_string_value(text).set_binary_value(bytes).build()
}

/// The ARN of a topic in the account and region of a queue.
fn sibling(queue: &str, topic: &str) -> Option<String> {
    let mut parts: Vec<&str> = queue.split(':').collect();
    let [_, _, service, _, _, name] = &mut parts[..] else { return None };
    (*service, *name) = ("sns", topic);
    Some(parts.join(":"))
}

impl Sink for SnsTopic {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            let call = |batch: Vec<usize>| async move { self.publish(messages, &batch).await }.boxed();
            send_all(messages, LIMITS.bytes, call).await
        })
    }

    fn is_ordered(&self) -> bool {
        self.is_fifo()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:news";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:inbox";

    #[test]
    fn a_topic_is_looked_for_beside_its_queue() {
        assert_eq!(sibling(QUEUE, "news").as_deref(), Some(TOPIC));
        assert_eq!(sibling("inbox", "news"), None);
    }
}
