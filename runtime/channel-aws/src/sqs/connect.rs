//! Connecting to queues.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use reactor_channel::inspect::Finding;
use reactor_channel::kind::{Connect, Connections, Opened};
use reactor_core::channel::{Remote, Source};

use super::{SqsQueue, SqsSettings, inspect};
use crate::aws::Aws;
use crate::aws::inspect::{Setup, report};

pub(super) struct Sqs;

impl Connect for Sqs {
    fn open<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Remote>> {
        async move {
            let SqsSettings { queue, create } = channel.own()?;
            let queue = Arc::new(SqsQueue::new(Aws::of(with).await, queue.clone(), *create));
            let source = (!channel.readers.is_empty()).then(|| Arc::clone(&queue) as Arc<dyn Source>);
            Some(Remote { source, sink: queue })
        }
        .boxed()
    }

    fn source<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Arc<dyn Source>>> {
        async move {
            let SqsSettings { queue, .. } = channel.own()?;
            let queue = SqsQueue::new(Aws::of(with).await, queue.clone(), false);
            Some(Arc::new(queue) as Arc<dyn Source>)
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
            let Some(SqsSettings { queue, create }) = channel.own() else { return Vec::new() };
            // The client never creates anything here, even if `create` is set: the findings report it instead.
            let client = SqsQueue::new(Aws::of(with).await, queue.clone(), false);
            let (seen, findings) = inspect::queue(&client, channel, Setup::of(*create)).await;
            let there = seen.map(|_| format!("queue `{queue}` exists"));
            report(there, findings, is_written.then_some("sqs:SendMessage"), &[queue])
        }
        .boxed()
    }
}
