//! A topic as a source, read through its subscribed queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::BoxFuture;

use reactor_core::channel::{Depth, Leasing, Limits, Receipt, Received, Result, Sink, Source, Trouble};
use reactor_core::event::Message;

use super::filter::FilterPolicy;
use super::settings::{changes, with_permission};
use super::topic::SnsTopic;
use crate::aws::explain;
use crate::sqs::SqsQueue;

/// A topic as a source, read through its subscribed queue.
#[derive(Debug)]
pub(crate) struct Subscription {
    topic: Arc<SnsTopic>,
    queue: Arc<SqsQueue>,
    /// The required filter policy; applied only with `create`.
    filter: Option<FilterPolicy>,
    create: bool,
    ready: Mutex<bool>,
}

impl Subscription {
    /// The subscription of a queue to a topic. With `create`, a missing topic, queue, permission or subscription is
    /// created, and the subscription's settings are corrected; without it, nothing is changed.
    pub(crate) fn new(topic: Arc<SnsTopic>, queue: Arc<SqsQueue>, filter: Option<FilterPolicy>, create: bool) -> Self {
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

    /// Allows the topic to send to the queue.
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

impl Source for Subscription {
    fn limits(&self) -> Limits {
        Source::limits(&*self.queue)
    }

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

    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.queue.acknowledge(receipts)
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>> {
        // The topic's other subscribers have received it already.
        self.queue.resend(message)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth>> {
        self.queue.depth()
    }

    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        let queue: Arc<dyn Source> = Arc::clone(&self.queue) as _;
        queue.leasing()
    }
}

impl Sink for Subscription {
    fn limits(&self) -> Limits {
        Sink::limits(&*self.topic)
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async {
            // Messages published before the queue is subscribed are lost.
            match self.make_ready().await {
                Ok(()) => self.topic.send(messages).await,
                Err(error) => vec![Err(error); messages.len()],
            }
        })
    }

    fn is_ordered(&self) -> bool {
        self.topic.is_ordered()
    }
}
