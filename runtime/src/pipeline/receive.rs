//! Step: receive from channels outside, under leases, as much as there is work for; keep the leases; and settle.
//!
//! With `settle = "completed"` the queue outside decides who works on a message: its deliveries run only while this host
//! holds a lease on it, and what is given back, or lost, goes on when it is received again. With `settle = "stored"` a
//! message becomes a record of the channel's log, and is deleted as soon as that is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use crate::channel::acknowledge::{Ack, What, acknowledge};
use crate::channel::{ChannelError, Depth, MAX_BATCH, Receipt, Received, Source, Trouble};
use crate::config::model::{LEASE_AT_MOST, Settle, Unrouted};
use crate::event::{ChannelId, DeliveryId, LaneKey, Message, Offset};
use crate::store::{Admitted, Entered, EnteredMessage, Incoming, LogRecord, NewDelivery, Place, Reception, StoreError};

use super::commit::until_there_is_room;
use super::host::Host;
use super::intake::{Candidate, group_lane};
use super::lease::{Closed, Fate, LeaseId, NewLease};
use super::schedule::Arrival;
use super::{Active, Input};

/// Most receive calls under way on one channel.
const MAX_POLLS: usize = 16;
/// How long a call waits for messages where there were none before; otherwise, and while the host only waits to become
/// idle, it waits less.
const LONG_POLL: Duration = Duration::from_secs(20);
const SHORT_POLL: Duration = Duration::from_secs(1);
/// Fewest and most messages in hand; between them, as many as end in a quarter of a second: what is in hand here cannot
/// be worked on elsewhere.
const LEAST_IN_HAND: usize = 2 * MAX_BATCH;
const MOST_IN_HAND: usize = 2_000;
/// Most messages that are entered at a time.
const BATCH: usize = 256;
/// The first delay after a failure; doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A failure that goes on is told of this often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long a message is left alone that arrived just while its delivery was being put away.
const SOON: Duration = Duration::from_secs(1);
/// How much before its time a message that was given back is received again.
const EARLY: Duration = Duration::from_secs(2);
/// How long the end of the host waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often the depth of a queue is asked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Empty answers in a row after which a channel counts as idle.
const EMPTY_ENOUGH: u32 = 2;

/// A channel outside, as something to receive from.
pub(super) struct Inlet {
    name: String,
    id: ChannelId,
    /// Its place among the intakes.
    pub(super) intake: usize,
    source: Arc<dyn Source>,
    settle: Settle,
    /// How long messages are leased at a time.
    lease: Duration,
    /// Attempts that its readers can run at once.
    concurrency: usize,
    polls: Vec<AbortHandle>,
    running: usize,
    target: usize,
    failure: Option<Failure>,
    /// When single messages were last told of.
    told: Option<Instant>,
    empty: u32,
    arrived: VecDeque<Arrived>,
    /// Messages that are being copied.
    storing: usize,
    /// Records whose messages are settled.
    drop: Vec<Offset>,
    pace: Pace,
    pub(super) counts: Counts,
    depth: Option<Depth>,
    look_at: Instant,
    deletes: mpsc::UnboundedSender<Ack<()>>,
    leases: mpsc::UnboundedSender<Ack<Option<LeaseId>>>,
}

/// What a channel outside has seen since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) deleted: u64,
    /// Leases renewed, lost, and given back on purpose.
    pub(super) renewed: u64,
    pub(super) lost: u64,
    pub(super) returned: u64,
    pub(super) failures: u64,
}

impl Counts {
    fn tell(&self, channel: &str) {
        let Self { received, deleted, renewed, lost, returned, failures } = *self;
        if received + failures > 0 {
            tracing::info!(channel, received, deleted, renewed, lost, returned, failures, "messages since the start");
        }
    }
}

/// Why nothing is received at the moment.
struct Failure {
    error: ChannelError,
    tries: u32,
    retry_at: Instant,
    told: Instant,
}

/// How many messages end in a second.
struct Pace {
    since: Instant,
    ended: usize,
    last: usize,
}

impl Pace {
    fn count(&mut self, ended: usize) {
        let elapsed = self.since.elapsed();
        if elapsed >= Duration::from_secs(1) {
            self.last = if elapsed < Duration::from_secs(2) { self.ended } else { 0 };
            (self.since, self.ended) = (Instant::now(), 0);
        }
        self.ended += ended;
    }

    fn is(&self) -> usize {
        self.last.max(self.ended)
    }
}

/// A received message on its way into the store.
pub(super) struct Arrived {
    lease: LeaseId,
    message: Message,
    /// What was made of it, once it has been looked at.
    candidates: Vec<(Candidate, Place)>,
}

/// What an inlet is made of.
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) id: ChannelId,
    pub(super) intake: usize,
    pub(super) source: Arc<dyn Source>,
    pub(super) settle: Settle,
    pub(super) lease: Duration,
    pub(super) concurrency: usize,
}

impl Inlet {
    /// Starts the tasks that delete messages and renew leases; nothing is received yet.
    pub(super) fn open(
        number: usize,
        opening: Opening,
        inputs: &mpsc::UnboundedSender<Input>,
        tasks: &mut JoinSet<()>,
        elapsed: impl Fn(Instant) -> Duration + Send + Sync + 'static,
    ) -> Self {
        let Opening { name, id, intake, source, settle, lease, concurrency } = opening;
        let (deletes, to_delete) = mpsc::unbounded_channel();
        let (leases, to_lease) = mpsc::unbounded_channel();
        // Reports fail only when the host's task is gone, and then nobody is left to tell.
        let report = inputs.clone();
        tasks.spawn(acknowledge(Arc::clone(&source), What::Delete, to_delete, move |((), _, answer)| {
            let _ = report.send(Input::Deleted { inlet: number, answer });
        }));
        let report = inputs.clone();
        tasks.spawn(acknowledge(Arc::clone(&source), What::Lease, to_lease, move |(tag, sent, answer)| {
            if let Some(lease) = tag {
                let _ = report.send(Input::Renewed { lease, sent: elapsed(sent), answer });
            }
        }));
        let now = Instant::now();
        Self {
            name,
            id,
            intake,
            source,
            settle,
            lease,
            concurrency,
            polls: Vec::new(),
            running: 0,
            target: 1,
            failure: None,
            told: None,
            empty: 0,
            arrived: VecDeque::new(),
            storing: 0,
            drop: Vec::new(),
            pace: Pace { since: now, ended: 0, last: 0 },
            counts: Counts::default(),
            depth: None,
            look_at: now,
            deletes,
            leases,
        }
    }

    fn delete(&self, receipt: Receipt) {
        let until = Instant::now() + self.lease;
        // The task ends only after the sender.
        let _ = self.deletes.send(Ack { receipt, lease: Duration::ZERO, until, tag: () });
    }

    fn set_lease(&self, receipt: Receipt, lease: Duration, tag: Option<LeaseId>) {
        let until = Instant::now() + self.lease;
        let _ = self.leases.send(Ack { receipt, lease, until, tag });
    }

    fn most_in_hand(&self) -> usize {
        (2 * self.concurrency).max(LEAST_IN_HAND).max((self.pace.is() / 4).min(MOST_IN_HAND))
    }

    /// More pollers while they come back full, fewer when they come back empty.
    fn adapt(&mut self, asked: usize, got: usize) {
        self.empty = if got == 0 { self.empty.saturating_add(1) } else { 0 };
        self.target = match got {
            0 => 1,
            got if got == asked => (self.target * 2).min(MAX_POLLS),
            got if got * 2 < asked => (self.target - 1).max(1),
            _ => self.target,
        };
    }

    /// Nothing has come for a while, and nothing is on its way.
    pub(super) fn is_idle(&self, in_hand: usize) -> bool {
        in_hand == 0 && self.arrived.is_empty() && self.storing == 0 && self.empty >= EMPTY_ENOUGH
    }

    fn failed(&mut self, error: ChannelError, dice: f64) {
        let now = Instant::now();
        self.counts.failures += 1;
        self.target = 1;
        let tries = self.failure.as_ref().map_or(0, |failure| failure.tries);
        let delay = FIRST_DELAY.saturating_mul(1 << tries.min(16)).min(LONGEST_DELAY).mul_f64(0.5 + dice / 2.0);
        let same = self.failure.as_ref().filter(|failure| failure.error.trouble == error.trouble);
        let told = same.map(|failure| failure.told).filter(|told| now - *told < TELL_EVERY);
        if told.is_none() {
            let (channel, code) = (&self.name, error.trouble.code());
            tracing::warn!(channel, code, "nothing can be received; trying again by itself: {error}");
        }
        self.failure =
            Some(Failure { error, tries: tries.saturating_add(1), retry_at: now + delay, told: told.unwrap_or(now) });
    }

    /// Whether another line about single messages would not be one of too many; the counts have them all.
    fn may_tell(&mut self) -> bool {
        let may = self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        self.told = if may { Some(Instant::now()) } else { self.told };
        may
    }

    fn recovered(&mut self) {
        if let Some(failure) = self.failure.take() {
            tracing::info!(channel = self.name, tries = failure.tries, "the channel can be received from again");
        }
    }
}

impl Host {
    /// Starts receiving wherever there is work for more messages.
    pub(super) fn poll_channels(&mut self) {
        for number in 0..self.inlets.len() {
            while self.may_poll(number) {
                self.poll(number);
            }
            self.look(number);
        }
    }

    fn may_poll(&self, number: usize) -> bool {
        let inlet = &self.inlets[number];
        let readers = &self.channels[inlet.intake].readers;
        let in_hand = self.leases.in_hand(number) + inlet.storing + inlet.running * MAX_BATCH;
        inlet.running < inlet.target
            && in_hand < inlet.most_in_hand()
            && !self.outbox_is_full()
            && inlet.failure.as_ref().is_none_or(|failure| failure.retry_at <= Instant::now() && inlet.running == 0)
            && readers.iter().any(|reader| self.scheduler.is_hungry(*reader))
    }

    fn poll(&mut self, number: usize) {
        let inlet = &mut self.inlets[number];
        let wait = if self.until_idle || inlet.empty == 0 { SHORT_POLL } else { LONG_POLL };
        let (source, lease, inputs) = (Arc::clone(&inlet.source), inlet.lease, self.to_self.clone());
        // A channel that does not answer is asked for one message only, and without a wait, to see whether it does again.
        let (asked, wait) = if inlet.failure.is_some() { (1, Duration::ZERO) } else { (MAX_BATCH, wait) };
        inlet.running += 1;
        inlet.polls.retain(|poll| !poll.is_finished());
        let poll = tokio::spawn(async move {
            let answer = source.receive(asked, wait, lease).await;
            let _ = inputs.send(Input::Received { inlet: number, asked, answer });
        });
        inlet.polls.push(poll.abort_handle());
    }

    /// A receive call has been answered.
    pub(super) fn received(&mut self, number: usize, asked: usize, answer: Result<Vec<Received>, ChannelError>) {
        let now = self.clock.elapsed();
        let inlet = &mut self.inlets[number];
        inlet.running -= 1;
        let messages = match answer {
            Ok(messages) => messages,
            Err(error) => return inlet.failed(error, rand::random()),
        };
        inlet.recovered();
        inlet.adapt(asked, messages.len());
        inlet.counts.received += messages.len() as u64;
        if messages.is_empty() {
            return;
        }
        if inlet.settle == Settle::Stored {
            return self.copy(number, messages);
        }
        for Received { message, receipt, sent, .. } in messages {
            let group = message.system.group_id.as_ref().map(|group| group_lane(&inlet.name, group));
            let new = NewLease { inlet: number, receipt, length: inlet.lease, group, sent };
            let lease = self.leases.arrived(new, now);
            inlet.arrived.push_back(Arrived { lease, message, candidates: Vec::new() });
        }
    }

    /// Copies messages to the channel's log, and deletes them once they are safe there.
    fn copy(&mut self, number: usize, received: Vec<Received>) {
        let inlet = &mut self.inlets[number];
        let (messages, receipts): (Vec<_>, Vec<_>) =
            received.into_iter().map(|received| (received.message, received.receipt)).unzip();
        inlet.storing += receipts.len();
        let (store, inputs, id) = (Arc::clone(&self.store), self.to_self.clone(), inlet.id);
        tokio::spawn(async move {
            let written = until_there_is_room(|| store.append(id, messages.clone())).await;
            let _ = inputs.send(match written {
                Ok(_) => Input::Stored { inlet: number, receipts },
                Err(error) => Input::Fatal(error),
            });
        });
    }

    /// Received messages are safe in the log.
    pub(super) fn stored(&mut self, number: usize, receipts: Vec<Receipt>) {
        let inlet = &mut self.inlets[number];
        inlet.storing -= receipts.len();
        inlet.pace.count(receipts.len());
        receipts.into_iter().for_each(|receipt| inlet.delete(receipt));
        self.channels[inlet.intake].pending = true;
    }

    /// Enters what has arrived, wherever nothing else is being admitted.
    pub(super) fn enter_arrived(&mut self) {
        for number in 0..self.inlets.len() {
            let intake = &self.channels[self.inlets[number].intake];
            if !self.inlets[number].arrived.is_empty() && !intake.busy && !intake.pending {
                self.enter(number);
            }
        }
    }

    fn enter(&mut self, number: usize) {
        let (at, now) = (self.clock.wall(), self.now());
        let inlet = &mut self.inlets[number];
        let count = inlet.arrived.len().min(BATCH);
        let mut batch: Vec<Arrived> = inlet.arrived.drain(..count).collect();
        let (channel, drop) = (inlet.id, std::mem::take(&mut inlet.drop));
        let intake = &mut self.channels[inlet.intake];
        intake.busy = true;
        let mut messages = Vec::with_capacity(batch.len());
        for arrived in &mut batch {
            let message = arrived.message.clone();
            let sorted = intake.channel.sort(LogRecord { offset: Offset(0), accepted: at, message }, at);
            let mut deliveries = Vec::with_capacity(sorted.candidates.len());
            for candidate in sorted.candidates {
                let reactor = self.by_id[&candidate.reactor];
                let place = self.scheduler.place(reactor, candidate.lane);
                let config = &self.reactors[reactor].config;
                deliveries.push(NewDelivery {
                    reactor: candidate.reactor,
                    origin: candidate.origin,
                    key: candidate.key,
                    window: config.dedup.window,
                    lane: candidate.lane,
                    place,
                    redrive: sorted.sent_back_to.as_ref() == Some(&config.name),
                });
                arrived.candidates.push((candidate, place));
            }
            messages.push(Incoming {
                message: std::mem::take(&mut arrived.message),
                deliveries,
                dead: sorted.dead,
                unrouted: sorted.unrouted,
                keep: sorted.is_unwanted && intake.channel.unrouted == Unrouted::Keep,
            });
        }
        let reception = Reception { channel, now, messages, drop };
        let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
        tokio::spawn(async move {
            let entered = until_there_is_room(|| store.receive(reception.clone())).await;
            let _ = inputs.send(match entered {
                Ok(entered) => Input::Entered { inlet: number, batch, entered },
                Err(error) => Input::Fatal(error),
            });
        });
    }

    /// The store has entered what arrived.
    pub(super) fn entered(&mut self, number: usize, batch: Vec<Arrived>, entered: Entered) -> Result<(), StoreError> {
        let intake = &mut self.channels[self.inlets[number].intake];
        intake.busy = false;
        intake.cursor = entered.cursor;
        for (arrived, message) in batch.into_iter().zip(entered.messages) {
            self.entered_message(arrived, message)?;
        }
        Ok(())
    }

    fn entered_message(&mut self, arrived: Arrived, message: EnteredMessage) -> Result<(), StoreError> {
        let now = self.now();
        let (mut open, mut resumed, mut too_early) = (Vec::new(), Vec::new(), false);
        let mut record = None;
        for ((mut candidate, place), answer) in arrived.candidates.into_iter().zip(message.answers) {
            let reactor = self.by_id[&candidate.reactor];
            match answer {
                Admitted::New(id) => {
                    open.push(id);
                    record = message.record;
                    candidate.origin.offset = message.record.unwrap_or_default();
                    self.admitted_one(reactor, id, candidate, place, now);
                }
                Admitted::Duplicate => self.suppressed(reactor, &candidate),
                Admitted::Active(id) => {
                    too_early |= self.leaving.contains(&id);
                    open.push(id);
                }
                Admitted::Resumed(stored) => {
                    open.push(stored.id);
                    resumed.push(*stored);
                }
            }
        }
        // A record is known to be needed by nobody else only if all that came of it is awaited here.
        if let Some(closed) = self.leases.admitted(arrived.lease, &open, record) {
            self.close(closed);
        }
        for stored in resumed {
            self.activate(stored, Arrival::Fresh)?;
        }
        if too_early && let Some(closed) = self.leases.release(arrived.lease, SOON) {
            self.close(closed);
        }
        Ok(())
    }

    /// Deletes a message, or gives it back.
    fn close(&mut self, closed: Closed) {
        let inlet = &mut self.inlets[closed.inlet];
        inlet.pace.count(1);
        match closed.fate {
            Fate::Delete(record) => {
                inlet.drop.extend(record);
                inlet.delete(closed.receipt);
            }
            Fate::Back(after) => {
                inlet.counts.returned += 1;
                // A little early: it is better here when it is due than on its way.
                let after = if after > EARLY * 2 { after - EARLY } else { after };
                inlet.set_lease(closed.receipt, after.min(LEASE_AT_MOST), None);
            }
        }
    }

    /// A delivery has ended, durably: what was held for it alone is settled.
    pub(super) fn settle_messages(&mut self, delivery: DeliveryId) {
        let now = self.now();
        for closed in self.leases.ended(delivery, now) {
            self.close(closed);
        }
    }

    /// A delivery waits. In a lane it keeps its lease, or those behind it would overtake it.
    pub(super) fn lend_messages(&mut self, delivery: DeliveryId, lane: Option<LaneKey>, due: crate::event::HostTime) {
        if lane.is_some() {
            return;
        }
        let now = self.now();
        for closed in self.leases.waits(delivery, due, now) {
            self.close(closed);
        }
    }

    /// Whether a delivery may run: it needs no lease, or has one.
    pub(super) fn may_run(&self, delivery: DeliveryId, channel: ChannelId, redriven: bool) -> bool {
        let needs = !redriven && self.inlets.iter().any(|i| i.id == channel && i.settle == Settle::Completed);
        !needs || self.leases.is_held(delivery, self.clock.elapsed())
    }

    /// Whether a delivery in memory may run.
    pub(super) fn holds_lease(&self, delivery: DeliveryId, active: &Active) -> bool {
        self.may_run(delivery, active.origin.channel, active.redrive_of.is_some())
    }

    /// Notes in the store that a delivery goes on only when its message is received again.
    pub(super) fn put_away(&mut self, delivery: DeliveryId) {
        self.leaving.insert(delivery);
        let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
        tokio::spawn(async move {
            let written = until_there_is_room(|| store.away(vec![delivery])).await;
            let _ = inputs.send(match written {
                Ok(()) => Input::AwayWritten(delivery),
                Err(error) => Input::Fatal(error),
            });
        });
    }

    /// Sends the message of a dead letter to its queue again; tries a few times, and again when the host is asked anew.
    pub(super) fn resend(&mut self, request: u64, dead: u64, channel: ChannelId, mut message: Message) {
        let Some(inlet) = self.inlets.iter().find(|inlet| inlet.id == channel) else { return };
        if !self.resending.insert(request) {
            return;
        }
        // A FIFO queue would take it for the one that it has had.
        let id = message.system.message_id.take().unwrap_or_default();
        message.system.dedup_id = Some(format!("{id}-{dead}-{}", self.clock.wall().as_millisecond()));
        let (source, inputs) = (Arc::clone(&inlet.source), self.to_self.clone());
        tokio::spawn(async move {
            let mut delay = FIRST_DELAY;
            let answer = loop {
                match source.resend(&message).await {
                    Err(error) if error.trouble != Trouble::Refused && delay < LONGEST_DELAY => {
                        tokio::time::sleep(delay).await;
                        delay *= 2;
                    }
                    answer => break answer,
                }
            };
            let _ = inputs.send(Input::Resent { request, dead, answer });
        });
    }

    /// Renews the leases that are due, and gives up what runs without one.
    pub(super) fn keep_leases(&mut self) {
        let upkeep = self.leases.tick(self.clock.elapsed());
        for (lease, inlet, receipt, length) in upkeep.renew {
            self.inlets[inlet].set_lease(receipt, length, Some(lease));
        }
        upkeep.expired.into_iter().for_each(|lease| self.lose(lease, "it could not be renewed in time"));
    }

    /// A lease has been renewed, or not.
    pub(super) fn renewed(&mut self, lease: LeaseId, sent: Duration, answer: Result<(), ChannelError>) {
        let Some(inlet) = self.leases.inlet(lease) else { return };
        match answer {
            Ok(()) => {
                self.inlets[inlet].counts.renewed += 1;
                self.leases.renewed(lease, sent);
            }
            Err(error) => self.lose(lease, &error.detail),
        }
    }

    fn lose(&mut self, lease: LeaseId, why: &str) {
        let Some(inlet) = self.leases.inlet(lease) else { return };
        let (bare, others) = self.leases.lost(lease);
        let lost = &mut self.inlets[inlet];
        lost.counts.lost += 1;
        if lost.may_tell() {
            tracing::warn!(channel = lost.name, "leases are lost; their messages will come again: {why}");
        }
        others.into_iter().for_each(|closed| self.close(closed));
        for delivery in bare {
            if self.active.get(&delivery).is_some_and(|active| !self.holds_lease(delivery, active)) {
                self.cancel(delivery);
            }
        }
    }

    /// A message has been deleted, or not: then it comes again, and is a duplicate.
    pub(super) fn deleted(&mut self, number: usize, answer: Result<(), ChannelError>) {
        let inlet = &mut self.inlets[number];
        match answer {
            Ok(()) => inlet.counts.deleted += 1,
            Err(error) => {
                inlet.counts.failures += 1;
                if inlet.may_tell() {
                    let (channel, code) = (&inlet.name, error.trouble.code());
                    tracing::warn!(channel, code, "messages could not be deleted and will come again: {error}");
                }
            }
        }
    }

    /// Asks for the depth of a queue from time to time.
    fn look(&mut self, number: usize) {
        let inlet = &mut self.inlets[number];
        if inlet.look_at > Instant::now() {
            return;
        }
        inlet.look_at = Instant::now() + LOOK_EVERY;
        let (source, inputs) = (Arc::clone(&inlet.source), self.to_self.clone());
        tokio::spawn(async move {
            let answer = source.depth().await;
            let _ = inputs.send(Input::Depth { inlet: number, answer });
        });
    }

    /// Tells how a channel does, when that has changed.
    pub(super) fn looked(&mut self, number: usize, answer: Result<Depth, ChannelError>) {
        let (in_hand, oldest) = (self.leases.in_hand(number), self.leases.oldest(number));
        let oldest_ms = oldest.map_or(0, |sent| self.clock.wall().duration_since(sent).as_millis().max(0));
        let inlet = &mut self.inlets[number];
        // A queue that cannot be asked cannot be received from either, which is told there.
        let Ok(depth) = answer else { return };
        if inlet.depth.replace(depth) == Some(depth) && in_hand == 0 {
            return;
        }
        let Depth { visible, in_flight, delayed } = depth;
        tracing::info!(channel = inlet.name, visible, in_flight, delayed, in_hand, oldest_ms, "queue");
        inlet.counts.tell(&inlet.name);
    }

    /// When receiving has something to do next.
    pub(super) fn next_receive(&self) -> Option<Instant> {
        let retries = self.inlets.iter().filter_map(|inlet| inlet.failure.as_ref().map(|failure| failure.retry_at));
        let looks = self.inlets.iter().map(|inlet| inlet.look_at);
        // What is past and has not been done waits for something else than the time.
        let now = Instant::now();
        let ahead = retries.chain(looks).filter(|at| *at > now);
        let wait = |at: Duration| now + at.saturating_sub(self.clock.elapsed());
        ahead.chain(self.leases.next_wake().map(wait)).min()
    }

    /// Whether a receive call is under way.
    pub(super) fn is_receiving(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.running > 0)
    }

    /// Gives back what came too late.
    pub(super) fn refuse(&mut self, number: usize, received: Vec<Received>) {
        let inlet = &mut self.inlets[number];
        inlet.running -= 1;
        inlet.counts.returned += received.len() as u64;
        received.into_iter().for_each(|received| inlet.set_lease(received.receipt, Duration::ZERO, None));
    }

    /// Gives back what has not ended, and waits until what was asked of the channels is done.
    pub(super) async fn hand_back(&mut self) {
        self.inlets.iter().flat_map(|inlet| &inlet.polls).for_each(AbortHandle::abort);
        for closed in self.leases.release_all() {
            self.close(closed);
        }
        self.inlets.iter().for_each(|inlet| inlet.counts.tell(&inlet.name));
        self.inlets.clear();
        let all = async { while self.acknowledgers.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            tracing::warn!("some messages could not be settled in time; they will come again and are known");
        }
    }
}
