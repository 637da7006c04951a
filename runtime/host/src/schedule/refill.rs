//! Which spilled, due and held deliveries to load into memory, and when.

use std::cmp::Reverse;

use reactor_core::event::{DeliveryId, HostTime, LaneKey};

use super::Scheduler;
use super::action::{Action, Load, Loaded};

impl Scheduler {
    /// Whether what a [`Load`] of a lane found may be offered. If not, it is to be forgotten, and said that there is more.
    pub fn takes_held(&self, reactor: usize, lane: LaneKey) -> bool {
        self.reactors[reactor].lanes.get(&lane).is_some_and(|lane| !lane.held.stale)
    }

    /// A [`Load`] has been carried out and what it found has been offered. What has happened since it was asked for is taken
    /// into account.
    pub fn loaded(&mut self, reactor: usize, loaded: Loaded) {
        let queue = &mut self.reactors[reactor];
        match loaded {
            Loaded::Spilled(last, more) => {
                queue.loading_spilled = false;
                queue.spilled_after = last.unwrap_or(queue.spilled_after);
                queue.spilled = std::mem::take(&mut queue.spilled_meanwhile) || more;
                self.freed(reactor);
            }
            Loaded::Due(last, next) => {
                queue.loading_due = false;
                queue.due_after = last.unwrap_or(queue.due_after);
                queue.next_due = None;
                let meanwhile = queue.due_meanwhile.take();
                if let Some(due) = meanwhile {
                    queue.due_after = queue.due_after.min((due, DeliveryId(0)));
                }
                for due in next.into_iter().chain(meanwhile) {
                    self.set_due(reactor, due);
                }
            }
            Loaded::Lane(key, last, more) => {
                if let Some(lane) = queue.lanes.get_mut(&key) {
                    lane.held.loaded(last, more);
                }
                self.refresh(reactor, key);
                self.freed(reactor);
            }
        }
    }

    pub(super) fn freed(&mut self, reactor: usize) {
        let queue = &mut self.reactors[reactor];
        if !queue.freed {
            queue.freed = true;
            self.freed.push_back(reactor);
        }
    }

    /// Asks for deliveries that are only in the store, where a reactor has room for them.
    pub(super) fn refill(&mut self, reactor: usize, now: HostTime) {
        let queue = &mut self.reactors[reactor];
        queue.freed = false;
        if queue.spilled && queue.needs_refill(&self.common) && !queue.loading_spilled && !self.draining {
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

    pub(super) fn refill_due(&mut self, reactor: usize, now: HostTime) {
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

    pub(super) fn refill_lane(&mut self, reactor: usize, key: LaneKey) {
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

    pub(super) fn set_due(&mut self, reactor: usize, due: HostTime) {
        let queue = &mut self.reactors[reactor];
        if queue.next_due.is_none_or(|next| due < next) {
            queue.next_due = Some(due);
            self.timers.push(Reverse((due, reactor)));
        }
    }
}
