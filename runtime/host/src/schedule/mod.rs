//! Decides which delivery runs next: permits, lanes, back-off, and what is kept in memory. Pure: no clock, no I/O, no
//! threads; every method takes the time and returns [`Action`]s, so that a simulation can drive this code.
//!
//! A delivery in memory is queued, running or committing. When a reactor's queue is full, its deliveries *spill*: they
//! are only in the store and are loaded in order when there is room. A delivery in back-off, and those held behind it
//! in its lane, are only in the store too; they take no permit and, apart from the lane's entry, no memory.

mod action;
mod gate;
mod lane;
mod queue;
mod ready;
mod refill;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use reactor_core::event::{DeliveryId, HostTime, LaneKey};
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{LaneState, Place};
use reactor_signal::BreakerChange;

use crate::memory::divide;
pub use action::{Action, Again, Arrival, Ending, Load, Loaded, ReactorSpec, Return, Ticket};
use gate::Breaker;
use lane::Lane;
use queue::{Common, Queue};
use ready::Ready;

/// Most deliveries of one reactor in memory.
pub const QUEUE_WINDOW: usize = 2_048;
/// Most queued deliveries of one lane loaded from the store at a time.
pub const LANE_WINDOW: usize = 64;

/// The queues of all reactors.
#[derive(Debug)]
pub struct Scheduler {
    reactors: Vec<Queue>,
    common: Common,
    free: usize,
    runnable: VecDeque<usize>,
    /// Reactors that may have room for deliveries that are only in the store.
    freed: VecDeque<usize>,
    timers: BinaryHeap<Reverse<(HostTime, usize)>>,
    actions: Vec<Action>,
    draining: bool,
}

impl Scheduler {
    /// `permits` attempts at once over all reactors; `memory` bytes of events over all queues, divided as all memory of
    /// reactors is (an empty queue takes one event however large).
    pub fn new(reactors: &[ReactorSpec], permits: usize, memory: usize) -> Self {
        let (share, room) = divide(memory, reactors.len());
        Self {
            reactors: reactors.iter().map(|spec| Queue::new(spec, share)).collect(),
            common: Common { used: 0, room },
            free: permits,
            runnable: VecDeque::new(),
            freed: (0..reactors.len()).collect(),
            timers: BinaryHeap::new(),
            actions: Vec::new(),
            draining: false,
        }
    }

    /// Adopts what the last owner left: blocked lanes, deliveries that must not run speculatively again, and the first
    /// due time of each reactor.
    pub fn recovered(
        &mut self,
        reactor: usize,
        lanes: &[(LaneKey, LaneState)],
        ahead: &[(LaneKey, DeliveryId)],
        next_due: Option<HostTime>,
    ) {
        let queue = &mut self.reactors[reactor];
        queue.lanes.extend(lanes.iter().map(|&(key, state)| (key, Lane::recovered(state))));
        for &(key, delivery) in ahead {
            queue.lanes.entry(key).or_default().be_careful(delivery);
        }
        for (key, _) in lanes {
            self.refill_lane(reactor, *key);
        }
        if let Some(due) = next_due {
            self.set_due(reactor, due);
        }
    }

    /// Where a new delivery should go.
    pub fn place(&self, reactor: usize, lane: Option<LaneKey>) -> Place {
        let queue = &self.reactors[reactor];
        if queue.spilled || !queue.has_room(&self.common) {
            Place::Spilled
        } else if lane.is_some_and(|key| queue.lanes.get(&key).is_some_and(Lane::must_hold)) {
            Place::Held
        } else {
            Place::Memory
        }
    }

    /// Whether reading more events for this reactor would keep it busy.
    pub fn needs_refill(&self, reactor: usize) -> bool {
        let queue = &self.reactors[reactor];
        !queue.spilled && queue.needs_refill(&self.common)
    }

    /// Whether one more delivery of this reactor may be loaded into memory.
    pub fn has_room(&self, reactor: usize) -> bool {
        self.reactors[reactor].has_room(&self.common)
    }

    /// Whether memory is empty and nothing in the store can continue by itself, now or after a write in flight: the
    /// rest waits for its time or, in a parked lane, for a person.
    pub fn is_idle(&self) -> bool {
        self.reactors
            .iter()
            .all(|queue| queue.items == 0 && !queue.spilled && !queue.lanes.values().any(Lane::has_work_in_store))
    }

    /// The first time at which [`Scheduler::tick`] has something to do.
    pub fn next_wake(&self) -> Option<HostTime> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether any reactor has a delivery in back-off.
    pub fn is_waiting(&self) -> bool {
        self.reactors.iter().any(|queue| queue.next_due.is_some())
    }

    /// How many deliveries are in memory.
    pub fn items(&self) -> usize {
        self.reactors.iter().map(|queue| queue.items).sum()
    }

    /// How many deliveries have been started and have not given their permit back.
    pub fn running(&self) -> usize {
        self.reactors.iter().map(|queue| queue.running).sum()
    }

    /// Starts no more deliveries.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// A delivery has been admitted as spilled, or as held.
    pub fn stored(&mut self, reactor: usize, lane: Option<LaneKey>, place: Place) {
        let queue = &mut self.reactors[reactor];
        match (place, lane) {
            (Place::Spilled, _) => {
                queue.spilled = true;
                queue.spilled_meanwhile = queue.loading_spilled;
                self.freed(reactor);
            }
            (Place::Held, Some(key)) => {
                queue.lanes.entry(key).or_default().held.came();
                self.refill_lane(reactor, key);
            }
            _ => {}
        }
    }

    /// A delivery is in memory.
    pub fn offer(&mut self, ticket: Ticket, arrival: Arrival) {
        let Ticket { delivery: id, reactor, lane, bytes } = ticket;
        let queue = &mut self.reactors[reactor];
        queue.charge(bytes);
        self.common.used += bytes;
        let Some(key) = lane else {
            queue.push_ready(id);
            self.list(reactor);
            return;
        };
        let lane = queue.lanes.entry(key).or_default();
        let is_head = match arrival {
            // In a parked lane, only a dead letter being redriven can come out of back-off.
            Arrival::Due => lane.is_waiting() || lane.is_parked(),
            Arrival::Redriven => lane.is_parked(),
            Arrival::Fresh | Arrival::Held => false,
        };
        if is_head {
            lane.push_head(id);
        } else if arrival != Arrival::Held && lane.must_hold() {
            lane.held.is_being_written();
            self.actions.push(Action::Hold { reactor, lane: key, delivery: id });
            return;
        } else {
            lane.push(id);
        }
        self.refresh(reactor, key);
    }

    /// An [`Action::Hold`] is in the store.
    pub fn held_written(&mut self, reactor: usize, key: LaneKey) {
        if let Some(lane) = self.reactors[reactor].lanes.get_mut(&key) {
            lane.held.written();
        }
        self.refill_lane(reactor, key);
    }

    /// The deliveries in memory behind a lane's running one: they leave memory if it begins to wait.
    pub fn followers(&self, reactor: usize, lane: Option<LaneKey>) -> Vec<DeliveryId> {
        lane.and_then(|key| self.reactors[reactor].lanes.get(&key)).map(Lane::followers).unwrap_or_default()
    }

    /// The deliveries in memory that follow the one just started in its lane, at most `most`, if they would be started
    /// as soon as possible; none if others wait for their turn.
    pub fn next_in_lane(&self, reactor: usize, lane: LaneKey, most: usize) -> Vec<DeliveryId> {
        let queue = &self.reactors[reactor];
        let lane = queue.lanes.get(&lane).filter(|_| self.free > 0 && !self.draining && queue.has_free_starts());
        lane.map(|lane| lane.next(most)).unwrap_or_default()
    }

    /// A delivery is returned.
    pub fn gave_back(&mut self, ticket: Ticket, how: Return) {
        let Ticket { delivery, reactor, lane, bytes } = ticket;
        match how {
            Return::Ran(number, ending) => {
                if ending != Ending::Wait || !is_planted(Bug::BackOffHoldsPermit) {
                    self.permit_back(reactor, delivery);
                }
                self.tell_lane(reactor, lane, |lane| lane.run_ended(delivery, number, ending));
            }
            Return::GivenUp => {
                self.permit_back(reactor, delivery);
                self.run_again(ticket);
            }
            Return::ProbeFailed => {
                self.permit_back(reactor, delivery);
                if lane.is_some() {
                    self.run_again(ticket);
                } else {
                    self.reactors[reactor].push_ready(delivery);
                    self.list(reactor);
                }
            }
            Return::Outdated(again) => {
                self.permit_back(reactor, delivery);
                self.make_room_for(ticket, again);
                self.run_again(ticket);
            }
            Return::Refused(again) => {
                self.make_room_for(ticket, again);
                match lane {
                    Some(_) => self.tell_lane(reactor, lane, |lane| lane.conflicted(delivery)),
                    None => self.run_again(ticket),
                }
            }
            Return::Committed(due) => {
                self.release(reactor, bytes);
                if let Some(due) = due {
                    self.waits(reactor, due);
                }
                let mut evicted = Vec::new();
                self.tell_lane(reactor, lane, |lane| evicted = lane.committed(delivery));
                if !evicted.is_empty() {
                    self.actions.push(Action::Forget(evicted));
                }
            }
            Return::Withdrawn => {
                self.permit_back(reactor, delivery);
                self.release(reactor, bytes);
                self.tell_lane(reactor, lane, |lane| lane.withdrawn(delivery));
            }
            Return::Forgotten => self.release(reactor, bytes),
        }
    }

    /// A run has ended with a result, and its delivery is about to be returned: `failed` if a rerun may succeed.
    /// Returns what changes about the reactor's breaker.
    pub fn ran(&mut self, reactor: usize, id: DeliveryId, failed: bool, now: HostTime) -> Option<BreakerChange> {
        let change = self.reactors[reactor].gates.breaker.as_mut()?.ran(id, failed, now);
        if let Some(BreakerChange::Opened(pause) | BreakerChange::ProbeFailed(pause)) = change {
            self.timers.push(Reverse((now.after(pause), reactor)));
        }
        change
    }

    /// How many deliveries of a reactor may be started at a time. Not all of them may run at once; the caller enforces
    /// that.
    pub fn set_ahead(&mut self, reactor: usize, ahead: usize) {
        self.reactors[reactor].gates.set_ahead(ahead);
    }

    /// How many deliveries of a reactor are in memory.
    pub fn queued(&self, reactor: usize) -> usize {
        self.reactors[reactor].items
    }

    /// Whether a reactor has something to start and its rate does not allow it yet.
    pub fn is_throttled(&self, reactor: usize) -> bool {
        self.reactors[reactor].gates.is_throttled()
    }

    /// Whether a reactor's breaker is open.
    pub fn is_broken(&self, reactor: usize) -> bool {
        self.reactors[reactor].gates.breaker.as_ref().is_some_and(Breaker::is_open)
    }

    /// A reactor's policy has changed.
    pub fn adopt(&mut self, reactor: usize, spec: &ReactorSpec) {
        self.reactors[reactor].gates.adopt(spec);
        self.list(reactor);
    }

    /// The dead letter that blocked a lane was dropped or could not be read again.
    pub fn release_lane(&mut self, reactor: usize, key: LaneKey) {
        if let Some(lane) = self.reactors[reactor].lanes.get_mut(&key)
            && (lane.is_parked() || lane.is_waiting())
        {
            lane.unblock();
            self.refresh(reactor, key);
        }
    }

    /// Starts and loads what it can, and returns the resulting actions.
    pub fn tick(&mut self, now: HostTime) -> Vec<Action> {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, reactor))) = self.timers.pop() {
                let queue = &mut self.reactors[reactor];
                queue.gates.wake(now);
                self.list(reactor);
                self.refill_due(reactor, now);
            }
        }
        while let Some(reactor) = self.freed.pop_front() {
            self.refill(reactor, now);
        }
        while self.free > 0 && !self.draining {
            let Some(reactor) = self.runnable.pop_front() else { break };
            let queue = &mut self.reactors[reactor];
            queue.listed = false;
            match queue.start(now) {
                Ok(Some((delivery, after))) => {
                    self.free -= 1;
                    self.actions.push(Action::Start { delivery, after });
                    self.list(reactor);
                }
                Ok(None) => {}
                Err(at) => self.timers.push(Reverse((at, reactor))),
            }
        }
        std::mem::take(&mut self.actions)
    }

    fn permit_back(&mut self, reactor: usize, id: DeliveryId) {
        self.free += 1;
        self.reactors[reactor].run_ended(id);
        self.list(reactor);
    }

    /// Bytes in memory have become free.
    fn release(&mut self, reactor: usize, bytes: usize) {
        self.reactors[reactor].release(bytes);
        self.common.used = self.common.used.saturating_sub(bytes);
        self.freed(reactor);
    }

    /// A delivery waits in the store. A load may have passed its due time while the commit was in flight.
    fn waits(&mut self, reactor: usize, due: HostTime) {
        let queue = &mut self.reactors[reactor];
        queue.due_after = queue.due_after.min((due, DeliveryId(0)));
        if queue.loading_due {
            queue.due_meanwhile = Some(queue.due_meanwhile.map_or(due, |other| other.min(due)));
        }
        self.set_due(reactor, due);
    }

    fn make_room_for(&mut self, ticket: Ticket, again: Again) {
        if again == Again::Alone {
            let wanted = ticket.lane.map_or(Ready::Delivery(ticket.delivery), Ready::Lane);
            self.reactors[ticket.reactor].gates.alone.want(wanted);
        }
    }

    /// Repeats a run without a result, before all others.
    fn run_again(&mut self, ticket: Ticket) {
        let Ticket { delivery, reactor, lane, .. } = ticket;
        match lane {
            Some(_) => self.tell_lane(reactor, lane, |lane| lane.run_cancelled(delivery)),
            None => {
                self.reactors[reactor].push_ready_first(delivery);
                self.list(reactor);
            }
        }
    }

    /// Tells a lane what became of one of its deliveries.
    fn tell_lane(&mut self, reactor: usize, lane: Option<LaneKey>, tell: impl FnOnce(&mut Lane)) {
        if let Some(key) = lane
            && let Some(lane) = self.reactors[reactor].lanes.get_mut(&key)
        {
            tell(lane);
            self.refresh(reactor, key);
        }
    }

    fn refresh(&mut self, reactor: usize, key: LaneKey) {
        self.refill_lane(reactor, key);
        self.reactors[reactor].refresh_lane(key);
        self.list(reactor);
    }

    fn list(&mut self, reactor: usize) {
        let queue = &mut self.reactors[reactor];
        if !queue.listed && queue.can_start() {
            queue.listed = true;
            self.runnable.push_back(reactor);
        }
    }
}
