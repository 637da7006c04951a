//! One reactor's deliveries in memory, and what is known of those that are only in the store.

use std::collections::{HashMap, VecDeque};

use reactor_core::event::{DeliveryId, HostTime, LaneKey, Version};

use super::gate::Gates;
use super::lane::Lane;
use super::ready::Ready;
use super::{QUEUE_WINDOW, ReactorSpec};

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) gates: Gates,
    max_bytes: usize,
    pub(super) running: usize,
    /// Deliveries in memory: queued, running or committing.
    pub(super) items: usize,
    bytes: usize,
    ready: VecDeque<Ready>,
    pub(super) lanes: HashMap<LaneKey, Lane>,
    /// Lanes with held deliveries to load, for which there was no room.
    pub(super) starved: VecDeque<LaneKey>,
    /// Spilled deliveries may be in the store, above `spilled_after`.
    pub(super) spilled: bool,
    pub(super) spilled_after: DeliveryId,
    /// A load of spilled or of due deliveries has been asked for and not answered yet.
    pub(super) loading_spilled: bool,
    pub(super) loading_due: bool,
    /// Meanwhile one more was spilled, which that load may not have seen.
    pub(super) spilled_meanwhile: bool,
    /// Meanwhile one began to wait that is due then, which that load may not have seen.
    pub(super) due_meanwhile: Option<HostTime>,
    /// When the first waiting delivery in the store is due, and the last one that was loaded.
    pub(super) next_due: Option<HostTime>,
    pub(super) due_after: (HostTime, DeliveryId),
    /// Stands in the scheduler's list of reactors that may have room.
    pub(super) freed: bool,
    /// Stands in the scheduler's list of reactors with something to start.
    pub(super) listed: bool,
}

/// Bytes of events in all queues, and the limit below which any queue may grow beyond its own share. The shares
/// together are as large again, so a queue within its share always has room.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) used: usize,
    pub(super) room: usize,
}

impl Queue {
    pub(super) fn new(spec: &ReactorSpec, max_bytes: usize) -> Self {
        Self {
            gates: Gates::new(spec),
            max_bytes,
            running: 0,
            items: 0,
            bytes: 0,
            ready: VecDeque::new(),
            lanes: HashMap::new(),
            starved: VecDeque::new(),
            spilled: true,
            spilled_after: DeliveryId(0),
            loading_spilled: false,
            loading_due: false,
            spilled_meanwhile: false,
            due_meanwhile: None,
            next_due: None,
            due_after: (HostTime(0), DeliveryId(0)),
            freed: true,
            listed: false,
        }
    }

    /// Whether one more delivery may be kept in memory; `common` is the room that all queues share in addition to their
    /// own. An empty queue always takes one of any size.
    pub(super) fn has_room(&self, common: &Common) -> bool {
        let has_bytes = self.bytes < self.max_bytes || common.used < common.room;
        self.items == 0 || (self.items < QUEUE_WINDOW && has_bytes)
    }

    /// Whether it would run dry before the next read from the store.
    pub(super) fn needs_refill(&self, common: &Common) -> bool {
        let has_bytes = self.bytes < self.max_bytes / 2 || common.used < common.room / 2;
        self.items == 0 || (self.items < QUEUE_WINDOW / 2 && has_bytes)
    }

    pub(super) fn charge(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn push_ready(&mut self, id: DeliveryId) {
        self.ready.push_back(Ready::Delivery(id));
    }

    pub(super) fn push_ready_first(&mut self, id: DeliveryId) {
        self.ready.push_front(Ready::Delivery(id));
    }

    /// Lists the lane if it has something to start; forgets it if it has nothing at all.
    pub(super) fn refresh_lane(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        if lane.startable().is_some() && !lane.listed {
            lane.listed = true;
            self.ready.push_back(Ready::Lane(key));
        } else if lane.is_idle() && !lane.listed {
            self.lanes.remove(&key);
        }
    }

    pub(super) fn can_start(&self) -> bool {
        let has_work = match self.gates.alone.wanted() {
            Some(wanted) => self.is_ready(wanted),
            None => !self.ready.is_empty(),
        };
        has_work && self.gates.let_through(self.running)
    }

    /// Whether the ready ones can start at once, with room for another.
    pub(super) fn has_free_starts(&self) -> bool {
        self.gates.has_room_for_more(self.running + self.ready.len())
    }

    fn is_ready(&self, wanted: Ready) -> bool {
        match wanted {
            Ready::Delivery(_) => self.ready.contains(&wanted),
            Ready::Lane(key) => self.lanes.get(&key).is_some_and(|lane| lane.startable().is_some()),
        }
    }

    pub(super) fn run_ended(&mut self, id: DeliveryId) {
        self.running -= 1;
        self.gates.gave_back(id);
    }

    /// Moves a delivery that must run alone to the front.
    fn make_way(&mut self) {
        let Some(wanted) = self.gates.alone.wanted() else { return };
        self.ready.retain(|ready| *ready != wanted);
        self.ready.push_front(wanted);
        if let Ready::Lane(key) = wanted {
            self.lanes.entry(key).and_modify(|lane| lane.listed = true);
        }
    }

    /// Starts the next delivery. `Err` = the rate allows none before that time.
    pub(super) fn start(&mut self, now: HostTime) -> Result<Option<(DeliveryId, Option<Version>)>, HostTime> {
        while self.can_start() {
            // A lane may have been blocked since it was listed: skip it without paying for a start.
            if let Some(Ready::Lane(key)) = self.ready.front()
                && self.lanes.get(key).and_then(Lane::startable).is_none()
            {
                let key = *key;
                self.ready.pop_front();
                self.lanes.entry(key).and_modify(|lane| lane.listed = false);
                self.refresh_lane(key);
                continue;
            }
            self.gates.pay(now)?;
            self.make_way();
            let started = match self.ready.pop_front() {
                Some(Ready::Delivery(id)) => Some((id, None)),
                Some(Ready::Lane(key)) => self.lanes.get_mut(&key).and_then(|lane| {
                    lane.listed = false;
                    lane.start()
                }),
                None => None,
            };
            if let Some((id, _)) = started {
                self.running += 1;
                self.gates.started(id);
            }
            return Ok(started);
        }
        Ok(None)
    }
}
