//! A queue in memory, in place of an SQS queue.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use reactor_channel_aws::sqs::LIMITS;
use reactor_core::channel::{
    ChannelError, Depth, Lease, Leasing, Limits, Receipt, Received, Result as ChannelResult, Sink, Source, Trouble,
};
use reactor_core::clock::{Clock, Moment, within};
use reactor_core::event::Message;

use super::clock::DrivenClock;

/// A queue with leases, groups, and a list of things that go wrong.
pub(crate) struct Queue {
    clock: DrivenClock,
    inner: Mutex<Inner>,
    changed: Notify,
    fifo: bool,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) items: Vec<Item>,
    pub(crate) next: u64,
    pub(crate) deleted: Vec<String>,
    pub(crate) given_back: Vec<Duration>,
    pub(crate) sent: Vec<Message>,
    pub(crate) calls: usize,
    /// Errors that the next receive calls return.
    pub(crate) receive_faults: Vec<Trouble>,
    /// Errors for the next entries sent.
    pub(crate) send_faults: Vec<Trouble>,
    /// Errors for the next messages resent.
    pub(crate) resend_faults: Vec<Trouble>,
    /// Deletes that fail, and leases that cannot be renewed.
    pub(crate) failing_deletes: usize,
    pub(crate) no_renewals: bool,
    /// Changes of leases that fail, and may come right.
    pub(crate) failing_leases: usize,
}

pub(crate) struct Item {
    number: u64,
    message: Message,
    visible_at: Moment,
    receipt: Option<String>,
    /// Received, and neither given back nor deleted, even if its lease has expired.
    is_leased: bool,
    receives: u32,
}

fn trouble(trouble: Trouble) -> ChannelError {
    ChannelError { trouble, detail: format!("made up: {trouble}") }
}

impl Queue {
    pub(crate) fn new(clock: &DrivenClock, fifo: bool) -> Arc<Self> {
        Arc::new(Self { clock: clock.clone(), inner: Mutex::default(), changed: Notify::new(), fifo })
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, message: Message) {
        let mut inner = self.inner();
        inner.next += 1;
        let (number, visible_at) = (inner.next, self.clock.now());
        inner.items.push(Item { number, message, visible_at, receipt: None, is_leased: false, receives: 0 });
        self.changed.notify_waiters();
    }

    pub(crate) fn event(&self, id: usize, data: &serde_json::Value) {
        let event = serde_json::json!({ "eventId": format!("e{id}"), "eventType": "t", "source": "s", "data": data });
        let mut message = Message::from_body(event.to_string());
        message.system.group_id = data["group"].as_str().map(str::to_owned).filter(|_| self.fifo);
        self.put(message);
    }

    fn take(&self, max: usize, lease: Duration) -> ChannelResult<Vec<Received>> {
        let mut inner = self.inner();
        inner.calls += 1;
        if let Some(fault) = inner.receive_faults.pop() {
            return Err(trouble(fault));
        }
        let now = self.clock.now();
        let busy = inner.items.iter().filter(|item| item.visible_at > now);
        let mut locked: HashSet<String> = busy.filter_map(|item| item.message.system.group_id.clone()).collect();
        let mut taken = Vec::new();
        for item in &mut inner.items {
            let group = item.message.system.group_id.clone().filter(|_| self.fifo);
            let is_locked = group.is_some_and(|group| item.visible_at > now || locked.contains(&group));
            if taken.len() == max || is_locked || item.visible_at > now {
                locked.extend(
                    item.message.system.group_id.clone().filter(|_| self.fifo && !is_locked && taken.len() == max),
                );
                continue;
            }
            item.visible_at = now + lease;
            item.receives += 1;
            item.is_leased = true;
            let receipt = format!("{}-{}", item.number, item.receives);
            item.receipt = Some(receipt.clone());
            let mut message = item.message.clone();
            message.system.message_id = Some(format!("m{}", item.number));
            taken.push(Received { message, receipt: Receipt(receipt), sent: None, receives: item.receives });
        }
        Ok(taken)
    }

    pub(crate) fn left(&self) -> usize {
        self.inner().items.len()
    }

    /// Ends every lease.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        for item in &mut self.inner().items {
            (item.visible_at, item.is_leased) = (now, false);
        }
        self.changed.notify_waiters();
    }

    /// How many messages are leased, those with a lease that has run out included.
    pub(crate) fn leased(&self) -> usize {
        self.inner().items.iter().filter(|item| item.is_leased).count()
    }

    /// When the first of the leases ends.
    pub(crate) fn next_visible(&self) -> Option<Moment> {
        let now = self.clock.now();
        self.inner().items.iter().map(|item| item.visible_at).filter(|at| *at > now).min()
    }
}

impl Source for Queue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, ChannelResult<Vec<Received>>> {
        Box::pin(async move {
            let end = self.clock.now() + wait;
            loop {
                let changed = self.changed.notified();
                let taken = self.take(max, lease)?;
                if !taken.is_empty() || self.clock.now() >= end {
                    return Ok(taken);
                }
                // Expiring leases are not announced.
                let until = self.next_visible().map_or(end, |at| at.min(end));
                within(self.clock.sleep_until(until), changed).await;
                self.inner().calls -= 1;
            }
        })
    }

    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<ChannelResult<()>>> {
        Box::pin(async move {
            let mut inner = self.inner();
            let mut answers = Vec::new();
            for receipt in receipts {
                if inner.failing_deletes > 0 {
                    inner.failing_deletes -= 1;
                    answers.push(Err(trouble(Trouble::Throttled)));
                    continue;
                }
                let found = inner.items.iter().position(|item| item.receipt.as_deref() == Some(&receipt.0));
                answers.push(match found {
                    Some(at) => {
                        inner.items.remove(at);
                        inner.deleted.push(receipt.0.clone());
                        Ok(())
                    }
                    None => Err(trouble(Trouble::StaleReceipt)),
                });
            }
            self.changed.notify_waiters();
            answers
        })
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, ChannelResult<()>> {
        Box::pin(async {
            let fault = self.inner().resend_faults.pop();
            if let Some(fault) = fault {
                return Err(trouble(fault));
            }
            self.put(message.clone());
            Ok(())
        })
    }

    fn depth(&self) -> BoxFuture<'_, ChannelResult<Depth>> {
        Box::pin(async { Ok(Depth { visible: self.left() as u64, ..Depth::default() }) })
    }

    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        Some(self)
    }
}

impl Leasing for Queue {
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Lease)]) -> BoxFuture<'a, Vec<ChannelResult<()>>> {
        Box::pin(async move {
            let mut inner = self.inner();
            let now = self.clock.now();
            let no_renewals = inner.no_renewals;
            let mut answers = Vec::new();
            for (receipt, lease) in receipts {
                let (Lease::Extend(length) | Lease::GiveBack(length)) = lease;
                if inner.failing_leases > 0 {
                    inner.failing_leases -= 1;
                    answers.push(Err(trouble(Trouble::Throttled)));
                    continue;
                }
                let found = inner.items.iter_mut().find(|item| item.receipt.as_deref() == Some(&receipt.0));
                answers.push(match found.filter(|item| item.visible_at > now) {
                    Some(_) if no_renewals && *length > Duration::ZERO => Err(trouble(Trouble::StaleReceipt)),
                    Some(item) => {
                        item.visible_at = now + *length;
                        item.is_leased = *length > Duration::ZERO;
                        Ok(())
                    }
                    None => Err(trouble(Trouble::StaleReceipt)),
                });
                inner.given_back.push(*length);
            }
            self.changed.notify_waiters();
            answers
        })
    }
}

impl Sink for Queue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<ChannelResult<()>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for message in messages {
                let fault = self.inner().send_faults.pop();
                answers.push(fault.map_or(Ok(()), |fault| Err(trouble(fault))));
                if answers.last().is_some_and(Result::is_ok) {
                    self.inner().sent.push(message.clone());
                    self.put(message.clone());
                }
            }
            answers
        })
    }

    fn is_ordered(&self) -> bool {
        self.fifo
    }
}
