//! Who runs next: permits, lanes, back-off, and what is kept in memory. Pure: no clock, no I/O, no threads; every
//! method takes the time, and what has to be done comes out as [`Action`]s, so that a simulation can drive this code.
//!
//! A delivery in memory is queued, running or committing. When a reactor's queue is full, its deliveries *spill*: they
//! are only in the store and are loaded in order when there is room. A delivery in back-off, and those held behind it in
//! its lane, are only in the store too; they take no permit and, but for the lane's entry, no memory.

mod breaker;
mod bucket;
mod lane;
mod queue;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::config::model::{BreakerPolicy, ReactorConfig};
use crate::event::{DeliveryId, HostTime, LaneKey, Version};
use crate::store::{LaneState, Place};
use crate::subscription::Rate;

use breaker::Breaker;
pub use breaker::Effect;
use lane::Lane;
use queue::{Common, Queue, Ready};

use super::divide;

/// Most deliveries of one reactor in memory.
pub const QUEUE_WINDOW: usize = 2_048;
/// Most queued deliveries of one lane loaded from the store at a time.
pub const LANE_WINDOW: usize = 64;

/// What the scheduler needs to know of a reactor.
#[derive(Clone, Debug)]
pub struct ReactorSpec {
    /// Attempts at once.
    pub concurrency: usize,
    /// Cap on starts.
    pub rate: Option<Rate>,
    /// When its starts are stopped because its runs fail.
    pub breaker: Option<BreakerPolicy>,
}

impl ReactorSpec {
    /// What the configuration says.
    pub fn of(reactor: &ReactorConfig) -> Self {
        Self { concurrency: reactor.concurrency, rate: reactor.rate, breaker: reactor.breaker }
    }
}

/// Something for the caller to do. Reactors are named by their place in the list given to [`Scheduler::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run this delivery; its commit depends on `after`.
    Start {
        /// Which.
        delivery: DeliveryId,
        /// The uncommitted commit of the same lane that the run builds on.
        after: Option<Version>,
    },
    /// Read deliveries from the store, offer them, then say [`Scheduler::loaded`].
    Load(Load),
    /// Make these deliveries held ones in the store and forget them, then say [`Scheduler::held_written`].
    Hold {
        /// Whose.
        reactor: usize,
        /// Which lane's.
        lane: LaneKey,
        /// Which.
        delivery: DeliveryId,
    },
    /// These deliveries have become held ones: drop them from memory.
    Forget(Vec<DeliveryId>),
}

/// What to read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Spilled deliveries, above an id.
    Spilled {
        /// Whose.
        reactor: usize,
        /// Not these again.
        after: DeliveryId,
    },
    /// Waiting deliveries that are due.
    Due {
        /// Whose.
        reactor: usize,
        /// Not these again.
        after: (HostTime, DeliveryId),
    },
    /// Held deliveries of a lane.
    Lane {
        /// Whose.
        reactor: usize,
        /// Which lane's.
        lane: LaneKey,
        /// Not these again.
        after: DeliveryId,
    },
}

/// What a [`Load`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The last one read, and whether there may be more.
    Spilled(Option<DeliveryId>, bool),
    /// The last one read, and when the next is due.
    Due(Option<(HostTime, DeliveryId)>, Option<HostTime>),
    /// The last one read, and whether there may be more.
    Lane(LaneKey, Option<DeliveryId>, bool),
}

/// How a delivery comes into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Just admitted, or spilled earlier.
    Fresh,
    /// Its back-off is over.
    Due,
    /// A dead letter that is to run again.
    Redriven,
    /// It was held behind its lane's head.
    Held,
}

/// What an ended run means for its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Done, or dead with `on-exhausted = "continue"`: the next one may run.
    Release,
    /// In back-off: the others wait behind it.
    Wait,
    /// Dead with `on-exhausted = "park-key"`: the others wait until somebody redrives or drops it.
    Park,
}

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

    /// Takes over what the last owner left: blocked lanes, deliveries that must not be run ahead of their turn again, and
    /// the first due time of each reactor.
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
    pub fn is_hungry(&self, reactor: usize) -> bool {
        let queue = &self.reactors[reactor];
        !queue.spilled && queue.is_hungry(&self.common)
    }

    /// Whether one more delivery of this reactor may be loaded into memory.
    pub fn has_room(&self, reactor: usize) -> bool {
        self.reactors[reactor].has_room(&self.common)
    }

    /// Nothing in memory, and nothing in the store that could go on by itself, now or as soon as a write under way is done:
    /// what is left waits for its time, or, in a parked lane, for a person.
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

    /// Starts nothing from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// A delivery has been admitted as spilled, or as held.
    pub fn stored(&mut self, reactor: usize, lane: Option<LaneKey>, place: Place) {
        let queue = &mut self.reactors[reactor];
        match (place, lane) {
            (Place::Spilled, _) => {
                queue.spilled = true;
                self.freed(reactor);
            }
            (Place::Held, Some(key)) => {
                queue.lanes.entry(key).or_default().held.more = true;
                self.refill_lane(reactor, key);
            }
            _ => {}
        }
    }

    /// A delivery is in memory.
    pub fn offer(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>, bytes: usize, arrival: Arrival) {
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
            // In a parked lane only the dead letter that is being redriven can come out of back-off.
            Arrival::Due => lane.is_waiting() || lane.is_parked(),
            Arrival::Redriven => lane.is_parked(),
            Arrival::Fresh | Arrival::Held => false,
        };
        if is_head {
            lane.push_head(id);
        } else if arrival != Arrival::Held && lane.must_hold() {
            lane.held.more = true;
            lane.held.writing += 1;
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
            lane.held.writing -= 1;
            lane.held.after = DeliveryId(0);
            // A load that was on its way meanwhile has not seen it.
            lane.held.more = true;
        }
        self.refill_lane(reactor, key);
    }

    /// A [`Load`] has been carried out and what it found has been offered.
    pub fn loaded(&mut self, reactor: usize, loaded: Loaded) {
        let queue = &mut self.reactors[reactor];
        match loaded {
            Loaded::Spilled(last, more) => {
                queue.loading_spilled = false;
                queue.spilled_after = last.unwrap_or(queue.spilled_after);
                queue.spilled = more;
                self.freed(reactor);
            }
            Loaded::Due(last, next) => {
                queue.loading_due = false;
                queue.due_after = last.unwrap_or(queue.due_after);
                queue.next_due = None;
                if let Some(next) = next {
                    self.set_due(reactor, next);
                }
            }
            Loaded::Lane(key, last, more) => {
                if let Some(lane) = queue.lanes.get_mut(&key) {
                    lane.held.loading = false;
                    lane.held.after = last.unwrap_or(lane.held.after);
                    lane.held.more = more;
                }
                self.refresh(reactor, key);
                self.freed(reactor);
            }
        }
    }

    /// The deliveries in memory behind a lane's running one: they leave memory if it begins to wait.
    pub fn followers(&self, reactor: usize, lane: Option<LaneKey>) -> Vec<DeliveryId> {
        lane.and_then(|key| self.reactors[reactor].lanes.get(&key)).map(Lane::followers).unwrap_or_default()
    }

    /// The deliveries in memory that come next in a lane after the one that was just started, at most so many, if they
    /// would be started as soon as they can be: while others wait for their turn, there is none.
    pub fn next_in_lane(&self, reactor: usize, lane: LaneKey, most: usize) -> Vec<DeliveryId> {
        let queue = &self.reactors[reactor];
        let lane = queue.lanes.get(&lane).filter(|_| self.free > 0 && !self.draining && queue.has_free_starts());
        lane.map(|lane| lane.next(most)).unwrap_or_default()
    }

    /// A run has ended and its commit, with this number, is on its way.
    pub fn run_ended(
        &mut self,
        reactor: usize,
        id: DeliveryId,
        lane: Option<LaneKey>,
        number: Version,
        ending: Ending,
    ) {
        self.permit_back(reactor, id);
        if let Some(key) = lane
            && let Some(lane) = self.reactors[reactor].lanes.get_mut(&key)
        {
            lane.run_ended(id, number, ending);
            self.refresh(reactor, key);
        }
    }

    /// A run was given up without a result, and its delivery is to run again.
    pub fn run_cancelled(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>) {
        self.permit_back(reactor, id);
        self.requeue(reactor, id, lane, Lane::run_cancelled);
    }

    /// A run has ended with a result, and is about to be told by one of the methods below: `failed` if running it again may
    /// end better. Answers what that means for the reactor.
    pub fn ran(&mut self, reactor: usize, id: DeliveryId, failed: bool, now: HostTime) -> Effect {
        let Some(breaker) = &mut self.reactors[reactor].breaker else { return Effect::None };
        let effect = breaker.ran(id, failed, now);
        if let Effect::Opened(pause) | Effect::ProbeFailed(pause) = effect {
            self.timers.push(Reverse((now.after(pause), reactor)));
        }
        effect
    }

    /// So many deliveries of a reactor may be started at a time, even if not all of them can run at once; whoever runs them
    /// sees to that.
    pub fn set_ahead(&mut self, reactor: usize, ahead: usize) {
        self.reactors[reactor].ahead = ahead;
    }

    /// How many deliveries of a reactor are in memory.
    pub fn queued(&self, reactor: usize) -> usize {
        self.reactors[reactor].items
    }

    /// Whether a reactor has something to start and its rate does not allow it yet.
    pub fn is_throttled(&self, reactor: usize) -> bool {
        self.reactors[reactor].throttled.is_some()
    }

    /// Whether a reactor is stopped because its runs fail.
    pub fn is_broken(&self, reactor: usize) -> bool {
        self.reactors[reactor].breaker.as_ref().is_some_and(Breaker::is_open)
    }

    /// A probe has failed: its delivery is to run again, after the others.
    pub fn probe_failed(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>) {
        self.permit_back(reactor, id);
        if lane.is_some() {
            self.requeue(reactor, id, lane, Lane::run_cancelled);
        } else {
            self.reactors[reactor].push_ready(id);
            self.list(reactor);
        }
    }

    /// A reactor's policy has changed.
    pub fn adopt(&mut self, reactor: usize, spec: &ReactorSpec) {
        self.reactors[reactor].adopt(spec);
        self.list(reactor);
    }

    /// A delivery that was started leaves memory without having ended: somebody else may be working on it.
    pub fn withdrawn(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>, bytes: usize) {
        self.permit_back(reactor, id);
        self.forgotten(reactor, bytes);
        if let Some(key) = lane
            && let Some(lane) = self.reactors[reactor].lanes.get_mut(&key)
        {
            lane.withdrawn(id);
            self.refresh(reactor, key);
        }
    }

    /// A run is void because what it read has changed: its delivery is to run again; if `alone`, while no other run of
    /// the reactor does.
    pub fn run_outdated(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>, alone: bool) {
        self.permit_back(reactor, id);
        if alone {
            self.reactors[reactor].run_alone(lane.map_or(Ready::Delivery(id), Ready::Lane));
        }
        self.requeue(reactor, id, lane, Lane::run_cancelled);
    }

    /// A commit was refused: its delivery is to run again; if `alone`, while no other run of the reactor does.
    pub fn conflicted(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>, alone: bool) {
        if alone {
            self.reactors[reactor].run_alone(lane.map_or(Ready::Delivery(id), Ready::Lane));
        }
        self.requeue(reactor, id, lane, Lane::conflicted);
    }

    /// A commit is durable: the delivery has left memory. `bytes` as they were offered; `due` if it waits now.
    pub fn committed(
        &mut self,
        reactor: usize,
        id: DeliveryId,
        lane: Option<LaneKey>,
        bytes: usize,
        due: Option<HostTime>,
    ) {
        self.forgotten(reactor, bytes);
        if let Some(due) = due {
            // Loading may have gone past this due time while the commit was on its way.
            let queue = &mut self.reactors[reactor];
            queue.due_after = queue.due_after.min((due, DeliveryId(0)));
            self.set_due(reactor, due);
        }
        if let Some(key) = lane
            && let Some(lane) = self.reactors[reactor].lanes.get_mut(&key)
        {
            let evicted = lane.committed(id);
            if !evicted.is_empty() {
                self.actions.push(Action::Forget(evicted));
            }
            self.refresh(reactor, key);
        }
    }

    /// A delivery has left memory without a commit, as an [`Action`] asked.
    pub fn forgotten(&mut self, reactor: usize, bytes: usize) {
        self.reactors[reactor].release(bytes);
        self.common.used = self.common.used.saturating_sub(bytes);
        self.freed(reactor);
    }

    /// What a lane waited for is gone without a run: its dead letter was dropped, or could not be read again.
    pub fn release_lane(&mut self, reactor: usize, key: LaneKey) {
        if let Some(lane) = self.reactors[reactor].lanes.get_mut(&key)
            && (lane.is_parked() || lane.is_waiting())
        {
            lane.unblock();
            self.refresh(reactor, key);
        }
    }

    /// Starts and loads what can be, and takes what is to be done.
    pub fn tick(&mut self, now: HostTime) -> Vec<Action> {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, reactor))) = self.timers.pop() {
                let queue = &mut self.reactors[reactor];
                queue.throttled = queue.throttled.filter(|at| *at > now);
                queue.breaker.iter_mut().for_each(|breaker| breaker.wake(now));
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
                Err(at) => {
                    queue.throttled = Some(at);
                    self.timers.push(Reverse((at, reactor)));
                }
            }
        }
        std::mem::take(&mut self.actions)
    }

    fn freed(&mut self, reactor: usize) {
        let queue = &mut self.reactors[reactor];
        if !queue.freed {
            queue.freed = true;
            self.freed.push_back(reactor);
        }
    }

    /// Asks for deliveries that are only in the store, where a reactor has room for them.
    fn refill(&mut self, reactor: usize, now: HostTime) {
        let queue = &mut self.reactors[reactor];
        queue.freed = false;
        if queue.spilled && queue.is_hungry(&self.common) && !queue.loading_spilled && !self.draining {
            queue.loading_spilled = true;
            self.actions.push(Action::Load(Load::Spilled { reactor, after: queue.spilled_after }));
        }
        self.refill_due(reactor, now);
        self.feed_starved(reactor);
    }

    /// Loads held deliveries of the next lane that found no room for them; the others follow as room is left.
    fn feed_starved(&mut self, reactor: usize) {
        let queue = &mut self.reactors[reactor];
        while queue.has_room(&self.common)
            && let Some(key) = queue.starved.pop_front()
        {
            let Some(lane) = queue.lanes.get_mut(&key) else { continue };
            lane.held.starved = false;
            if lane.wants_held() {
                return self.refill_lane(reactor, key);
            }
        }
    }

    fn refill_due(&mut self, reactor: usize, now: HostTime) {
        let queue = &mut self.reactors[reactor];
        if queue.next_due.is_some_and(|due| due <= now)
            && queue.has_room(&self.common)
            && !queue.loading_due
            && !self.draining
        {
            queue.loading_due = true;
            self.actions.push(Action::Load(Load::Due { reactor, after: queue.due_after }));
        }
    }

    fn refill_lane(&mut self, reactor: usize, key: LaneKey) {
        let queue = &mut self.reactors[reactor];
        let has_room = queue.has_room(&self.common);
        let Some(lane) = queue.lanes.get_mut(&key).filter(|lane| lane.wants_held()) else { return };
        if has_room {
            lane.held.loading = true;
            let load = Load::Lane { reactor, lane: key, after: lane.held.after };
            self.actions.push(Action::Load(load));
        } else if !lane.held.starved {
            lane.held.starved = true;
            queue.starved.push_back(key);
        }
    }

    fn permit_back(&mut self, reactor: usize, id: DeliveryId) {
        self.free += 1;
        self.reactors[reactor].run_ended(id);
        self.list(reactor);
    }

    fn requeue(&mut self, reactor: usize, id: DeliveryId, lane: Option<LaneKey>, how: fn(&mut Lane, DeliveryId)) {
        let queue = &mut self.reactors[reactor];
        match lane {
            Some(key) => {
                how(queue.lanes.entry(key).or_default(), id);
                self.refresh(reactor, key);
            }
            None => {
                queue.push_ready_first(id);
                self.list(reactor);
            }
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

    fn set_due(&mut self, reactor: usize, due: HostTime) {
        let queue = &mut self.reactors[reactor];
        if queue.next_due.is_none_or(|next| due < next) {
            queue.next_due = Some(due);
            self.timers.push(Reverse((due, reactor)));
        }
    }
}
