//! All deliveries in memory. Each one is in three tables (the deliveries themselves, the scheduler's queues and lanes,
//! and the leases on their messages); only this file moves a delivery, and it updates all three.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reactor_core::clock::Moment;
use reactor_core::event::{DeliveryId, HostTime, LaneKey, Offset};
use reactor_core::store::{LaneState, Place};
use reactor_signal::{BreakerChange, QueueStatus};

use super::super::schedule::{self, Arrival, Loaded, ReactorSpec, Return, Scheduler};
use super::{Committing, Delivery, Running, Stage};
use crate::sources::lease::{Closed, LeaseId, Leases, NewLease, Upkeep};

/// See the module.
pub(in super::super) struct Deliveries {
    all: HashMap<DeliveryId, Delivery>,
    scheduler: Scheduler,
    leases: Leases,
    /// Those going away: the store does not know it yet.
    leaving: HashSet<DeliveryId>,
    /// Those that went away during a receive call, whose answer may be older than that.
    left: HashSet<DeliveryId>,
    /// How many are becoming held.
    holding: usize,
    /// Those that had been loaded and left memory while a load was under way, which may have seen them as they were before.
    /// Nothing if none is.
    departed: Option<HashSet<DeliveryId>>,
}

impl Deliveries {
    pub(in super::super) fn new(scheduler: Scheduler) -> Self {
        let (all, leases) = (HashMap::new(), Leases::default());
        Self { all, scheduler, leases, leaving: HashSet::new(), left: HashSet::new(), holding: 0, departed: None }
    }

    /// How many are in memory.
    pub(in super::super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(in super::super) fn get(&self, id: DeliveryId) -> Option<&Delivery> {
        self.all.get(&id)
    }

    pub(in super::super) fn get_mut(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.all.get_mut(&id)
    }
}

/// Into memory and out of it.
impl Deliveries {
    /// Where a new delivery should go.
    pub(in super::super) fn place(&self, reactor: usize, lane: Option<LaneKey>) -> Place {
        self.scheduler.place(reactor, lane)
    }

    /// A delivery comes into memory.
    pub(in super::super) fn enter(&mut self, delivery: Delivery, arrival: Arrival) {
        let ticket = delivery.ticket;
        let before = self.all.insert(ticket.delivery, delivery);
        debug_assert!(before.is_none(), "{} is in memory twice", ticket.delivery);
        self.scheduler.offer(ticket, arrival);
    }

    /// A delivery has been admitted that is only in the store.
    pub(in super::super) fn stored(&mut self, reactor: usize, lane: Option<LaneKey>, place: Place) {
        self.scheduler.stored(reactor, lane, place);
    }

    /// Whether a delivery may be loaded: it is neither in memory nor leaving it.
    pub(in super::super) fn is_absent(&self, id: DeliveryId) -> bool {
        !self.all.contains_key(&id) && !self.leaving.contains(&id)
    }

    /// A load begins: what it finds is judged when its answer comes.
    pub(in super::super) fn load_begins(&mut self) {
        debug_assert!(self.departed.is_none(), "a load is under way");
        self.departed = Some(HashSet::new());
    }

    /// What a load has found has been judged.
    pub(in super::super) fn load_ended(&mut self) {
        self.departed = None;
    }

    /// Whether a load may have found a delivery as it was before it left memory.
    pub(in super::super) fn has_departed(&self, id: DeliveryId) -> bool {
        self.departed.as_ref().is_some_and(|departed| departed.contains(&id))
    }

    /// Takes a delivery out of memory.
    fn remove(&mut self, id: DeliveryId) -> Option<Delivery> {
        let delivery = self.all.remove(&id)?;
        if let Some(departed) = self.departed.as_mut().filter(|_| delivery.restored) {
            departed.insert(id);
        }
        Some(delivery)
    }

    /// Whether what a load of a lane has found may come into memory.
    pub(in super::super) fn takes_held(&self, reactor: usize, lane: LaneKey) -> bool {
        self.scheduler.takes_held(reactor, lane)
    }

    pub(in super::super) fn has_room(&self, reactor: usize) -> bool {
        self.scheduler.has_room(reactor)
    }

    pub(in super::super) fn loaded(&mut self, reactor: usize, loaded: Loaded) {
        self.scheduler.loaded(reactor, loaded);
    }

    /// It leaves memory to wait behind its lane's head; call [`Deliveries::held`] when the store knows.
    pub(in super::super) fn hold(&mut self, id: DeliveryId) {
        self.forget(id);
        self.holding += 1;
    }

    /// The store knows that a delivery is held.
    pub(in super::super) fn held(&mut self, reactor: usize, lane: LaneKey) {
        self.holding -= 1;
        self.scheduler.held_written(reactor, lane);
    }

    /// It leaves memory, and keeps its lease: the store knows that it is held.
    pub(in super::super) fn forget(&mut self, id: DeliveryId) {
        if let Some(delivery) = self.remove(id) {
            debug_assert!(matches!(delivery.stage, Stage::Queued), "{id} was forgotten while it ran");
            self.scheduler.gave_back(delivery.ticket, Return::Forgotten);
        }
        self.leases.rests(id);
    }

    /// A started delivery has lost its lease and leaves memory to go away. Returns whether it was in memory.
    pub(in super::super) fn withdraw(&mut self, id: DeliveryId) -> bool {
        let Some(delivery) = self.remove(id) else { return false };
        self.scheduler.gave_back(delivery.ticket, Return::Withdrawn);
        true
    }

    /// The store is being told that a delivery is away until its message is received again.
    pub(in super::super) fn goes_away(&mut self, id: DeliveryId) {
        self.leaving.insert(id);
    }

    /// The store knows it. `is_receiving`: an answer that predates it may be in flight.
    pub(in super::super) fn went_away(&mut self, id: DeliveryId, is_receiving: bool) {
        self.leaving.remove(&id);
        if is_receiving {
            self.left.insert(id);
        }
    }

    /// Whether a delivery that the store called active had gone away by then, or was about to be.
    pub(in super::super) fn was_away(&self, id: DeliveryId) -> bool {
        self.leaving.contains(&id) || self.left.contains(&id)
    }

    /// No answer of a reception is under way.
    pub(in super::super) fn nothing_is_received(&mut self) {
        self.left.clear();
    }
}

/// From stage to stage.
impl Deliveries {
    /// What the scheduler wants to be done now.
    pub(in super::super) fn tick(&mut self, now: HostTime) -> Vec<schedule::Action> {
        self.scheduler.tick(now)
    }

    /// Queued, then running: the scheduler has started it.
    pub(in super::super) fn started(&mut self, id: DeliveryId, running: Running) -> Option<&mut Delivery> {
        let delivery = self.all.get_mut(&id)?;
        debug_assert!(matches!(delivery.stage, Stage::Queued), "{id} was started twice");
        delivery.stage = Stage::Running(running);
        Some(delivery)
    }

    /// A run has ended with a result; `failed` if a rerun may succeed. Returns what changes about the reactor's
    /// breaker.
    pub(in super::super) fn ran(&mut self, id: DeliveryId, failed: bool, now: HostTime) -> Option<BreakerChange> {
        self.scheduler.ran(self.all.get(&id)?.reactor(), id, failed, now)
    }

    /// Running, then queued again: its run does not count.
    pub(in super::super) fn runs_again(&mut self, id: DeliveryId, how: Return) {
        let Some(delivery) = self.all.get_mut(&id) else { return };
        debug_assert!(matches!(delivery.stage, Stage::Running(_)), "{id} did not run");
        delivery.stage = Stage::Queued;
        self.scheduler.gave_back(delivery.ticket, how);
    }

    /// Running, then committing.
    pub(in super::super) fn commits(&mut self, id: DeliveryId, committing: Committing, ending: schedule::Ending) {
        let Some(delivery) = self.all.get_mut(&id) else { return };
        debug_assert!(matches!(delivery.stage, Stage::Running(_)), "{id} did not run");
        let number = committing.number;
        delivery.stage = Stage::Committing(committing);
        self.scheduler.gave_back(delivery.ticket, Return::Ran(number, ending));
    }

    /// Takes the delivery whose commit the store has answered; it is queued until [`Deliveries::refused`] or
    /// [`Deliveries::ended`] is called.
    pub(in super::super) fn answered(&mut self, id: DeliveryId) -> Option<(&mut Delivery, Committing)> {
        let delivery = self.all.get_mut(&id)?;
        match std::mem::replace(&mut delivery.stage, Stage::Queued) {
            Stage::Committing(committing) => Some((delivery, committing)),
            other => {
                debug_assert!(false, "{id} was not committing");
                delivery.stage = other;
                None
            }
        }
    }

    /// The commit was refused: it runs again.
    pub(in super::super) fn refused(&mut self, id: DeliveryId) {
        if let Some(delivery) = self.all.get_mut(&id) {
            let again = delivery.ran_in_vain();
            self.scheduler.gave_back(delivery.ticket, Return::Refused(again));
        }
    }

    /// The commit is durable: it leaves memory, permanently or until it is due.
    pub(in super::super) fn ended(&mut self, id: DeliveryId, due: Option<HostTime>) -> Option<Delivery> {
        let delivery = self.remove(id)?;
        self.scheduler.gave_back(delivery.ticket, Return::Committed(due));
        Some(delivery)
    }
}

/// Lanes and reactors.
impl Deliveries {
    /// Takes over what the last owner left of a reactor's deliveries; see [`Scheduler::recovered`].
    pub(in super::super) fn recovered(
        &mut self,
        reactor: usize,
        lanes: &[(LaneKey, LaneState)],
        ahead: &[(LaneKey, DeliveryId)],
        next_due: Option<HostTime>,
    ) {
        self.scheduler.recovered(reactor, lanes, ahead, next_due);
    }

    /// What a lane waited for is gone without a run.
    pub(in super::super) fn release_lane(&mut self, reactor: usize, lane: LaneKey) {
        self.scheduler.release_lane(reactor, lane);
    }

    /// Those of a lane that have to wait if the one that runs does.
    pub(in super::super) fn followers(&self, reactor: usize, lane: Option<LaneKey>) -> Vec<DeliveryId> {
        self.scheduler.followers(reactor, lane)
    }

    /// Those that come next in a lane; see [`Scheduler::next_in_lane`].
    pub(in super::super) fn next_in_lane(&self, reactor: usize, lane: LaneKey, most: usize) -> Vec<DeliveryId> {
        self.scheduler.next_in_lane(reactor, lane, most)
    }

    /// Whether reading more events would keep a reactor busy.
    pub(in super::super) fn needs_refill(&self, reactor: usize) -> bool {
        self.scheduler.needs_refill(reactor)
    }

    /// How many deliveries of a reactor may be started at a time.
    pub(in super::super) fn set_ahead(&mut self, reactor: usize, ahead: usize) {
        self.scheduler.set_ahead(reactor, ahead);
    }

    /// A reactor's policy has changed.
    pub(in super::super) fn adopt(&mut self, reactor: usize, spec: &ReactorSpec) {
        self.scheduler.adopt(reactor, spec);
    }

    /// How the queue of a reactor does.
    pub(in super::super) fn queue_status(&self, reactor: usize, concurrency: usize) -> QueueStatus {
        QueueStatus {
            queued: self.scheduler.queued(reactor),
            broken: self.scheduler.is_broken(reactor),
            throttled: self.scheduler.is_throttled(reactor),
            concurrency,
        }
    }

    /// Starts no more deliveries.
    pub(in super::super) fn drain(&mut self) {
        self.scheduler.drain();
    }

    /// When the scheduler has something to do next.
    pub(in super::super) fn next_wake(&self) -> Option<HostTime> {
        self.scheduler.next_wake()
    }
}

/// Leases on the messages of deliveries.
impl Deliveries {
    /// Whether a delivery may run: it needs no lease, or has one.
    pub(in super::super) fn may_run(&self, id: DeliveryId, leased: bool, now: Moment) -> bool {
        !leased || self.leases.is_held(id, now)
    }

    /// A message has been received.
    pub(in super::super) fn arrived(&mut self, new: NewLease, now: Moment) -> LeaseId {
        self.leases.arrived(new, now)
    }

    /// The deliveries of a message are known. Returns the lease if all of them have ended.
    pub(in super::super) fn awaits(
        &mut self,
        lease: LeaseId,
        open: &[DeliveryId],
        record: Option<Offset>,
    ) -> Option<Closed> {
        self.leases.admitted(lease, open, record)
    }

    /// A delivery that waited is about to run.
    pub(in super::super) fn wakes(&mut self, id: DeliveryId) {
        self.leases.runs(id);
    }

    /// A delivery waits behind others of its lane, or others wait behind it: it keeps its lease.
    pub(in super::super) fn rests(&mut self, id: DeliveryId) {
        self.leases.rests(id);
    }

    /// A delivery waits for its next attempt, with none behind it. Returns leases with nothing that runs sooner.
    pub(in super::super) fn waits(&mut self, id: DeliveryId, due: HostTime, now: HostTime) -> Vec<Closed> {
        self.leases.waits(id, due, now)
    }

    /// A delivery has ended durably. Returns the leases that were held for it alone.
    pub(in super::super) fn acknowledged(&mut self, id: DeliveryId, now: HostTime) -> Vec<Closed> {
        self.leases.ended(id, now)
    }

    /// Leases that are due for something.
    pub(in super::super) fn leases_due(&mut self, now: Moment) -> Upkeep {
        self.leases.tick(now)
    }

    /// The poller that received a lease's message, if the lease is still held.
    pub(in super::super) fn poller(&self, lease: LeaseId) -> Option<usize> {
        self.leases.poller(lease)
    }

    /// A lease was renewed by a call made at `sent`.
    pub(in super::super) fn renewed(&mut self, lease: LeaseId, sent: Moment) {
        self.leases.renewed(lease, sent);
    }

    /// A lease is lost: returns the runs without a lease, marked as cancelled, and the other leases of its group.
    pub(in super::super) fn lost(&mut self, lease: LeaseId) -> (Vec<DeliveryId>, Vec<Closed>) {
        let (bare, closed) = self.leases.lost(lease);
        (self.give_up(bare), closed)
    }

    /// A lease is given up; see [`Deliveries::lost`].
    pub(in super::super) fn release(&mut self, lease: LeaseId, after: Duration) -> (Vec<DeliveryId>, Vec<Closed>) {
        let (bare, closed) = self.leases.release(lease, after);
        (self.give_up(bare), closed)
    }

    /// All leases are given up.
    pub(in super::super) fn release_all(&mut self) -> Vec<Closed> {
        self.leases.release_all()
    }

    /// Marks the runs of deliveries that have no lease any more; answers with those that are under way.
    fn give_up(&mut self, mut bare: Vec<DeliveryId>) -> Vec<DeliveryId> {
        bare.retain(|id| {
            let delivery = self.all.get_mut(id).filter(|delivery| delivery.leased);
            delivery.and_then(Delivery::running_mut).is_some_and(|running| {
                running.is_given_up = true;
                true
            })
        });
        bare
    }

    /// How many messages of a poller are in hand.
    pub(in super::super) fn in_hand(&self, poller: usize) -> usize {
        self.leases.in_hand(poller)
    }

    /// How many messages of a poller are running or about to run.
    pub(in super::super) fn busy(&self, poller: usize) -> usize {
        self.leases.busy(poller)
    }

    /// When the oldest message in hand of a poller was sent.
    pub(in super::super) fn oldest(&self, poller: usize) -> Option<jiff::Timestamp> {
        self.leases.oldest(poller)
    }

    /// When a lease has to be looked at next.
    pub(in super::super) fn next_lease(&self) -> Option<Moment> {
        self.leases.next_wake()
    }
}

/// Whether there is anything left.
impl Deliveries {
    /// Nothing is in memory or leaving it, nothing waits for its time, and nothing in the store can continue.
    pub(in super::super) fn is_idle(&self) -> bool {
        self.all.is_empty() && self.holding == 0 && !self.scheduler.is_waiting() && self.scheduler.is_idle()
    }

    /// Whether a commit has not been answered.
    pub(in super::super) fn is_committing(&self) -> bool {
        self.all.values().any(|delivery| matches!(delivery.stage, Stage::Committing(_)))
    }

    /// Whether the store has yet to record a held delivery, or one that is away.
    pub(in super::super) fn is_writing(&self) -> bool {
        self.holding > 0 || !self.leaving.is_empty()
    }

    /// Asserts that the tables agree once everything the scheduler asked for has been done: what is in memory is queued
    /// there, and what runs has a permit.
    pub(in super::super) fn assert_agreed(&self, running: usize) {
        debug_assert_eq!(self.all.len(), self.scheduler.items(), "deliveries in memory, and in the scheduler's queues");
        debug_assert_eq!(running, self.scheduler.running(), "attempts under way, and permits given");
    }
}
