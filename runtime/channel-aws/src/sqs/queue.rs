//! SQS: a queue as a source and as a sink.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use reactor_config::Written;
use reactor_core::attribute::Attribute;
use reactor_core::channel::{
    ChannelError, Depth, Lease, Leasing, Limits, Receipt, Received, Result, Sink, Source, Trouble,
};
use reactor_core::event::{Message, SystemAttributes};

use super::LIMITS;
use crate::aws::arn::QueueArn;
use crate::aws::batch::{Outgoing, each, in_order, send_all};
use crate::aws::message::fifo;
use crate::aws::{Aws, Tried, explain, explain_entry, silence};

/// The system attributes requested with each message.
const SYSTEM: [MessageSystemAttributeName; 4] = [
    MessageSystemAttributeName::SentTimestamp,
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::MessageDeduplicationId,
];

/// An SQS queue, which need not exist yet.
#[derive(Debug)]
pub struct SqsQueue {
    pub(crate) aws: Aws,
    /// Name, URL or ARN.
    pub(crate) queue: Written,
    create: bool,
    url: Mutex<Option<Arc<str>>>,
}

impl SqsQueue {
    /// A queue by name, URL or ARN; if `create`, it is created when found missing. A URL or an ARN names an existing
    /// queue, perhaps of another account, so it is never created.
    pub fn new(aws: Aws, queue: Written, create: bool) -> Self {
        let is_name = !queue.meaning().contains(':');
        Self { aws, queue, create: create && is_name, url: Mutex::default() }
    }

    fn is_fifo(&self) -> bool {
        self.queue.meaning().ends_with(".fifo")
    }

    pub(crate) fn what<'w>(&'w self, doing: &'w str) -> Tried<'w> {
        Tried { doing, kind: "queue", name: &self.queue }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.url.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue's URL, resolved at first use.
    pub(crate) async fn url(&self) -> Result<Arc<str>> {
        if let Some(url) = self.known().clone() {
            return Ok(url);
        }
        if self.queue.meaning().contains("://") {
            return Ok(self.queue.meaning().into());
        }
        let mut request = self.aws.sqs.get_queue_url();
        request = match QueueArn::parse(self.queue.meaning()) {
            Some(arn) => {
                self.is_here(&arn)?;
                request.queue_name(arn.name).queue_owner_aws_account_id(arn.account)
            }
            None => request.queue_name(self.queue.meaning()),
        };
        let answer = request.send().await;
        let found = answer.map_err(|error| explain(&self.what("looking for"), &error));
        let url = match found {
            Ok(answer) => answer.queue_url,
            Err(error) if error.trouble == Trouble::Missing && self.create => self.make().await?,
            Err(error) => return Err(error),
        };
        let url: Arc<str> = url.ok_or_else(|| silence(&self.what("looking for")))?.into();
        *self.known() = Some(Arc::clone(&url));
        Ok(url)
    }

    /// The clients use one region only: a queue in another region would seem to be missing.
    fn is_here(&self, arn: &QueueArn<'_>) -> Result<()> {
        match self.aws.sqs.config().region().map(AsRef::as_ref) {
            Some(region) if region != arn.region => {
                let what = self.what("looking for");
                let there = self.queue.hide(arn.region);
                let detail = format!(
                    "{what}: it is in region {there}, and the host uses {region}; set AWS_REGION to the region of the queue"
                );
                Err(ChannelError { trouble: Trouble::Misconfigured, detail })
            }
            _ => Ok(()),
        }
    }

    async fn make(&self) -> Result<Option<String>> {
        let mut request = self.aws.sqs.create_queue().queue_name(self.queue.meaning());
        if self.is_fifo() {
            request = request.attributes(QueueAttributeName::FifoQueue, "true");
        }
        let made = request.send().await.map_err(|error| explain(&self.what("making"), &error))?;
        tracing::info!(queue = %self.queue, "created the queue");
        Ok(made.queue_url)
    }

    /// Forgets the queue's URL if the error says that the queue is missing.
    fn noted(&self, error: ChannelError) -> ChannelError {
        if error.trouble == Trouble::Missing {
            *self.known() = None;
        }
        error
    }

    /// Some of the queue's attributes.
    pub(crate) async fn attributes(
        &self,
        names: Vec<QueueAttributeName>,
    ) -> Result<std::collections::HashMap<QueueAttributeName, String>> {
        let url = self.url().await?;
        let request = self.aws.sqs.get_queue_attributes().queue_url(&*url).set_attribute_names(Some(names));
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.noted(explain(&self.what("looking at"), &error)))?;
        Ok(answer.attributes.unwrap_or_default())
    }

    /// The queue's ARN.
    pub(crate) async fn arn(&self) -> Result<String> {
        let mut found = self.attributes(vec![QueueAttributeName::QueueArn]).await?;
        found.remove(&QueueAttributeName::QueueArn).ok_or_else(|| silence(&self.what("looking at")))
    }

    async fn take(&self, max: usize, wait: Duration, lease: Duration) -> Result<Vec<Received>> {
        let url = self.url().await?;
        let request = self.aws.receiving.receive_message().queue_url(&*url);
        let answer = request
            .max_number_of_messages(i32::try_from(max.clamp(1, LIMITS.batch)).unwrap_or(1))
            .wait_time_seconds(seconds(wait.min(LIMITS.wait)))
            .visibility_timeout(seconds(lease))
            .message_attribute_names("All")
            .set_message_system_attribute_names(Some(SYSTEM.to_vec()))
            .send()
            .await
            .map_err(|error| self.noted(explain(&self.what("receiving from"), &error)))?;
        let is_fifo = self.is_fifo();
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(|message| received(message, is_fifo)).collect())
    }

    async fn delete_all(&self, receipts: &[Receipt]) -> Result<Vec<Result<()>>> {
        let url = self.url().await?;
        let what = self.what("deleting from");
        let mut entries = Vec::with_capacity(receipts.len());
        for (index, receipt) in receipts.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(&receipt.0);
            entries.push(entry.build().map_err(|error| misuse(&what, &error))?);
        }
        let request = self.aws.sqs.delete_message_batch().queue_url(&*url).set_entries(Some(entries));
        let answer = request.send().await.map_err(|error| self.noted(explain(&what, &error)))?;
        let done = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(sorted(&what, receipts.len(), done, &answer.failed))
    }

    async fn lease_all(&self, receipts: &[(Receipt, Lease)]) -> Result<Vec<Result<()>>> {
        let url = self.url().await?;
        let what = self.what("setting leases on");
        let mut entries = Vec::with_capacity(receipts.len());
        for (index, (receipt, lease)) in receipts.iter().enumerate() {
            // To the queue, both hide the message for a while.
            let (Lease::Extend(hidden) | Lease::GiveBack(hidden)) = lease;
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&receipt.0)
                .visibility_timeout(seconds(*hidden));
            entries.push(entry.build().map_err(|error| misuse(&what, &error))?);
        }
        let request = self.aws.sqs.change_message_visibility_batch().queue_url(&*url).set_entries(Some(entries));
        let answer = request.send().await.map_err(|error| self.noted(explain(&what, &error)))?;
        let done = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(sorted(&what, receipts.len(), done, &answer.failed))
    }

    /// Sends messages, selected by number, in one call.
    async fn send_batch(&self, messages: &[Message], batch: &[usize]) -> Result<Vec<Result<()>>> {
        let url = self.url().await?;
        let what = self.what("sending to");
        let mut entries = Vec::with_capacity(batch.len());
        for (id, index) in batch.iter().enumerate() {
            let entry = self.entry(id, &messages[*index]).map_err(|error| misuse(&what, &error))?;
            entries.push(entry);
        }
        let request = self.aws.sqs.send_message_batch().queue_url(&*url).set_entries(Some(entries));
        let answer = request.send().await.map_err(|error| self.noted(explain(&what, &error)))?;
        let done = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(sorted(&what, batch.len(), done, &answer.failed))
    }

    fn entry(&self, id: usize, message: &Message) -> Result<SendMessageBatchRequestEntry, BuildError> {
        let body = String::from_utf8_lossy(&message.body);
        let mut entry = SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(body);
        for attribute in &message.attributes {
            entry = entry.message_attributes(&attribute.name, outgoing(attribute)?);
        }
        if self.is_fifo() {
            let (group, dedup) = fifo(message);
            entry = entry.message_group_id(group).message_deduplication_id(dedup);
        }
        entry.build()
    }
}

impl Source for SqsQueue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, Result<Vec<Received>>> {
        Box::pin(self.take(max, wait, lease))
    }

    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async { each(receipts.len(), self.delete_all(receipts).await) })
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.send(std::slice::from_ref(message)).await.pop().unwrap_or(Ok(())) })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth>> {
        Box::pin(async {
            let names = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            ];
            let found = self.attributes(names.to_vec()).await?;
            let count = |name| found.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
            Ok(Depth { visible: count(&names[0]), in_flight: count(&names[1]), delayed: count(&names[2]) })
        })
    }

    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        Some(self)
    }
}

impl Leasing for SqsQueue {
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Lease)]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async { each(receipts.len(), self.lease_all(receipts).await) })
    }
}

impl Sink for SqsQueue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            let call = |batch: Vec<usize>| async move { self.send_batch(messages, &batch).await }.boxed();
            send_all(messages, LIMITS.bytes, call).await
        })
    }

    fn is_ordered(&self) -> bool {
        self.is_fifo()
    }
}

/// A received message. In a standard queue, groups imply no order.
fn received(message: aws_sdk_sqs::types::Message, is_fifo: bool) -> Option<Received> {
    let receipt = Receipt(message.receipt_handle?);
    let system = message.attributes.unwrap_or_default();
    let get = |name| system.get(&name).cloned();
    let found = message.message_attributes.unwrap_or_default().into_iter();
    let mut attributes: Vec<Attribute> = found.filter_map(|(name, value)| incoming(name, value)).collect();
    // The SDK returns them in no particular order.
    attributes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Some(Received {
        message: Message {
            body: message.body.unwrap_or_default().into(),
            attributes,
            system: SystemAttributes {
                message_id: message.message_id,
                dedup_id: get(MessageSystemAttributeName::MessageDeduplicationId),
                group_id: get(MessageSystemAttributeName::MessageGroupId).filter(|_| is_fifo),
            },
        },
        receipt,
        sent: get(MessageSystemAttributeName::SentTimestamp)
            .and_then(|millis| Timestamp::from_millisecond(millis.parse().ok()?).ok()),
        receives: get(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|n| n.parse().ok()).unwrap_or(1),
    })
}

/// An attribute with the type it was received with.
fn incoming(name: String, value: MessageAttributeValue) -> Option<Attribute> {
    match (value.binary_value, value.string_value) {
        (Some(bytes), _) => Some(Attribute::binary(name, value.data_type, bytes.into_inner())),
        (None, Some(text)) => Some(Attribute::typed(name, value.data_type, text)),
        (None, None) => None,
    }
}

/// An attribute as it is sent.
fn outgoing(attribute: &Attribute) -> std::result::Result<MessageAttributeValue, BuildError> {
    let Outgoing { kind, text, bytes } = Outgoing::of(attribute);
    MessageAttributeValue::builder().data_type(kind).set_string_value(text).set_binary_value(bytes).build()
}

/// Whole seconds, rounded up: a lease must not be shorter than intended.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}

fn misuse(what: &Tried<'_>, error: &BuildError) -> ChannelError {
    ChannelError { trouble: Trouble::Refused, detail: format!("{what}: {error}") }
}

/// The results of a call, in the order of its entries.
fn sorted<'a>(
    what: &Tried<'_>,
    count: usize,
    done: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Result<()>> {
    let failed = failed.iter().map(|entry| {
        let error = explain_entry(what, &entry.code, entry.message.as_deref(), entry.sender_fault);
        (entry.id.clone(), Err(error))
    });
    in_order(what, count, done.map(|id| (id.to_owned(), Ok(()))).chain(failed))
}
