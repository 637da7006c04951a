//! Step: send what commits have put into the outbox to the remote channels, at least once and with stable ids.

pub mod send;
pub(crate) mod senders;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};

use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::{ChannelError, Result, Sink, Trouble};
use reactor_core::clock::Clock;
use reactor_core::event::{ChannelId, Message};
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{DeadLetter, OutboxRecord, StoreError, StoreOwner, UNDELIVERABLE};
use reactor_signal::Signals;

use super::room::until_there_is_room;
use crate::Input;
use crate::reads::Reads;

/// Most messages, and bytes, taken from the outbox at a time.
const WINDOW: usize = 512;
const WINDOW_BYTES: usize = 8 << 20;
/// Calls under way at once, where order does not matter.
const MAX_CALLS: usize = 8;
/// Messages, and bytes, in the outbox above which nothing more is taken in.
pub const MOST_MESSAGES: i64 = 10_000;
/// See [`MOST_MESSAGES`].
pub const MOST_BYTES: i64 = 256 << 20;
/// Delays after failures.
const RETRY: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(30), Jitter::Equal);

/// A remote channel, as something to send to.
pub(super) struct Sender {
    pub(super) name: String,
    pub(super) id: ChannelId,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) store: Arc<dyn StoreOwner>,
    pub(super) reads: Reads,
    pub(super) clock: Arc<dyn Clock>,
    /// Told when there may be something to send.
    pub(super) wake: Arc<Notify>,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) signals: Arc<Signals>,
}

impl Sender {
    /// Sends until the store fails, or the task is ended.
    pub(super) async fn run(self) {
        if let Err(error) = self.send_all().await {
            let _ = self.inputs.send(Input::Fatal(error));
        }
    }

    async fn send_all(&self) -> Result<(), StoreError> {
        let mut failure: Option<(Trouble, u32)> = None;
        loop {
            let id = self.id;
            let outbox = move |store: &dyn StoreOwner| store.outbox(id, 0, WINDOW, WINDOW_BYTES);
            let window = self.reads.made(&self.store, outbox).await?;
            if window.is_empty() {
                self.wake.notified().await;
                continue;
            }
            let Some(error) = self.send_window(window).await? else {
                if let Some((_, tries)) = failure.take() {
                    tracing::info!(channel = self.name, tries, "sending to the channel works again");
                }
                continue;
            };
            let tries = failure.map_or(0, |(_, tries)| tries).saturating_add(1);
            if failure.is_none_or(|(trouble, _)| trouble != error.trouble) {
                let (channel, code) = (&self.name, error.trouble.code());
                tracing::warn!(channel, code, "cannot send to the channel; keeping the messages and retrying: {error}");
            }
            failure = Some((error.trouble, tries));
            self.clock.sleep(RETRY.after(tries, self.clock.random())).await;
        }
    }

    /// Sends what it can of a stretch of the outbox. Answers why the rest could not be.
    async fn send_window(&self, window: Vec<OutboxRecord>) -> Result<Option<ChannelError>, StoreError> {
        let (mut queue, mut calls) = (VecDeque::from(window), FuturesUnordered::new());
        let most = if self.sink.is_ordered() { 1 } else { MAX_CALLS };
        let mut stuck = HashSet::new();
        let mut failure = None;
        loop {
            while calls.len() < most
                && let Some(batch) = self.next_batch(&mut queue, &stuck)
            {
                calls.push(self.call(batch));
            }
            let Some((batch, answers)) = calls.next().await else { return Ok(failure) };
            let (mut sent, mut refused) = (Vec::new(), Vec::new());
            let size: u64 = batch.iter().map(|record| record.message.body.len() as u64).sum();
            let mut left = (0, size);
            for (record, answer) in batch.into_iter().zip(answers) {
                match answer {
                    Ok(()) => sent.push(record.id),
                    Err(_) if is_planted(Bug::DropUnsent) => sent.push(record.id),
                    Err(error) if error.trouble == Trouble::Refused => refused.push(self.letter(record, &error)),
                    Err(error) => {
                        left.1 -= record.message.body.len() as u64;
                        // What failed must not be overtaken by its own group.
                        stuck.insert(record.message.system.group_id);
                        failure = Some(error);
                    }
                }
            }
            left.0 = (sent.len() + refused.len()) as u64;
            if !sent.is_empty() {
                until_there_is_room(&self.signals, &*self.clock, || self.store.sent(sent.clone())).await?;
            }
            if !refused.is_empty() {
                until_there_is_room(&self.signals, &*self.clock, || self.store.undeliverable(refused.clone())).await?;
            }
            let _ = self.inputs.send(Input::LeftOutbox(left.0, left.1));
            if failure.is_some() && !self.sink.is_ordered() {
                queue.clear();
            }
        }
    }

    /// The next messages of one call; of an ordered channel, one of each group.
    fn next_batch(
        &self,
        queue: &mut VecDeque<OutboxRecord>,
        stuck: &HashSet<Option<String>>,
    ) -> Option<Vec<OutboxRecord>> {
        let (ordered, limits) = (self.sink.is_ordered(), self.sink.limits());
        let (mut batch, mut later, mut bytes) = (Vec::new(), VecDeque::new(), 0);
        let mut groups = HashSet::new();
        while batch.len() < limits.batch
            && let Some(record) = queue.pop_front()
        {
            let group = &record.message.system.group_id;
            if ordered && group.is_some() && stuck.contains(group) {
                continue;
            }
            if ordered && group.is_some() && !groups.insert(group.clone()) {
                later.push_back(record);
                continue;
            }
            bytes += record.message.size();
            if bytes > limits.bytes && !batch.is_empty() {
                later.push_back(record);
                break;
            }
            batch.push(record);
        }
        later.append(queue);
        *queue = later;
        (!batch.is_empty()).then_some(batch)
    }

    async fn call(&self, batch: Vec<OutboxRecord>) -> (Vec<OutboxRecord>, Vec<Result<()>>) {
        let messages: Vec<Message> = batch.iter().map(|record| record.message.clone()).collect();
        let mut answers = self.sink.send(&messages).await;
        // A sink that answers for fewer has said nothing of the others.
        answers.resize_with(batch.len(), || {
            Err(ChannelError { trouble: Trouble::Unreachable, detail: "no answer for this message".into() })
        });
        (batch, answers)
    }

    fn letter(&self, record: OutboxRecord, error: &ChannelError) -> (u64, DeadLetter) {
        tracing::error!(channel = self.name, reason = UNDELIVERABLE, "dead letter: {error}");
        let letter = DeadLetter::undeliverable(self.id, record.message, error.detail.clone(), self.clock.wall());
        (record.id, letter)
    }
}
