//! Step: receive from remote channels, under leases, as much as there is work for, and enter what has arrived.
//!
//! With `settle = "stored"` a message becomes a record of the channel's log, and is deleted as soon as that is durable.
//! With `settle = "completed"` it is entered with its deliveries at once, and is deleted when they have ended.

use std::sync::Arc;
use std::time::Duration;

use crate::channel::{ChannelError, Depth, Lease, Receipt, Received};
use crate::clock::Moment;
use crate::config::model::{Settle, Unrouted};
use crate::event::Offset;
use crate::store::{Batch, Incoming, LogRecord, StoreError};

use super::Input;
use super::enter::{Awaited, Offer, Way};
use super::host::Host;
use super::inlet::{Arrived, SHORT_POLL};
use super::intake::group_lane;
use super::lease::{LeaseId, NewLease};
use super::room::until_there_is_room;
use super::schedule::Arrival;

/// Most messages that are entered at a time.
const BATCH: usize = 256;
/// How long a message is left alone that arrived just while its delivery was being parked.
const SOON: Duration = Duration::from_secs(1);
/// How often the depth of a queue is asked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);

impl Host {
    /// Starts receiving wherever there is work for more messages.
    pub(super) fn poll_channels(&mut self, now: Moment) {
        for number in 0..self.inlets.len() {
            while self.may_poll(number, now) {
                self.poll(number);
            }
            self.look(number, now);
        }
    }

    fn may_poll(&self, number: usize, now: Moment) -> bool {
        let inlet = &self.inlets[number];
        let readers = &self.channels[inlet.intake].readers;
        let in_hand = self.deliveries.busy(number) + inlet.storing + inlet.running * inlet.limits.batch;
        inlet.running < inlet.target
            && in_hand < inlet.most_in_hand()
            && self.deliveries.in_hand(number) < inlet.limits.waiting
            && !self.outlets.are_full()
            && inlet.failure.as_ref().is_none_or(|failure| failure.retry_at <= now && inlet.running == 0)
            && readers.iter().any(|reader| self.deliveries.is_hungry(*reader))
    }

    fn poll(&mut self, number: usize) {
        let inlet = &mut self.inlets[number];
        let limits = inlet.limits;
        // Where there were no messages before, it waits as long as it may.
        let wait = if self.life.until_idle || inlet.empty == 0 { SHORT_POLL.min(limits.wait) } else { limits.wait };
        let (source, lease, inputs) = (Arc::clone(&inlet.source), inlet.lease, self.to_self.clone());
        let clock = Arc::clone(&self.clock);
        // A channel that does not answer is asked for one message only, and without a wait, to see whether it does again.
        let (asked, wait) = if inlet.failure.is_some() { (1, Duration::ZERO) } else { (limits.batch, wait) };
        inlet.running += 1;
        inlet.polls.retain(|poll| !poll.is_finished());
        let poll = tokio::spawn(async move {
            let started = clock.now();
            let answer = source.receive(asked, wait, lease).await;
            let at = clock.now();
            let _ = inputs.send(Input::Received { inlet: number, asked, started, at, answer });
        });
        inlet.polls.push(poll.abort_handle());
    }

    /// A receive call has been answered.
    pub(super) fn received(
        &mut self,
        number: usize,
        asked: usize,
        (started, at): (Moment, Moment),
        answer: Result<Vec<Received>, ChannelError>,
    ) {
        let now = self.clock.now();
        let inlet = &mut self.inlets[number];
        inlet.running -= 1;
        let messages = match answer {
            Ok(messages) => messages,
            Err(error) => return inlet.failed(error, now, self.clock.random()),
        };
        inlet.recovered();
        inlet.adapt(asked, messages.len(), started, now);
        inlet.signals.received.inc_by(messages.len() as u64);
        if messages.is_empty() {
            return;
        }
        if inlet.settle == Settle::Stored {
            return self.copy(number, messages);
        }
        for Received { message, receipt, sent, .. } in messages {
            let group = message.system.group_id.as_ref().map(|group| group_lane(&inlet.name, group));
            let new = NewLease { inlet: number, receipt, length: inlet.lease, group, sent };
            // A lease runs from when the queue answered, not from when somebody looks at the answer.
            let lease = self.deliveries.arrived(new, at);
            inlet.arrived.push_back(Arrived { lease, message });
        }
    }

    /// Copies messages to the channel's log, and deletes them once they are safe there.
    fn copy(&mut self, number: usize, received: Vec<Received>) {
        let inlet = &mut self.inlets[number];
        let (messages, receipts): (Vec<_>, Vec<_>) =
            received.into_iter().map(|received| (received.message, received.receipt)).unzip();
        inlet.storing += receipts.len();
        let (store, inputs, id) = (Arc::clone(&self.store), self.to_self.clone(), inlet.id);
        let (signals, clock) = (Arc::clone(&self.signals), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let written = until_there_is_room(&signals, &*clock, || store.append(id, messages.clone())).await;
            let _ = inputs.send(match written {
                Ok(_) => Input::Stored { inlet: number, receipts },
                Err(error) => Input::Fatal(error),
            });
        });
    }

    /// Received messages are safe in the log.
    pub(super) fn stored(&mut self, number: usize, receipts: Vec<Receipt>) {
        let now = self.clock.now();
        let inlet = &mut self.inlets[number];
        inlet.storing -= receipts.len();
        inlet.pace.count(receipts.len(), now);
        receipts.into_iter().for_each(|receipt| inlet.delete(receipt, now));
        self.channels[inlet.intake].pending = true;
    }

    /// Enters what has arrived, wherever nothing else is being admitted.
    pub(super) fn enter_arrived(&mut self) {
        for number in 0..self.inlets.len() {
            let intake = &self.channels[self.inlets[number].intake];
            if !self.inlets[number].arrived.is_empty() && !intake.busy && !intake.pending {
                self.enter_received(number);
            }
        }
    }

    fn enter_received(&mut self, number: usize) {
        let (at, now) = (self.clock.wall(), self.now());
        let inlet = &mut self.inlets[number];
        let count = inlet.arrived.len().min(BATCH);
        let arrived: Vec<Arrived> = inlet.arrived.drain(..count).collect();
        let (channel, index, drop) = (inlet.id, inlet.intake, std::mem::take(&mut inlet.drop));
        let intake = &mut self.channels[index];
        intake.busy = true;
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
    pub(super) fn message_entered(&mut self, lease: LeaseId, awaited: Awaited) -> Result<(), StoreError> {
        let Awaited { open, held, resumed, too_early, record } = awaited;
        // A record is known to be needed by nobody else only if all that came of it is awaited here.
        if let Some(closed) = self.deliveries.awaits(lease, &open, record) {
            self.close(closed);
        }
        held.into_iter().for_each(|delivery| self.deliveries.rests(delivery));
        for stored in resumed {
            self.activate(stored, Arrival::Fresh)?;
        }
        if too_early {
            let (bare, closed) = self.deliveries.release(lease, SOON);
            closed.into_iter().for_each(|closed| self.close(closed));
            bare.into_iter().for_each(|delivery| self.slots.cancel(delivery));
        }
        Ok(())
    }

    /// Asks for the depth of a queue from time to time.
    fn look(&mut self, number: usize, now: Moment) {
        let inlet = &mut self.inlets[number];
        if inlet.look_at > now {
            return;
        }
        inlet.look_at = now + LOOK_EVERY;
        let (source, inputs) = (Arc::clone(&inlet.source), self.to_self.clone());
        tokio::spawn(async move {
            let answer = source.depth().await;
            let _ = inputs.send(Input::Depth { inlet: number, answer });
        });
    }

    /// Tells how a channel does, when that has changed.
    pub(super) fn looked(&mut self, number: usize, answer: Result<Depth, ChannelError>) {
        let (in_hand, oldest) = (self.deliveries.in_hand(number), self.deliveries.oldest(number));
        let oldest_ms = oldest.map_or(0, |sent| self.clock.wall().duration_since(sent).as_millis().max(0));
        let inlet = &mut self.inlets[number];
        inlet.signals.oldest.set(i64::try_from(oldest_ms / 1_000).unwrap_or(i64::MAX));
        // A queue that cannot be asked cannot be received from either, which is told there.
        let Ok(depth) = answer else { return };
        inlet.signals.depth.set(i64::try_from(depth.visible).unwrap_or(i64::MAX));
        if inlet.depth.replace(depth) == Some(depth) && in_hand == 0 {
            return;
        }
        let Depth { visible, in_flight, delayed } = depth;
        tracing::info!(channel = inlet.name, visible, in_flight, delayed, in_hand, oldest_ms, "queue");
        inlet.signals.tell(&inlet.name);
    }

    /// When receiving has something to do next.
    pub(super) fn next_receive(&self, now: Moment) -> Option<Moment> {
        let retries = self.inlets.iter().filter_map(|inlet| inlet.failure.as_ref().map(|failure| failure.retry_at));
        let looks = self.inlets.iter().map(|inlet| inlet.look_at);
        // What is past and has not been done waits for something else than the time.
        let ahead = retries.chain(looks).filter(|at| *at > now);
        ahead.chain(self.deliveries.next_lease()).min()
    }

    /// Whether the receive calls under way wait for no longer than [`SHORT_POLL`].
    pub(super) fn polls_are_short(&self) -> bool {
        self.life.until_idle || self.inlets.iter().all(|inlet| inlet.empty == 0)
    }

    /// Whether a receive call is under way.
    pub(super) fn is_receiving(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.running > 0)
    }

    /// Gives back what came too late.
    pub(super) fn refuse(&mut self, number: usize, received: Vec<Received>) {
        let now = self.clock.now();
        let inlet = &mut self.inlets[number];
        inlet.running -= 1;
        inlet.signals.returned.inc_by(received.len() as u64);
        let give_back = |received: Received| {
            inlet.set_lease(received.receipt, Lease::GiveBack(Duration::ZERO), None, now);
        };
        received.into_iter().for_each(give_back);
    }
}
