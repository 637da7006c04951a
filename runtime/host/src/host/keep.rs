//! Step: keep the leases on received messages, and settle what has ended.
//!
//! With `settle = "completed"` the remote queue decides who works on a message: its deliveries run only while this host
//! holds a lease on it, and what is given back, or lost, goes on when it is received again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::{ChannelError, Lease, Trouble};
use reactor_core::clock::{Moment, within};
use reactor_core::event::{ChannelId, DeliveryId, HostTime, LaneKey, Message};
use reactor_core::planted::{Bug, is_planted};

use crate::Input;
use crate::delivery::Delivery;
use crate::host::Host;
use crate::room::until_there_is_room;
use crate::sources::lease::{Closed, Fate, LeaseId};

/// How much before its time a message that was given back is received again.
const EARLY: Duration = Duration::from_secs(2);
/// How often a dead letter is tried to be sent to its queue again, and the delays between.
const RESENDS: u32 = 8;
const RESEND: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(30), Jitter::None);
/// How long the end of the host waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(5);

impl Host {
    /// Deletes a message, or gives it back.
    pub(crate) fn close(&mut self, closed: Closed) {
        let now = self.ports.clock.now();
        let poller = &mut self.queues.pollers[closed.poller];
        poller.pace.count(1, now);
        match closed.fate {
            Fate::Delete(record) => {
                poller.drop.extend(record);
                poller.delete(closed.receipt, now);
            }
            Fate::Back(after) => {
                poller.signals.returned.inc();
                // A little early: it is better here when it is due than on its way.
                let after = if after > EARLY * 2 { after - EARLY } else { after };
                let after = after.min(poller.limits.delay);
                poller.set_lease(closed.receipt, Lease::GiveBack(after), None, now);
            }
        }
    }

    /// A delivery has ended, durably: what was held for it alone is settled.
    pub(crate) fn acknowledge_messages(&mut self, delivery: DeliveryId) {
        let now = self.ports.now();
        for closed in self.deliveries.acknowledged(delivery, now) {
            self.close(closed);
        }
    }

    /// A delivery waits. In a lane it keeps its lease, or those behind it would overtake it.
    pub(crate) fn back_off_messages(&mut self, delivery: DeliveryId, lane: Option<LaneKey>, due: HostTime) {
        if lane.is_some() {
            return self.deliveries.rests(delivery);
        }
        let now = self.ports.now();
        for closed in self.deliveries.waits(delivery, due, now) {
            self.close(closed);
        }
    }

    /// Whether a delivery may run: it needs no lease, or has one.
    pub(crate) fn may_run(&self, delivery: DeliveryId, leased: bool) -> bool {
        self.deliveries.may_run(delivery, leased, self.ports.clock.now())
    }

    /// Whether a delivery in memory may run.
    pub(crate) fn holds_lease(&self, delivery: &Delivery) -> bool {
        self.may_run(delivery.id(), delivery.leased)
    }

    /// Notes in the store that a delivery goes on only when its message is received again.
    pub(crate) fn note_away(&mut self, delivery: DeliveryId) {
        self.deliveries.goes_away(delivery);
        self.ports.write(move |store| store.away(vec![delivery]), move |()| Input::AwayWritten(delivery));
    }

    /// The store has noted it. An answer that is on its way may not know of it.
    pub(crate) fn went_away(&mut self, delivery: DeliveryId) {
        let is_receiving = self.queues.pollers.iter().any(|poller| self.topology.channels[poller.intake].is_entering());
        self.deliveries.went_away(delivery, is_receiving);
    }

    /// Sends the message of a dead letter to its queue again; tries a few times, and again when the host is asked again.
    pub(crate) fn resend(&mut self, request: u64, dead: u64, channel: ChannelId, mut message: Message) {
        let Some(poller) = self.queues.pollers.iter().find(|poller| poller.id == channel) else { return };
        if !self.requests.is_first_to_resend(request) {
            return;
        }
        // A FIFO queue would take it for the one that it has had.
        let id = message.system.message_id.take().unwrap_or_default();
        message.system.dedup_id = Some(format!("{id}-{dead}-{}", self.ports.clock.wall().as_millisecond()));
        let (source, inputs, clock) =
            (Arc::clone(&poller.source), self.ports.to_self.clone(), Arc::clone(&self.ports.clock));
        let (store, signals) = (Arc::clone(&self.ports.store), Arc::clone(&self.ports.signals));
        tokio::spawn(async move {
            let mut failures = 0;
            let answer = loop {
                match source.resend(&message).await {
                    Err(error) if error.trouble != Trouble::Refused && failures + 1 < RESENDS => {
                        failures += 1;
                        clock.sleep(RESEND.after(failures, clock.random())).await;
                    }
                    answer => break answer,
                }
            };
            // It is decoded and routed again when it is received, so its letter parks nothing.
            let dropped = match answer {
                Ok(()) => until_there_is_room(&signals, &*clock, || store.drop_dead(request, dead)).await.map(drop),
                Err(_) => Ok(()),
            };
            let _ = inputs.send(match dropped {
                Ok(()) => Input::Resent { request, dead, answer },
                Err(error) => Input::Fatal(error),
            });
        });
    }

    /// Renews the leases that are due, and gives up what runs without one.
    pub(crate) fn keep_leases(&mut self, now: Moment) {
        let upkeep = self.deliveries.leases_due(now);
        for (lease, poller, receipt, length) in upkeep.renew {
            self.queues.pollers[poller].set_lease(receipt, Lease::Extend(length), Some(lease), now);
        }
        upkeep.expired.into_iter().for_each(|lease| self.lose(lease, "it could not be renewed in time"));
    }

    /// A lease has been renewed, or not.
    pub(crate) fn renewed(&mut self, lease: LeaseId, sent: Moment, answer: Result<(), ChannelError>) {
        let Some(poller) = self.deliveries.poller(lease) else { return };
        match answer {
            Ok(()) => {
                self.queues.pollers[poller].signals.renewed.inc();
                self.deliveries.renewed(lease, sent);
            }
            Err(error) => self.lose(lease, &error.detail),
        }
    }

    fn lose(&mut self, lease: LeaseId, why: &str) {
        let Some(poller) = self.deliveries.poller(lease) else { return };
        let (bare, others) = self.deliveries.lost(lease);
        let lost = &mut self.queues.pollers[poller];
        lost.signals.lost.inc();
        if lost.may_tell(self.ports.clock.now()) {
            tracing::warn!(channel = lost.name, "lost the leases on messages; the queue will redeliver them: {why}");
        }
        others.into_iter().for_each(|closed| self.close(closed));
        bare.into_iter().for_each(|delivery| self.runs.slots.cancel(delivery));
    }

    /// A message has been deleted, or not: then it comes again, and is a duplicate.
    pub(crate) fn deleted(&mut self, number: usize, answer: Result<(), ChannelError>) {
        let poller = &mut self.queues.pollers[number];
        match answer {
            Ok(()) => drop(poller.signals.deleted.inc()),
            Err(error) => {
                poller.signals.failures.inc();
                if poller.may_tell(self.ports.clock.now()) {
                    let (channel, code) = (&poller.name, error.trouble.code());
                    tracing::warn!(
                        channel,
                        code,
                        "cannot delete messages from the queue, which will redeliver them: {error}"
                    );
                }
            }
        }
    }

    /// Gives back what has not ended, and waits until what was asked of the channels is done.
    pub(crate) async fn hand_back(&mut self) {
        self.queues.pollers.iter().flat_map(|poller| &poller.polls).for_each(AbortHandle::abort);
        for closed in self.deliveries.release_all() {
            if is_planted(Bug::DrainKeepsMessages) {
                continue;
            }
            self.close(closed);
        }
        self.queues.pollers.iter().for_each(|poller| poller.signals.tell(&poller.name));
        self.queues.pollers.clear();
        let all = async { while self.queues.acknowledgers.join_next().await.is_some() {} };
        if within(self.ports.clock.sleep(FAREWELL), all).await.is_none() {
            tracing::warn!(
                "some messages were not deleted before shutdown; the queue will redeliver them and they will be recognised as duplicates"
            );
        }
    }
}
