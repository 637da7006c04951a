//! SNS: a topic as a sink, and the queue that is subscribed to it as a source.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sns::primitives::Blob;
use aws_sdk_sns::types::{BatchResultErrorEntry, MessageAttributeValue, PublishBatchRequestEntry};
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::aws::{Aws, Tried, explain, explain_entry, silence};
use super::filter::FilterPolicy;
use super::sqs::{SqsQueue, each};
use super::{ChannelError, Depth, Receipt, Received, Result, Sink, Source, Trouble, message};
use crate::attribute::{Attribute, AttributeValue, TEXT};
use crate::config::Written;
use crate::event::Message;

/// Most bytes of a message, and of a batch.
const MAX_BYTES: usize = 256 << 10;
/// The filter policy that filters nothing.
const NO_POLICY: &str = "{}";

/// An SNS topic, which need not be there yet.
#[derive(Debug)]
pub struct SnsTopic {
    pub(super) aws: Aws,
    /// Name or ARN.
    pub(super) topic: Written,
    create: bool,
    arn: Mutex<Option<Arc<str>>>,
    /// The queue that it is read through: it tells region and account of a topic that is known by name.
    queue: Option<Arc<SqsQueue>>,
}

impl SnsTopic {
    /// A topic by name or ARN; if `create`, it is made when it turns out to be missing.
    pub fn new(aws: Aws, topic: Written, create: bool, queue: Option<Arc<SqsQueue>>) -> Self {
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

    /// The topic's ARN, found out at first use.
    pub(super) async fn arn(&self) -> Result<Arc<str>> {
        if let Some(arn) = self.known().clone() {
            return Ok(arn);
        }
        // What has an ARN is somewhere, and perhaps somebody else's.
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

    /// Makes the topic; SNS answers with the one that is there, if there is one.
    async fn make(&self) -> Result<String> {
        let mut request = self.aws.sns.create_topic().name(self.name());
        if self.is_fifo() {
            request = request.attributes("FifoTopic", "true");
        }
        let made = request.send().await.map_err(|error| explain(&self.what("making"), &error))?;
        made.topic_arn.ok_or_else(|| silence(&self.what("making")))
    }

    /// A topic's name is no address. Its queue is in the same account and region as a rule; otherwise they are listed.
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
        let mut answers = vec![Err(silence(&what)); batch.len()];
        let done = answer.successful.unwrap_or_default().into_iter().filter_map(|entry| Some((entry.id?, Ok(()))));
        let failed = answer.failed.unwrap_or_default().into_iter().map(|entry| failed(&what, entry));
        for (id, answer) in done.chain(failed) {
            if let Some(slot) = id.parse().ok().and_then(|index: usize| answers.get_mut(index)) {
                *slot = answer;
            }
        }
        Ok(answers)
    }

    fn entry(&self, id: usize, message: &Message) -> Result<PublishBatchRequestEntry, aws_sdk_sns::error::BuildError> {
        let body = String::from_utf8_lossy(&message.body);
        let mut entry = PublishBatchRequestEntry::builder().id(id.to_string()).message(body);
        for attribute in &message.attributes {
            entry = entry.message_attributes(&attribute.name, outgoing(attribute)?);
        }
        if self.is_fifo() {
            let (group, dedup) = message::fifo(message);
            entry = entry.message_group_id(group).message_deduplication_id(dedup);
        }
        entry.build()
    }

    /// The subscription of a queue to this topic, if there is one.
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

/// The ARN of a topic beside a queue.
fn sibling(queue: &str, topic: &str) -> Option<String> {
    let mut parts: Vec<&str> = queue.split(':').collect();
    let [_, _, service, _, _, name] = &mut parts[..] else { return None };
    (*service, *name) = ("sns", topic);
    Some(parts.join(":"))
}

impl Sink for SnsTopic {
    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async {
            let mut answers: Vec<Result<()>> = messages.iter().map(|m| message::check(m, MAX_BYTES)).collect();
            let sendable: Vec<usize> = (0..messages.len()).filter(|index| answers[*index].is_ok()).collect();
            for batch in message::batches(messages, &sendable, MAX_BYTES) {
                let mut sent = each(batch.len(), self.publish(messages, &batch).await);
                if batch.len() > 1 && sent.iter().all(message::is_refused) {
                    // One of them, or all of them together, were too much.
                    for (index, answer) in batch.iter().zip(&mut sent) {
                        *answer = each(1, self.publish(messages, &[*index]).await).remove(0);
                    }
                }
                batch.into_iter().zip(sent).for_each(|(index, answer)| answers[index] = answer);
            }
            answers
        })
    }

    fn is_ordered(&self) -> bool {
        self.is_fifo()
    }

    fn max_batch_bytes(&self) -> usize {
        MAX_BYTES
    }
}

/// What a topic publishes, through the queue that is subscribed to it.
#[derive(Debug)]
pub struct Subscription {
    pub(super) topic: Arc<SnsTopic>,
    pub(super) queue: Arc<SqsQueue>,
    /// What the subscription should filter; nothing is changed unless `create` says so.
    filter: Option<FilterPolicy>,
    create: bool,
    ready: Mutex<bool>,
}

impl Subscription {
    /// The subscription of a queue to a topic. With `create`, topic, queue, permission and subscription are made where
    /// they are missing, and the subscription is brought in line; without, nothing is changed.
    pub fn new(topic: Arc<SnsTopic>, queue: Arc<SqsQueue>, filter: Option<FilterPolicy>, create: bool) -> Self {
        Self { topic, queue, filter, create, ready: Mutex::new(!create) }
    }

    fn set_ready(&self, ready: bool) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = ready || !self.create;
    }

    async fn make_ready(&self) -> Result<()> {
        if *self.ready.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        let (topic, queue) = (self.topic.arn().await?, self.queue.arn().await?);
        self.allow(&topic, &queue).await?;
        match self.topic.subscription(&queue).await? {
            Some(subscription) => self.bring_in_line(&subscription).await?,
            None => self.subscribe(&topic, &queue).await?,
        }
        self.set_ready(true);
        Ok(())
    }

    /// The topic may send to the queue.
    async fn allow(&self, topic: &str, queue: &str) -> Result<()> {
        let found = self.queue.attributes(vec![QueueAttributeName::Policy]).await?;
        let policy = found.get(&QueueAttributeName::Policy).map_or("", String::as_str);
        let Some(policy) = with_permission(policy, topic, queue) else { return Ok(()) };
        let url = self.queue.url().await?;
        let request = self.queue.aws.sqs.set_queue_attributes().queue_url(&*url);
        let answer = request.attributes(QueueAttributeName::Policy, policy.to_string()).send().await;
        answer.map_err(|error| explain(&self.queue.what("setting the policy of"), &error))?;
        let (topic, queue) = (self.topic.topic.hide(topic), self.queue.queue.hide(queue));
        tracing::info!(%topic, %queue, "allowed the topic to send to the queue");
        Ok(())
    }

    async fn subscribe(&self, topic: &str, queue: &str) -> Result<()> {
        let request = self.topic.aws.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(queue);
        let mut request = request.attributes("RawMessageDelivery", "true");
        if let Some(filter) = &self.filter {
            request = request.attributes("FilterPolicy", filter.policy.to_string());
            request = request.attributes("FilterPolicyScope", filter.scope);
        }
        request.send().await.map_err(|error| explain(&self.topic.what("subscribing to"), &error))?;
        let (topic, queue) = (self.topic.topic.hide(topic), self.queue.queue.hide(queue));
        tracing::info!(%topic, %queue, "subscribed the queue to the topic");
        Ok(())
    }

    async fn bring_in_line(&self, subscription: &str) -> Result<()> {
        let found = self.topic.subscription_attributes(subscription).await?;
        for (name, value) in changes(&found, self.filter.as_ref()) {
            let request = self.topic.aws.sns.set_subscription_attributes().subscription_arn(subscription);
            let answer = request.attribute_name(name).attribute_value(&value).send().await;
            answer.map_err(|error| explain(&self.topic.what("changing the subscription of"), &error))?;
            let subscription = self.topic.topic.hide(subscription);
            tracing::info!(%subscription, name, value, "changed the subscription");
        }
        Ok(())
    }
}

/// The statement of a queue's policy that lets a topic send to the queue.
pub(super) fn permission(topic: &str, queue: &str) -> Value {
    json!({
        "Sid": format!("reactor-{}", topic.rsplit(':').next().unwrap_or_default()),
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
    })
}

/// The queue's policy with a permission for the topic; `None` if it has one.
fn with_permission(policy: &str, topic: &str, queue: &str) -> Option<Value> {
    if allows(policy, topic) {
        return None;
    }
    let mut policy: Value = serde_json::from_str(policy).unwrap_or_else(|_| json!({ "Version": "2012-10-17" }));
    // A single statement may stand without a list around it.
    let mut statements = match policy["Statement"].take() {
        Value::Array(statements) => statements,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    statements.push(permission(topic, queue));
    policy["Statement"] = statements.into();
    Some(policy)
}

/// Whether a queue's policy has an allowing statement that names the topic.
pub(super) fn allows(policy: &str, topic: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    statements(&policy).iter().any(|statement| statement["Effect"] == "Allow" && names(statement, topic))
}

/// Whether this very text stands anywhere in a value.
fn names(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(values) => values.iter().any(|value| names(value, text)),
        Value::Object(fields) => fields.values().any(|value| names(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The statements of a policy. A single one may stand without a list around it.
pub(super) fn statements(policy: &Value) -> &[Value] {
    match &policy["Statement"] {
        Value::Array(statements) => statements,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// What has to be set, in this order, on a subscription with these attributes.
pub(super) fn changes(found: &HashMap<String, String>, filter: Option<&FilterPolicy>) -> Vec<(&'static str, String)> {
    let has = |name: &str| found.get(name).map(String::as_str);
    let mut changes = Vec::new();
    if has("RawMessageDelivery") != Some("true") {
        changes.push(("RawMessageDelivery", "true".to_owned()));
    }
    let policy = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let present = policy(has("FilterPolicy").unwrap_or(NO_POLICY));
    match filter {
        Some(filter) => {
            let moves = has("FilterPolicyScope").unwrap_or("MessageAttributes") != filter.scope;
            if moves {
                // In the new scope the old policy would let nothing through, or not be valid at all.
                if present != policy(NO_POLICY) {
                    changes.push(("FilterPolicy", NO_POLICY.to_owned()));
                }
                changes.push(("FilterPolicyScope", filter.scope.to_owned()));
            }
            if moves || present != filter.policy {
                changes.push(("FilterPolicy", filter.policy.to_string()));
            }
        }
        None if present != policy(NO_POLICY) => changes.push(("FilterPolicy", NO_POLICY.to_owned())),
        None => {}
    }
    changes
}

/// An attribute as it is published: with the type that it was received with.
fn outgoing(attribute: &Attribute) -> std::result::Result<MessageAttributeValue, aws_sdk_sns::error::BuildError> {
    let value = MessageAttributeValue::builder().data_type(&*attribute.kind);
    match &attribute.value {
        AttributeValue::Text(text) | AttributeValue::Number(text) => value.string_value(text),
        AttributeValue::Boolean(truth) => value.data_type(TEXT).string_value(truth.to_string()),
        AttributeValue::Binary(bytes) => value.binary_value(Blob::new(&bytes[..])),
    }
    .build()
}

impl Source for Subscription {
    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, Result<Vec<Received>>> {
        Box::pin(async move {
            self.make_ready().await?;
            let received = self.queue.receive(max, wait, lease).await;
            if received.as_ref().is_err_and(|error| error.trouble == Trouble::Missing) {
                self.set_ready(false);
            }
            received
        })
    }

    fn delete<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.queue.delete(receipts)
    }

    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Duration)]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.queue.lease(receipts)
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>> {
        // Other subscribers of the topic have had it.
        self.queue.resend(message)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth>> {
        self.queue.depth()
    }
}

impl Sink for Subscription {
    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async {
            // What is published before the queue is subscribed reaches nobody.
            match self.make_ready().await {
                Ok(()) => self.topic.send(messages).await,
                Err(error) => vec![Err(error); messages.len()],
            }
        })
    }

    fn is_ordered(&self) -> bool {
        self.topic.is_ordered()
    }

    fn max_batch_bytes(&self) -> usize {
        self.topic.max_batch_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:news";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:inbox";

    #[test]
    fn attributes_are_published_with_the_types_that_they_were_received_with() {
        let sent = |attribute: &Attribute| {
            let value = outgoing(attribute).expect("a value");
            let bytes = value.binary_value().map(|bytes| bytes.as_ref().to_vec());
            (value.data_type().to_owned(), value.string_value().map(str::to_owned), bytes)
        };
        let (text, bytes) = (|kind: &str, text: &str| (kind.into(), Some(text.into()), None), vec![0, 1, 255]);
        assert_eq!(sent(&("tenant", "acme").into()), text("String", "acme"));
        assert_eq!(sent(&Attribute::typed("w", "Number.float", "1.50")), text("Number.float", "1.50"));
        assert_eq!(sent(&Attribute::typed("n", "Number", "+1")), text("Number", "+1"));
        assert_eq!(sent(&Attribute::typed("l", "String.Array", "[1]")), text("String.Array", "[1]"));
        let binary = Attribute::binary("k", "Binary.key", bytes.clone());
        assert_eq!(sent(&binary), ("Binary.key".into(), None, Some(bytes)));
    }

    #[test]
    fn a_topic_is_looked_for_beside_its_queue() {
        assert_eq!(sibling(QUEUE, "news").as_deref(), Some(TOPIC));
        assert_eq!(sibling("inbox", "news"), None);
    }

    #[test]
    fn a_permission_is_added_once_and_nothing_else_is_touched() {
        let first = with_permission("", TOPIC, QUEUE).expect("a policy");
        assert!(allows(&first.to_string(), TOPIC) && !allows(&first.to_string(), QUEUE.replace("sqs", "sns").as_str()));
        assert_eq!(with_permission(&first.to_string(), TOPIC, QUEUE), None);
        assert!(!allows(&first.to_string(), &TOPIC[..TOPIC.len() - 1]), "the name of another one begins so");
        let theirs = json!({ "Version": "2012-10-17", "Statement": { "Sid": "theirs", "Effect": "Deny" } });
        let both = with_permission(&theirs.to_string(), TOPIC, QUEUE).expect("a policy");
        assert_eq!(
            (&both["Statement"][0]["Sid"], &both["Statement"][1]["Effect"]),
            (&json!("theirs"), &json!("Allow"))
        );
    }

    #[test]
    fn a_subscription_is_changed_only_where_it_differs() {
        let filter = FilterPolicy { scope: "MessageBody", policy: json!({ "eventType": ["a"] }) };
        let names = |found: &[(&str, &str)], filter: Option<&FilterPolicy>| -> Vec<&str> {
            let found = found.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            changes(&found, filter).into_iter().map(|(name, _)| name).collect()
        };
        let raw = ("RawMessageDelivery", "true");
        let body = ("FilterPolicyScope", "MessageBody");
        assert_eq!(names(&[], Some(&filter)), ["RawMessageDelivery", "FilterPolicyScope", "FilterPolicy"]);
        assert_eq!(names(&[raw, body, ("FilterPolicy", r#"{ "eventType": [ "a" ] }"#)], Some(&filter)), [""; 0]);
        assert_eq!(names(&[raw, body, ("FilterPolicy", r#"{"eventType":["b"]}"#)], Some(&filter)), ["FilterPolicy"]);
        let old = ("FilterPolicy", r#"{"kind":["b"]}"#);
        assert_eq!(names(&[raw, old], Some(&filter)), ["FilterPolicy", "FilterPolicyScope", "FilterPolicy"]);
        assert_eq!(names(&[raw, ("FilterPolicy", r#"{"a":["b"]}"#)], None), ["FilterPolicy"]);
        assert_eq!(names(&[raw], None), [""; 0]);
    }
}
