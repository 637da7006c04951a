//! Step: keep the leases on received messages, and settle what has ended.
//!
//! With `settle = "completed"` the remote queue decides who works on a message: its deliveries run only while this host
//! holds a lease on it, and what is given back, or lost, goes on when it is received again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::backoff::{Backoff, Jitter};
use crate::channel::{ChannelError, Lease, Trouble};
use crate::clock::{Moment, within};
use crate::event::{ChannelId, DeliveryId, HostTime, LaneKey, Message};

use super::Input;
use super::delivery::Delivery;
use super::host::Host;
use super::lease::{Closed, Fate, LeaseId};
use super::room::until_there_is_room;

/// How much before its time a message that was given back is received again.
const EARLY: Duration = Duration::from_secs(2);
/// How often a dead letter is tried to be sent to its queue again, and the delays between.
const RESENDS: u32 = 8;
const RESEND: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(30), Jitter::None);
/// How long the end of the host waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(5);

impl Host {
    /// Deletes a message, or gives it back.
    pub(super) fn close(&mut self, closed: Closed) {
        let now = self.clock.now();
        let inlet = &mut self.inlets[closed.inlet];
        inlet.pace.count(1, now);
        match closed.fate {
            Fate::Delete(record) => {
                inlet.drop.extend(record);
                inlet.delete(closed.receipt, now);
            }
            Fate::Back(after) => {
                inlet.signals.returned.inc();
                // A little early: it is better here when it is due than on its way.
                let after = if after > EARLY * 2 { after - EARLY } else { after };
                let after = after.min(inlet.limits.delay);
                inlet.set_lease(closed.receipt, Lease::GiveBack(after), None, now);
            }
        }
    }

    /// A delivery has ended, durably: what was held for it alone is settled.
    pub(super) fn settle_messages(&mut self, delivery: DeliveryId) {
        let now = self.now();
        for closed in self.deliveries.acknowledged(delivery, now) {
            self.close(closed);
        }
    }

    /// A delivery waits. In a lane it keeps its lease, or those behind it would overtake it.
    pub(super) fn lend_messages(&mut self, delivery: DeliveryId, lane: Option<LaneKey>, due: HostTime) {
        if lane.is_some() {
            return self.deliveries.rests(delivery);
        }
        let now = self.now();
        for closed in self.deliveries.waits(delivery, due, now) {
            self.close(closed);
        }
    }

    /// Whether a delivery may run: it needs no lease, or has one.
    pub(super) fn may_run(&self, delivery: DeliveryId, leased: bool) -> bool {
        self.deliveries.may_run(delivery, leased, self.clock.now())
    }

    /// Whether a delivery in memory may run.
    pub(super) fn holds_lease(&self, delivery: &Delivery) -> bool {
        self.may_run(delivery.id(), delivery.leased)
    }

    /// Notes in the store that a delivery goes on only when its message is received again.
    pub(super) fn put_away(&mut self, delivery: DeliveryId) {
        self.deliveries.park(delivery);
        let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
        let (signals, clock) = (Arc::clone(&self.signals), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let written = until_there_is_room(&signals, &*clock, || store.away(vec![delivery])).await;
            let _ = inputs.send(match written {
                Ok(()) => Input::AwayWritten(delivery),
                Err(error) => Input::Fatal(error),
            });
        });
    }

    /// The store has noted it. An answer that is on its way may not know of it.
    pub(super) fn put_away_written(&mut self, delivery: DeliveryId) {
        let is_receiving = self.inlets.iter().any(|inlet| self.channels[inlet.intake].busy);
        self.deliveries.parked(delivery, is_receiving);
    }

    /// Sends the message of a dead letter to its queue again; tries a few times, and again when the host is asked again.
    pub(super) fn resend(&mut self, request: u64, dead: u64, channel: ChannelId, mut message: Message) {
        let Some(inlet) = self.inlets.iter().find(|inlet| inlet.id == channel) else { return };
        if !self.requests.is_first_to_resend(request) {
            return;
        }
        // A FIFO queue would take it for the one that it has had.
        let id = message.system.message_id.take().unwrap_or_default();
        message.system.dedup_id = Some(format!("{id}-{dead}-{}", self.clock.wall().as_millisecond()));
        let (source, inputs, clock) = (Arc::clone(&inlet.source), self.to_self.clone(), Arc::clone(&self.clock));
        let (store, signals) = (Arc::clone(&self.store), Arc::clone(&self.signals));
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
    pub(super) fn keep_leases(&mut self, now: Moment) {
        let upkeep = self.deliveries.leases_due(now);
        for (lease, inlet, receipt, length) in upkeep.renew {
            self.inlets[inlet].set_lease(receipt, Lease::Extend(length), Some(lease), now);
        }
        upkeep.expired.into_iter().for_each(|lease| self.lose(lease, "it could not be renewed in time"));
    }

    /// A lease has been renewed, or not.
    pub(super) fn renewed(&mut self, lease: LeaseId, sent: Moment, answer: Result<(), ChannelError>) {
        let Some(inlet) = self.deliveries.inlet(lease) else { return };
        match answer {
            Ok(()) => {
                self.inlets[inlet].signals.renewed.inc();
                self.deliveries.renewed(lease, sent);
            }
            Err(error) => self.lose(lease, &error.detail),
        }
    }

    fn lose(&mut self, lease: LeaseId, why: &str) {
        let Some(inlet) = self.deliveries.inlet(lease) else { return };
        let (bare, others) = self.deliveries.lost(lease);
        let lost = &mut self.inlets[inlet];
        lost.signals.lost.inc();
        if lost.may_tell(self.clock.now()) {
            tracing::warn!(channel = lost.name, "lost the leases on messages; the queue will redeliver them: {why}");
        }
        others.into_iter().for_each(|closed| self.close(closed));
        bare.into_iter().for_each(|delivery| self.slots.cancel(delivery));
    }

    /// A message has been deleted, or not: then it comes again, and is a duplicate.
    pub(super) fn deleted(&mut self, number: usize, answer: Result<(), ChannelError>) {
        let inlet = &mut self.inlets[number];
        match answer {
            Ok(()) => drop(inlet.signals.deleted.inc()),
            Err(error) => {
                inlet.signals.failures.inc();
                if inlet.may_tell(self.clock.now()) {
                    let (channel, code) = (&inlet.name, error.trouble.code());
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
    pub(super) async fn hand_back(&mut self) {
        self.inlets.iter().flat_map(|inlet| &inlet.polls).for_each(AbortHandle::abort);
        for closed in self.deliveries.release_all() {
            self.close(closed);
        }
        self.inlets.iter().for_each(|inlet| inlet.signals.tell(&inlet.name));
        self.inlets.clear();
        let all = async { while self.acknowledgers.join_next().await.is_some() {} };
        if within(self.clock.sleep(FAREWELL), all).await.is_none() {
            tracing::warn!(
                "some messages were not deleted before shutdown; the queue will redeliver them and they will be recognised as duplicates"
            );
        }
    }
}
