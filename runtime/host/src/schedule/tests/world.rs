//! A reactor and its scheduler in a world that a tape of random choices drives.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use reactor_core::event::{Identity, Version};

use super::super::*;

const PERMITS: usize = 4;
const CONCURRENCY: usize = 3;
pub(super) const BYTES: usize = 10;

/// A row of the model store.
#[derive(Clone, Debug)]
struct Row {
    lane: Option<LaneKey>,
    place: Place,
    due: HostTime,
}

/// A commit that the model store has not answered yet.
#[derive(Debug)]
struct Sent {
    id: DeliveryId,
    number: Version,
    after: Option<Version>,
    ending: Ending,
    followers: Vec<DeliveryId>,
    due: HostTime,
}

/// A load that is being carried out, and what it has seen of the model store, once it has.
#[derive(Debug)]
struct Reading {
    load: Load,
    seen: Option<Seen>,
    /// What had been loaded and has left memory since.
    departed: HashSet<DeliveryId>,
}

/// What a load has seen of the model store.
#[derive(Debug)]
struct Seen {
    found: Vec<(HostTime, DeliveryId)>,
    more: bool,
    next: Option<HostTime>,
}

/// One reactor, its scheduler, and the world around it.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    rows: BTreeMap<DeliveryId, Row>,
    pub(super) memory: HashSet<DeliveryId>,
    pub(super) running: HashMap<DeliveryId, Option<Version>>,
    sent: Vec<Sent>,
    refused: HashSet<Version>,
    pub(super) done: Vec<(Option<LaneKey>, DeliveryId)>,
    parked: BTreeSet<(LaneKey, DeliveryId)>,
    holds: Vec<(LaneKey, DeliveryId)>,
    /// Loads that have been asked for, and the one that is being carried out.
    loads: VecDeque<Load>,
    reading: Option<Reading>,
    /// What is in memory because it was loaded.
    restored: HashSet<DeliveryId>,
    /// Run ahead when a host died; each with its lane.
    ahead: BTreeSet<(LaneKey, DeliveryId)>,
    now: HostTime,
    pub(super) next_id: u64,
    next_number: u64,
    most_memory: usize,
    pub(super) tape: std::vec::IntoIter<u8>,
}

impl World {
    pub(super) fn new(memory: usize, tape: Vec<u8>) -> Self {
        let spec = ReactorSpec { concurrency: CONCURRENCY, rate: None, breaker: None };
        let mut world = Self {
            scheduler: Scheduler::new(&[spec], PERMITS, memory),
            rows: BTreeMap::new(),
            memory: HashSet::new(),
            running: HashMap::new(),
            sent: Vec::new(),
            refused: HashSet::new(),
            done: Vec::new(),
            parked: BTreeSet::new(),
            holds: Vec::new(),
            loads: VecDeque::new(),
            reading: None,
            restored: HashSet::new(),
            ahead: BTreeSet::new(),
            now: HostTime(1_000),
            next_id: 1,
            next_number: 1,
            most_memory: memory,
            tape: tape.into_iter(),
        };
        world.scheduler.recovered(0, &[], &[], None);
        world.act();
        world.finish_loads();
        world
    }

    fn ticket(&self, delivery: DeliveryId) -> Ticket {
        Ticket { delivery, reactor: 0, lane: self.rows[&delivery].lane, bytes: BYTES }
    }

    pub(super) fn give_back(&mut self, delivery: DeliveryId, how: Return) {
        self.scheduler.gave_back(self.ticket(delivery), how);
    }

    /// Alone in one of so many cases.
    fn again(&mut self, among: usize) -> Again {
        if self.choose(among) == 0 { Again::Alone } else { Again::Among }
    }

    fn choose(&mut self, below: usize) -> usize {
        self.tape.next().map_or(0, |byte| byte as usize % below.max(1))
    }

    pub(super) fn act(&mut self) {
        loop {
            let actions = self.scheduler.tick(self.now);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                match action {
                    Action::Start { delivery, after } => self.started(delivery, after),
                    Action::Load(load) => self.loads.push_back(load),
                    Action::Hold { lane, delivery, .. } => {
                        self.leave(delivery);
                        self.give_back(delivery, Return::Forgotten);
                        self.holds.push((lane, delivery));
                    }
                    Action::Forget(gone) => {
                        for id in gone {
                            self.leave(id);
                            assert_eq!(self.rows[&id].place, Place::Held, "forgotten but not held in the store");
                            self.give_back(id, Return::Forgotten);
                        }
                    }
                }
            }
        }
        assert!(self.running.len() <= CONCURRENCY.min(PERMITS));
        self.check_idle();
    }

    /// An idle scheduler has nothing left that could be done without a person.
    fn check_idle(&self) {
        if self.scheduler.is_idle() && !self.scheduler.is_waiting() {
            let left = self.rows.iter().filter(|(_, row)| !self.parked.iter().any(|(lane, _)| row.lane == Some(*lane)));
            let left: Vec<_> = left.collect();
            assert!(left.is_empty(), "idle, and left are {left:?}: {:#?}", self.scheduler);
        }
    }

    /// D6: everything before it in the lane has ended, or has run and its commit is what this run builds on.
    fn started(&mut self, id: DeliveryId, after: Option<Version>) {
        assert!(self.memory.contains(&id), "started what is not in memory");
        let lane = self.rows[&id].lane;
        if let Some(key) = lane {
            if self.ahead.iter().any(|(careful, until)| *careful == key && id <= *until) {
                let open = self.sent.iter().any(|sent| self.rows[&sent.id].lane == lane);
                assert!(!open, "{id} runs ahead although it had, when a host died");
            }
            let redriven = self.parked.iter().any(|(key, head)| Some(*key) == lane && *head == id);
            for (earlier, row) in self.rows.range(..id) {
                if row.lane == lane && !redriven {
                    let sent = self.sent.iter().find(|sent| sent.id == *earlier);
                    let sent = sent.unwrap_or_else(|| panic!("{id} started before {earlier} had run"));
                    assert_eq!(sent.ending, Ending::Release);
                    assert!(after >= Some(sent.number), "{id} does not depend on {earlier}");
                }
            }
        }
        assert!(self.running.insert(id, after).is_none());
    }

    fn leave(&mut self, id: DeliveryId) {
        assert!(self.memory.remove(&id));
        if self.restored.remove(&id)
            && let Some(reading) = &mut self.reading
        {
            reading.departed.insert(id);
        }
    }

    /// Begins a load, has it look at the store, or takes what it has found: whichever comes next.
    fn step_load(&mut self) {
        match self.reading.take() {
            None => {
                let load = self.loads.pop_front();
                self.reading = load.map(|load| Reading { load, seen: None, departed: HashSet::new() });
            }
            Some(Reading { load, seen: None, departed }) => {
                let seen = Some(self.look(&load));
                self.reading = Some(Reading { load, seen, departed });
            }
            Some(Reading { load, seen: Some(seen), departed }) => self.loaded(&load, &seen, &departed),
        }
    }

    fn finish_loads(&mut self) {
        while self.reading.is_some() || !self.loads.is_empty() {
            self.step_load();
            self.act();
        }
    }

    fn look(&self, load: &Load) -> Seen {
        const LIMIT: usize = 3;
        let now = self.now;
        let rows = self.rows.iter().map(|(id, row)| (*id, row));
        let mut found: Vec<(HostTime, DeliveryId)> = match *load {
            Load::Spilled { after, .. } => rows
                .filter(|(id, row)| row.place == Place::Spilled && *id > after)
                .map(|(id, row)| (row.due, id))
                .collect(),
            Load::Lane { lane, after, .. } => rows
                .filter(|(id, row)| row.place == Place::Held && row.lane == Some(lane) && *id > after)
                .map(|(id, row)| (row.due, id))
                .collect(),
            Load::Due { after, .. } => rows
                .filter(|(id, row)| row.place == Place::Waiting && (row.due, *id) > after)
                .map(|(id, row)| (row.due, id))
                .collect(),
        };
        if !matches!(load, Load::Due { .. }) {
            let more = found.len() >= LIMIT;
            found.truncate(LIMIT);
            return Seen { found, more, next: None };
        }
        found.sort();
        let ready = found.iter().take(LIMIT).filter(|(due, _)| *due <= now).count();
        let next = found.get(ready).map(|(due, _)| *due);
        found.truncate(ready);
        Seen { found, more: false, next }
    }

    fn loaded(&mut self, load: &Load, seen: &Seen, departed: &HashSet<DeliveryId>) {
        match *load {
            Load::Spilled { .. } => {
                let (last, left) = self.offer_some(seen, departed, Arrival::Fresh);
                self.scheduler.loaded(0, Loaded::Spilled(last.map(|(_, id)| id), seen.more || left.is_some()));
            }
            Load::Lane { lane, .. } if !self.scheduler.takes_held(0, lane) => {
                self.scheduler.loaded(0, Loaded::Lane(lane, None, true));
            }
            Load::Lane { lane, .. } => {
                let (last, left) = self.offer_some(seen, departed, Arrival::Held);
                self.scheduler.loaded(0, Loaded::Lane(lane, last.map(|(_, id)| id), seen.more || left.is_some()));
            }
            Load::Due { .. } => {
                let (last, left) = self.offer_some(seen, departed, Arrival::Due);
                self.scheduler.loaded(0, Loaded::Due(last, left.or(seen.next)));
            }
        }
    }

    /// Offers as many as there is room for; answers the last, and when the first that is left is due.
    fn offer_some(
        &mut self,
        seen: &Seen,
        departed: &HashSet<DeliveryId>,
        arrival: Arrival,
    ) -> (Option<(HostTime, DeliveryId)>, Option<HostTime>) {
        let (mut last, mut left) = (None, None);
        for &(due, id) in &seen.found {
            if !self.scheduler.has_room(0) {
                left = Some(due);
                break;
            }
            last = Some((due, id));
            if !departed.contains(&id) && self.memory.insert(id) {
                self.restored.insert(id);
                let redriven = arrival == Arrival::Fresh && self.is_parking(self.rows[&id].lane, id);
                let arrival = if redriven { Arrival::Redriven } else { arrival };
                self.scheduler.offer(self.ticket(id), arrival);
            }
        }
        // Redriven letters come into memory even if there is no room.
        let most = self.most_memory / 2 + BYTES * (1 + self.parked.len());
        assert!(self.memory.len() * BYTES <= most, "{} deliveries in memory", self.memory.len());
        (last, left)
    }

    fn is_parking(&self, lane: Option<LaneKey>, id: DeliveryId) -> bool {
        self.parked.iter().any(|(key, head)| Some(*key) == lane && *head == id)
    }

    pub(super) fn admit(&mut self) {
        let lane = match self.choose(4) {
            0 => None,
            n => Some(Identity::of(&[&[n as u8]])),
        };
        let place = self.scheduler.place(0, lane);
        let id = DeliveryId(self.next_id);
        self.next_id += 1;
        self.rows.insert(id, Row { lane, place, due: HostTime(0) });
        if place == Place::Memory {
            self.memory.insert(id);
            self.scheduler.offer(self.ticket(id), Arrival::Fresh);
        } else {
            self.scheduler.stored(0, lane, place);
        }
    }

    fn end_a_run(&mut self, only_release: bool) {
        let mut running: Vec<_> = self.running.keys().copied().collect();
        running.sort();
        if running.is_empty() {
            return;
        }
        let id = running[self.choose(running.len())];
        let after = self.running.remove(&id).expect("it runs");
        if !only_release && self.choose(8) == 0 {
            let again = self.again(2);
            return self.give_back(id, Return::Outdated(again));
        }
        let ending = match self.choose(6) {
            0 | 1 if !only_release => Ending::Wait,
            2 if !only_release && self.rows[&id].lane.is_some() => Ending::Park,
            _ => Ending::Release,
        };
        let number = Version(self.next_number);
        self.next_number += 1;
        let lane = self.rows[&id].lane;
        let followers = self.scheduler.followers(0, lane);
        let due = HostTime(self.now.0 + self.choose(50) as u64);
        self.give_back(id, Return::Ran(number, ending));
        self.sent.push(Sent { id, number, after, ending, followers, due });
    }

    fn answer(&mut self, may_refuse: bool) {
        if self.sent.is_empty() {
            return;
        }
        let sent = self.sent.remove(0);
        let lane = self.rows[&sent.id].lane;
        let built_on_refused = sent.after.is_some_and(|after| self.refused.contains(&after));
        if built_on_refused || (may_refuse && self.choose(4) == 0) {
            self.refused.insert(sent.number);
            let again = self.again(3);
            self.give_back(sent.id, Return::Refused(again));
            return;
        }
        self.leave(sent.id);
        let ticket = self.ticket(sent.id);
        let mut due = None;
        match sent.ending {
            Ending::Release => {
                self.parked.retain(|(_, head)| *head != sent.id);
                self.rows.remove(&sent.id);
                self.done.push((lane, sent.id));
            }
            Ending::Wait => {
                due = Some(sent.due);
                let row = self.rows.get_mut(&sent.id).expect("the row of a delivery");
                (row.place, row.due) = (Place::Waiting, sent.due);
            }
            Ending::Park => {
                self.rows.remove(&sent.id);
                self.parked.retain(|(_, head)| *head != sent.id);
                self.parked.insert((lane.expect("only lanes are parked"), sent.id));
            }
        }
        if sent.ending != Ending::Release {
            for id in &sent.followers {
                self.rows.get_mut(id).expect("a follower's row").place = Place::Held;
            }
        }
        self.scheduler.gave_back(ticket, Return::Committed(due));
    }

    fn write_holds(&mut self) {
        for (lane, id) in std::mem::take(&mut self.holds) {
            self.rows.get_mut(&id).expect("a held row").place = Place::Held;
            self.scheduler.held_written(0, lane);
        }
    }

    /// The host dies, and another one takes over: memory is lost, and the attempts that had begun are known.
    fn crash(&mut self) {
        let claimed: BTreeSet<_> = self.running.keys().copied().collect();
        (self.memory, self.running, self.sent) = (HashSet::new(), HashMap::new(), Vec::new());
        (self.holds, self.refused) = (Vec::new(), HashSet::new());
        (self.loads, self.reading, self.restored) = (VecDeque::new(), None, HashSet::new());
        self.ahead.clear();
        let mut lanes: BTreeMap<LaneKey, Vec<DeliveryId>> = BTreeMap::new();
        for (id, row) in &self.rows {
            row.lane.iter().for_each(|lane| lanes.entry(*lane).or_default().push(*id));
        }
        let mut found = Vec::new();
        for (lane, ids) in &lanes {
            let parking = self.parked.iter().find(|(key, _)| key == lane).map(|(_, head)| *head);
            let waiting = ids.iter().find(|id| self.rows[id].place == Place::Waiting);
            let head = parking.or(waiting.copied()).unwrap_or(ids[0]);
            let begun = ids.iter().filter(|id| claimed.contains(id));
            self.ahead.extend(begun.filter(|id| **id != head).map(|id| (*lane, *id)));
            if claimed.contains(&head) {
                let row = self.rows.get_mut(&head).expect("the head's row");
                (row.place, row.due) = (Place::Waiting, self.now.after(std::time::Duration::from_millis(7)));
            }
            let blocked = ids.iter().any(|id| matches!(self.rows[id].place, Place::Held | Place::Waiting));
            for id in ids {
                let row = self.rows.get_mut(id).expect("a row");
                let is_held = (blocked || parking.is_some()) && parking != Some(*id);
                row.place = match row.place {
                    Place::Waiting => Place::Waiting,
                    _ if is_held => Place::Held,
                    _ => Place::Spilled,
                };
            }
            let waits = ids.iter().any(|id| self.rows[id].place == Place::Waiting);
            let is_held = ids.iter().any(|id| self.rows[id].place == Place::Held);
            let blocked = if waits { Some(LaneState::Waiting) } else { is_held.then_some(LaneState::Free) };
            found.extend(blocked.filter(|_| parking.is_none()).map(|state| (*lane, state)));
        }
        found.extend(self.parked.iter().map(|(lane, _)| (*lane, LaneState::Parked)));
        for row in self.rows.values_mut().filter(|row| row.lane.is_none() && row.place == Place::Memory) {
            row.place = Place::Spilled;
        }
        let next = self.rows.values().filter(|row| row.place == Place::Waiting).map(|row| row.due).min();
        let ahead: Vec<_> = self.ahead.iter().copied().collect();
        let spec = ReactorSpec { concurrency: CONCURRENCY, rate: None, breaker: None };
        self.scheduler = Scheduler::new(&[spec], PERMITS, self.most_memory);
        self.scheduler.recovered(0, &found, &ahead, next);
        self.act();
    }

    /// Redrives or drops a parked head.
    fn unpark(&mut self) {
        let Some(&(lane, id)) = self.parked.iter().next() else { return };
        if self.rows.contains_key(&id) {
            return;
        }
        if self.choose(2) == 0 {
            self.parked.remove(&(lane, id));
            self.done.push((None, id));
            self.scheduler.release_lane(0, lane);
        } else {
            let place = Place::Memory;
            self.rows.insert(id, Row { lane: Some(lane), place, due: HostTime(0) });
            self.memory.insert(id);
            self.scheduler.offer(self.ticket(id), Arrival::Redriven);
        }
    }

    pub(super) fn step(&mut self, calm: bool) {
        match self.choose(64) {
            0 if !calm => self.crash(),
            n => self.small_step(n % 10, calm),
        }
        self.act();
    }

    fn small_step(&mut self, which: usize, calm: bool) {
        match which {
            0 | 1 if !calm => self.admit(),
            2 => self.now.0 += self.choose(40) as u64,
            3 | 4 => self.end_a_run(calm),
            5 => self.answer(!calm),
            6..=8 => self.step_load(),
            _ => {
                self.write_holds();
                self.unpark();
            }
        }
    }

    /// Lets everything end.
    pub(super) fn wind_down(&mut self) {
        for _ in 0..20_000 {
            self.finish_loads();
            if self.rows.is_empty() && self.sent.is_empty() && self.parked.is_empty() {
                return;
            }
            self.now.0 += 10;
            self.write_holds();
            self.unpark();
            self.act();
            self.end_a_run(true);
            self.act();
            self.answer(false);
            self.act();
        }
        panic!("stuck: rows {:?}, running {:?}, {:#?}", self.rows, self.running, self.scheduler);
    }
}
