//! A shelf as a source and as a sink.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use reactor_core::channel::{ChannelError, Depth, Limits, Receipt, Received, Result, Sink, Source, Trouble};
use reactor_core::clock::{Clock, within};
use reactor_core::event::Message;

use super::LIMITS;
use crate::support::clock::DrivenClock;

pub(crate) struct Shelf {
    clock: DrivenClock,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Message>,
    taken: Vec<String>,
    next: u64,
    /// The largest number of messages that was asked for, and that came, in one call.
    most: usize,
}

impl Shelf {
    pub(crate) fn new(clock: &DrivenClock) -> Self {
        Self { clock: clock.clone(), inner: Mutex::default(), changed: Notify::new() }
    }

    pub(crate) fn put(&self, message: Message) {
        self.inner().waiting.push_back(message);
        self.changed.notify_one();
    }

    /// The messages that have not been taken.
    pub(crate) fn waiting(&self) -> Vec<Message> {
        self.inner().waiting.iter().cloned().collect()
    }

    /// How many have been taken and not been acknowledged.
    pub(crate) fn taken(&self) -> usize {
        self.inner().taken.len()
    }

    pub(crate) fn largest_call(&self) -> usize {
        self.inner().most
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, message: &Message) -> Result<()> {
        if message.size() > LIMITS.bytes {
            return Err(ChannelError { trouble: Trouble::Refused, detail: "too heavy for the shelf".to_owned() });
        }
        self.put(message.clone());
        Ok(())
    }

    fn take(&self, max: usize) -> Vec<Received> {
        let mut inner = self.inner();
        inner.most = inner.most.max(max);
        let count = max.min(inner.waiting.len());
        let messages: Vec<Message> = inner.waiting.drain(..count).collect();
        let received = messages.into_iter().map(|mut message| {
            inner.next += 1;
            let receipt = inner.next.to_string();
            inner.taken.push(receipt.clone());
            message.system.message_id = Some(receipt.clone());
            Received { message, receipt: Receipt(receipt), sent: None, receives: 1 }
        });
        received.collect()
    }
}

impl Source for Shelf {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn receive(&self, max: usize, wait: Duration, _: Duration) -> BoxFuture<'_, Result<Vec<Received>>> {
        Box::pin(async move {
            let taken = self.take(max);
            if !taken.is_empty() {
                return Ok(taken);
            }
            within(self.clock.sleep(wait), self.changed.notified()).await;
            Ok(self.take(max))
        })
    }

    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async {
            let mut inner = self.inner();
            inner.most = inner.most.max(receipts.len());
            let mut answer = |receipt: &Receipt| -> Result<()> {
                let found = inner.taken.iter().position(|taken| *taken == receipt.0);
                let detail = "nobody has taken it".to_owned();
                let at = found.ok_or(ChannelError { trouble: Trouble::StaleReceipt, detail })?;
                inner.taken.remove(at);
                Ok(())
            };
            receipts.iter().map(&mut answer).collect()
        })
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.put(message.clone());
            Ok(())
        })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth>> {
        Box::pin(async {
            let inner = self.inner();
            Ok(Depth { visible: inner.waiting.len() as u64, in_flight: inner.taken.len() as u64, delayed: 0 })
        })
    }
}

impl Sink for Shelf {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async {
            {
                let most = &mut self.inner().most;
                *most = messages.len().max(*most);
            }
            messages.iter().map(|message| self.accept(message)).collect()
        })
    }

    fn is_ordered(&self) -> bool {
        false
    }
}
