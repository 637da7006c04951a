//! Connecting to topics, and to the queues through which they are read.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use reactor_channel::inspect::Finding;
use reactor_channel::kind::{Connect, Connections, Opened};
use reactor_core::channel::{Remote, Source};

use super::SnsSettings;
use super::filter::filter_policy;
use super::inspect::Inspection;
use super::subscription::Subscription;
use super::topic::SnsTopic;
use crate::aws::Aws;
use crate::aws::inspect::{Setup, report};
use crate::sqs::SqsQueue;

pub(super) struct Sns;

impl Connect for Sns {
    fn open<'a>(&'a self, with: &'a Connections, opened: Opened<'a>) -> BoxFuture<'a, Option<Remote>> {
        async move {
            let SnsSettings { topic, queue, create } = opened.own()?;
            let Opened { channel, readers } = opened;
            let aws = Aws::of(with).await;
            let queue = queue.as_ref().map(|queue| Arc::new(SqsQueue::new(aws.clone(), queue.clone(), *create)));
            let topic = Arc::new(SnsTopic::new(aws, topic.clone(), *create, queue.clone()));
            let policy = filter_policy(channel, readers.iter().flat_map(|reactor| &reactor.on));
            let Some(queue) = queue.filter(|_| !readers.is_empty()) else {
                return Some(Remote { source: None, sink: topic });
            };
            let subscription = Arc::new(Subscription::new(topic, queue, policy, *create));
            Some(Remote { source: Some(Arc::clone(&subscription) as Arc<dyn Source>), sink: subscription })
        }
        .boxed()
    }

    fn source<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Arc<dyn Source>>> {
        async move {
            let queue = channel.own::<SnsSettings>()?.queue.clone()?;
            Some(Arc::new(SqsQueue::new(Aws::of(with).await, queue, false)) as Arc<dyn Source>)
        }
        .boxed()
    }

    fn inspect<'a>(
        &'a self,
        with: &'a Connections,
        channel: Opened<'a>,
        is_written: bool,
    ) -> BoxFuture<'a, Vec<Finding>> {
        async move {
            let Some(SnsSettings { topic, queue, create }) = channel.own() else { return Vec::new() };
            let names: Vec<_> = [topic].into_iter().chain(queue).collect();
            let aws = Aws::of(with).await;
            // A queue without readers is not used. The clients never create anything here, even if `create` is set: the
            // findings report it instead.
            let queue = queue.as_ref().filter(|_| !channel.readers.is_empty());
            let queue = queue.map(|queue| Arc::new(SqsQueue::new(aws.clone(), queue.clone(), false)));
            let topic = SnsTopic::new(aws, topic.clone(), false, queue.clone());
            let inspection = Inspection { channel, setup: Setup::of(*create) };
            let (there, findings) = inspection.subscribed(&topic, queue.as_deref()).await;
            report(there, findings, is_written.then_some("sns:Publish"), &names)
        }
        .boxed()
    }
}
