//! A remote queue: it delivers more than once and in another order, its answers are late or lost, and its leases end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reactor_core::channel::{
    ChannelError, Depth, Lease, Leasing, Limits, Receipt, Received, Result, Sink, Source, Trouble,
};
use reactor_core::clock::{Clock, Moment, within};
use reactor_core::event::Message;
use tokio::sync::Notify;

use crate::clock::SimClock;
use crate::dice::Dice;
use crate::kind::LIMITS;
use crate::truth::Truth;

/// Calls that fail before they do anything, calls whose answers are lost after they did it, and messages that are delivered
/// although they are leased: each per thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueFaults {
    /// See the type.
    pub fail: u64,
    /// See the type.
    pub lose: u64,
    /// See the type.
    pub repeat: u64,
}

/// Told of each message that is deleted.
pub type OnDelete = Box<dyn Fn(&Message) + Send + Sync>;

/// See the module. Outlives the processes that use it.
pub struct SimQueue {
    name: &'static str,
    clock: SimClock,
    dice: Dice,
    truth: Truth,
    on_delete: OnDelete,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    items: Vec<Item>,
    next: u64,
    faults: QueueFaults,
}

struct Item {
    number: u64,
    message: Message,
    visible_at: Moment,
    leased_at: Moment,
    receipt: Option<String>,
    receives: u32,
}

impl SimQueue {
    /// An empty queue.
    pub fn new(
        name: &'static str,
        clock: &SimClock,
        dice: &Dice,
        truth: &Truth,
        faults: QueueFaults,
        on_delete: OnDelete,
    ) -> Arc<Self> {
        let (clock, dice, truth) = (clock.clone(), dice.clone(), truth.clone());
        let inner = Mutex::new(Inner { faults, ..Inner::default() });
        Arc::new(Self { name, clock, dice, truth, on_delete, inner, changed: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.inner().faults = QueueFaults::default();
    }

    /// Puts a message into the queue.
    pub fn put(&self, message: Message) {
        let mut inner = self.inner();
        inner.next += 1;
        let (number, visible_at) = (inner.next, self.clock.now());
        inner.items.push(Item { number, message, visible_at, leased_at: visible_at, receipt: None, receives: 0 });
        drop(inner);
        self.changed.notify_waiters();
    }

    /// The bodies of the messages in it.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.inner().items.iter().map(|item| item.message.body.clone()).collect()
    }

    /// How many of its messages were leased since then, and cannot be received for longer than this from now on.
    pub fn kept(&self, since: Moment, time: Duration) -> usize {
        let soon = self.clock.now() + time;
        self.inner().items.iter().filter(|item| item.leased_at >= since && item.visible_at > soon).count()
    }

    async fn delay(&self) {
        self.clock.sleep(Duration::from_micros(self.dice.of(100..30_000))).await;
    }

    /// A call: it takes time, may fail, and its answer may be lost.
    async fn call<T>(&self, what: &str, act: impl FnOnce(&mut Inner) -> T) -> Result<T> {
        self.delay().await;
        let faults = self.inner().faults;
        if self.dice.happens(faults.fail) {
            self.truth.tell(format!("{}: {what} fails", self.name));
            let trouble = *self.dice.pick(&[Trouble::Unreachable, Trouble::Throttled]);
            return Err(ChannelError { trouble, detail: "simulated".into() });
        }
        let answer = act(&mut self.inner());
        self.changed.notify_waiters();
        self.delay().await;
        if self.dice.happens(faults.lose) {
            self.truth.tell(format!("{}: the answer to {what} is lost", self.name));
            return Err(ChannelError { trouble: Trouble::Unreachable, detail: "simulated: answer lost".into() });
        }
        Ok(answer)
    }

    fn take(&self, inner: &mut Inner, max: usize, lease: Duration) -> Vec<Received> {
        let now = self.clock.now();
        let mut taken = Vec::new();
        let mut order: Vec<usize> = (0..inner.items.len()).collect();
        // A standard queue keeps no order.
        order.sort_by_cached_key(|_| self.dice.bits());
        for at in order {
            let repeat = self.dice.happens(inner.faults.repeat);
            let item = &mut inner.items[at];
            if taken.len() == max || item.visible_at > now && !repeat {
                continue;
            }
            (item.visible_at, item.leased_at) = (now + lease, now);
            item.receives += 1;
            let receipt = format!("{}-{}", item.number, item.receives);
            item.receipt = Some(receipt.clone());
            let mut message = item.message.clone();
            message.system.message_id = Some(format!("m{}", item.number));
            taken.push(Received { message, receipt: Receipt(receipt), sent: None, receives: item.receives });
        }
        taken
    }

    fn next_visible(&self) -> Option<Moment> {
        let now = self.clock.now();
        self.inner().items.iter().map(|item| item.visible_at).filter(|at| *at > now).min()
    }

    fn delete(&self, inner: &mut Inner, receipt: &Receipt) -> Result<()> {
        // As SQS does: a receipt that is not the last one may not delete.
        let found = inner.items.iter().position(|item| item.receipt.as_deref() == Some(&receipt.0));
        let stale = || ChannelError { trouble: Trouble::StaleReceipt, detail: "simulated".into() };
        let item = inner.items.remove(found.ok_or_else(stale)?);
        (self.on_delete)(&item.message);
        Ok(())
    }
}

/// A call's answer for each of several entries.
fn each<T>(answer: Result<Vec<Result<T>>>, count: usize) -> Vec<Result<T>> {
    match answer {
        Ok(answers) => answers,
        Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
    }
}

impl Source for SimQueue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, Result<Vec<Received>>> {
        Box::pin(async move {
            let end = self.clock.now() + wait;
            loop {
                let changed = self.changed.notified();
                let taken = self.call("receive", |inner| self.take(inner, max, lease)).await?;
                if !taken.is_empty() || self.clock.now() >= end {
                    return Ok(taken);
                }
                let until = self.next_visible().map_or(end, |at| at.min(end));
                within(self.clock.sleep_until(until), changed).await;
            }
        })
    }

    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            let delete = |inner: &mut Inner| receipts.iter().map(|receipt| self.delete(inner, receipt)).collect();
            each(self.call("delete", delete).await, receipts.len())
        })
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.call("resend", |_| ()).await?;
            self.put(message.clone());
            Ok(())
        })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth>> {
        Box::pin(async {
            self.call("depth", |inner| Depth { visible: inner.items.len() as u64, ..Depth::default() }).await
        })
    }

    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        Some(self)
    }
}

impl Leasing for SimQueue {
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Lease)]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            let change = |inner: &mut Inner| {
                let now = self.clock.now();
                let change = |(receipt, lease): &(Receipt, Lease)| {
                    let (Lease::Extend(length) | Lease::GiveBack(length)) = lease;
                    let found = inner.items.iter_mut().find(|item| item.receipt.as_deref() == Some(&receipt.0));
                    let item = found.filter(|item| item.visible_at > now);
                    let stale = || ChannelError { trouble: Trouble::StaleReceipt, detail: "simulated".into() };
                    item.ok_or_else(stale)?.visible_at = now + *length;
                    Ok(())
                };
                receipts.iter().map(change).collect()
            };
            each(self.call("lease", change).await, receipts.len())
        })
    }
}

impl Sink for SimQueue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            let now = self.clock.now();
            let put = |inner: &mut Inner| {
                let put = |message: &Message| {
                    inner.next += 1;
                    let number = inner.next;
                    let (message, visible_at) = (message.clone(), now);
                    inner.items.push(Item { number, message, visible_at, leased_at: now, receipt: None, receives: 0 });
                    Ok(())
                };
                messages.iter().map(put).collect()
            };
            each(self.call("send", put).await, messages.len())
        })
    }

    fn is_ordered(&self) -> bool {
        false
    }
}
