//! Step: receive from remote channels, under leases, as much as there is work for, and enter what has arrived.
//!
//! With `settle = "stored"` a message becomes a record of the channel's log, and is deleted as soon as that is durable.
//! With `settle = "completed"` it is entered with its deliveries at once, and is deleted when they have ended.

use std::sync::Arc;
use std::time::Duration;

use reactor_config::model::{Settle, Unrouted};
use reactor_core::channel::{ChannelError, Depth, Lease, Receipt, Received};
use reactor_core::clock::Moment;
use reactor_core::event::Offset;
use reactor_core::store::{Batch, Incoming, LogRecord};

use super::enter::{Awaited, Offer, Way};
use crate::Input;
use crate::host::Host;
use crate::intake::{Admission, group_lane};
use crate::schedule::Arrival;
use crate::sources::lease::{LeaseId, NewLease};
use crate::sources::poller::{Arrived, SHORT_POLL};

/// Most messages that are entered at a time.
const BATCH: usize = 256;
/// How long a message is left alone that arrived just while its delivery was being parked.
const SOON: Duration = Duration::from_secs(1);
/// How often the depth of a queue is asked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);

impl Host {
    /// Starts receiving wherever there is work for more messages.
    pub(crate) fn poll_channels(&mut self, now: Moment) {
        for number in 0..self.queues.pollers.len() {
            while self.may_poll(number, now) {
                self.poll(number);
            }
            self.look(number, now);
        }
    }

    fn may_poll(&self, number: usize, now: Moment) -> bool {
        let poller = &self.queues.pollers[number];
        let readers = &self.topology.channels[poller.intake].readers;
        let in_hand = self.deliveries.busy(number) + poller.storing + poller.running * poller.limits.batch;
        poller.running < poller.target
            && in_hand < poller.most_in_hand()
            && self.deliveries.in_hand(number) < poller.limits.waiting
            && !self.senders.are_full()
            && poller.failure.as_ref().is_none_or(|failure| failure.retry_at <= now && poller.running == 0)
            && readers.iter().any(|reader| self.deliveries.needs_refill(*reader))
    }

    fn poll(&mut self, number: usize) {
        let poller = &mut self.queues.pollers[number];
        let limits = poller.limits;
        // Where there were no messages before, it waits as long as it may.
        let wait = if self.life.until_idle || poller.empty == 0 { SHORT_POLL.min(limits.wait) } else { limits.wait };
        let (source, lease, inputs) = (Arc::clone(&poller.source), poller.lease, self.ports.to_self.clone());
        let clock = Arc::clone(&self.ports.clock);
        // A channel that does not answer is asked for one message only, and without a wait, to see whether it does again.
        let (asked, wait) = if poller.failure.is_some() { (1, Duration::ZERO) } else { (limits.batch, wait) };
        poller.running += 1;
        poller.polls.retain(|poll| !poll.is_finished());
        let poll = tokio::spawn(async move {
            let started = clock.now();
            let answer = source.receive(asked, wait, lease).await;
            let at = clock.now();
            let _ = inputs.send(Input::Received { poller: number, asked, started, at, answer });
        });
        poller.polls.push(poll.abort_handle());
    }

    /// A receive call has been answered.
    pub(crate) fn received(
        &mut self,
        number: usize,
        asked: usize,
        (started, at): (Moment, Moment),
        answer: Result<Vec<Received>, ChannelError>,
    ) {
        let now = self.ports.clock.now();
        let poller = &mut self.queues.pollers[number];
        poller.running -= 1;
        let messages = match answer {
            Ok(messages) => messages,
            Err(error) => return poller.failed(error, now, self.ports.clock.random()),
        };
        poller.recovered();
        poller.adapt(asked, messages.len(), started, now);
        poller.signals.received.inc_by(messages.len() as u64);
        if messages.is_empty() {
            return;
        }
        if poller.settle == Settle::Stored {
            return self.copy(number, messages);
        }
        for Received { message, receipt, sent, .. } in messages {
            let group = message.system.group_id.as_ref().map(|group| group_lane(&poller.name, group));
            let new = NewLease { poller: number, receipt, length: poller.lease, group, sent };
            // A lease runs from when the queue answered, not from when somebody looks at the answer.
            let lease = self.deliveries.arrived(new, at);
            poller.arrived.push_back(Arrived { lease, message });
        }
    }

    /// Copies messages to the channel's log, and deletes them once they are safe there.
    fn copy(&mut self, number: usize, received: Vec<Received>) {
        let poller = &mut self.queues.pollers[number];
        let (messages, receipts): (Vec<_>, Vec<_>) =
            received.into_iter().map(|received| (received.message, received.receipt)).unzip();
        poller.storing += receipts.len();
        let id = poller.id;
        let stored = move |_| Input::Stored { poller: number, receipts };
        self.ports.write(move |store| store.append(id, messages.clone()), stored);
    }

    /// Received messages are safe in the log.
    pub(crate) fn stored(&mut self, number: usize, receipts: Vec<Receipt>) {
        let now = self.ports.clock.now();
        let poller = &mut self.queues.pollers[number];
        poller.storing -= receipts.len();
        poller.pace.count(receipts.len(), now);
        receipts.into_iter().for_each(|receipt| poller.delete(receipt, now));
        self.topology.channels[poller.intake].pending = true;
    }

    /// Enters what has arrived, wherever nothing else is being admitted.
    pub(crate) fn enter_arrived(&mut self) {
        for number in 0..self.queues.pollers.len() {
            let intake = &self.topology.channels[self.queues.pollers[number].intake];
            if !self.queues.pollers[number].arrived.is_empty() && !intake.is_busy() && !intake.pending {
                self.enter_received(number);
            }
        }
    }

    fn enter_received(&mut self, number: usize) {
        let (at, now) = (self.ports.clock.wall(), self.ports.now());
        let poller = &mut self.queues.pollers[number];
        let count = poller.arrived.len().min(BATCH);
        let arrived: Vec<Arrived> = poller.arrived.drain(..count).collect();
        let (channel, index, drop) = (poller.id, poller.intake, std::mem::take(&mut poller.drop));
        let intake = &mut self.topology.channels[index];
        intake.admission = Admission::Entering;
        let keeps = intake.channel.unrouted == Unrouted::Keep;
        let (mut offer, mut leases, mut messages) =
            (Offer::default(), Vec::with_capacity(count), Vec::with_capacity(count));
        for Arrived { lease, message } in arrived {
            let (deliveries, dead) = (offer.deliveries.len(), offer.dead.len());
            let record = LogRecord { offset: Offset(0), accepted: at, message: message.clone() };
            let is_unwanted = self.offer(index, record, at, Way::Lease, &mut offer);
            let (deliveries, dead) = (offer.deliveries.len() - deliveries, offer.dead.len() - dead);
            leases.push((lease, deliveries));
            messages.push(Incoming { message, deliveries, dead, keep: is_unwanted && keeps });
        }
        self.count_offer(index, count, &offer);
        self.enter(index, Batch { messages, drop, ..Batch::new(channel, now) }, offer, leases);
    }

    /// A received message has been entered: what came of it is awaited before it is settled.
    pub(crate) fn message_entered(&mut self, lease: LeaseId, awaited: Awaited) {
        let Awaited { open, held, resumed, too_early, record } = awaited;
        // Only if everything that came of a record is awaited here, nothing else can need the record.
        if let Some(closed) = self.deliveries.awaits(lease, &open, record) {
            self.close(closed);
        }
        held.into_iter().for_each(|delivery| self.deliveries.rests(delivery));
        for found in resumed {
            self.activate(found, Arrival::Fresh);
        }
        if too_early {
            let (bare, closed) = self.deliveries.release(lease, SOON);
            closed.into_iter().for_each(|closed| self.close(closed));
            bare.into_iter().for_each(|delivery| self.runs.slots.cancel(delivery));
        }
    }

    /// Asks for the depth of a queue from time to time.
    fn look(&mut self, number: usize, now: Moment) {
        let poller = &mut self.queues.pollers[number];
        if poller.look_at > now {
            return;
        }
        poller.look_at = now + LOOK_EVERY;
        let (source, inputs) = (Arc::clone(&poller.source), self.ports.to_self.clone());
        tokio::spawn(async move {
            let answer = source.depth().await;
            let _ = inputs.send(Input::Depth { poller: number, answer });
        });
    }

    /// Tells how a channel does, when that has changed.
    pub(crate) fn looked(&mut self, number: usize, answer: Result<Depth, ChannelError>) {
        let (in_hand, oldest) = (self.deliveries.in_hand(number), self.deliveries.oldest(number));
        let oldest_ms = oldest.map_or(0, |sent| self.ports.clock.wall().duration_since(sent).as_millis().max(0));
        let poller = &mut self.queues.pollers[number];
        poller.signals.oldest.set(i64::try_from(oldest_ms / 1_000).unwrap_or(i64::MAX));
        // A queue that cannot be asked cannot be received from either, which is told there.
        let Ok(depth) = answer else { return };
        poller.signals.depth.set(i64::try_from(depth.visible).unwrap_or(i64::MAX));
        if poller.depth.replace(depth) == Some(depth) && in_hand == 0 {
            return;
        }
        let Depth { visible, in_flight, delayed } = depth;
        tracing::info!(channel = poller.name, visible, in_flight, delayed, in_hand, oldest_ms, "queue");
        poller.signals.tell(&poller.name);
    }

    /// When receiving has something to do next.
    pub(crate) fn next_receive(&self, now: Moment) -> Option<Moment> {
        let retries =
            self.queues.pollers.iter().filter_map(|poller| poller.failure.as_ref().map(|failure| failure.retry_at));
        let looks = self.queues.pollers.iter().map(|poller| poller.look_at);
        // What is past and has not been done waits for something else than the time.
        let ahead = retries.chain(looks).filter(|at| *at > now);
        ahead.chain(self.deliveries.next_lease()).min()
    }

    /// Gives back what came too late.
    pub(crate) fn refuse(&mut self, number: usize, received: Vec<Received>) {
        let now = self.ports.clock.now();
        let poller = &mut self.queues.pollers[number];
        poller.running -= 1;
        poller.signals.returned.inc_by(received.len() as u64);
        let give_back = |received: Received| {
            poller.set_lease(received.receipt, Lease::GiveBack(Duration::ZERO), None, now);
        };
        received.into_iter().for_each(give_back);
    }
}
