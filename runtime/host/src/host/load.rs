//! Bringing deliveries back into memory: spilled ones, due ones, held ones, and what the last owner left behind.

use std::collections::HashMap;
use std::sync::Arc;

use reactor_core::event::{DeliveryId, HostTime, LaneKey, Message, Outcome};
use reactor_core::guest::Run;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{Commit, Committed, DeadLetter, Ending, LaneState, LogRecord, StoreError, StoredDelivery};

use super::restore::{self, Found, FoundOf};
use crate::Input;
use crate::delivery::Delivery;
use crate::host::Host;
use crate::judge;
use crate::outcome::conclude::{Circumstances, Conclusion, conclude};
use crate::schedule::{Arrival, Load, Loaded};

impl Host {
    /// Has what the scheduler asked for read from the store.
    pub(crate) fn read_loads(&mut self) {
        let mut loads = Vec::new();
        while loads.is_empty() {
            let begun = self.loads.begin();
            if begun.is_empty() {
                return;
            }
            for load in begun {
                match load {
                    // Of many lanes, the first may fill the memory. The others ask again when there is room.
                    Load::Lane { reactor, lane, .. } if !self.deliveries.has_room(reactor) => {
                        self.deliveries.loaded(reactor, Loaded::Lane(lane, None, true));
                    }
                    load => {
                        let id = self.topology.reactors[load.reactor()].id;
                        loads.push((load, id));
                    }
                }
            }
            if loads.is_empty() {
                self.loads.ended(Vec::new());
            }
        }
        self.deliveries.load_begins();
        let now = self.ports.now();
        self.ports.read(move |store| restore::carry_out(store, loads, now), |(found, left)| Input::Loaded(found, left));
    }

    /// Puts what loads have found into memory.
    pub(crate) fn loaded(&mut self, found: Vec<FoundOf>, left: Vec<Load>) {
        if self.life.is_draining() {
            // Nothing of it would be started.
            return;
        }
        for FoundOf { load, deliveries, more, next } in found {
            let (reactor, arrival) = match load {
                Load::Spilled { reactor, .. } => (reactor, Arrival::Fresh),
                Load::Due { reactor, .. } => (reactor, Arrival::Due),
                Load::Lane { reactor, lane, .. } if !self.deliveries.takes_held(reactor, lane) => {
                    self.deliveries.loaded(reactor, Loaded::Lane(lane, None, true));
                    continue;
                }
                Load::Lane { reactor, .. } => (reactor, Arrival::Held),
            };
            let (last, first_left) = self.activate_some(reactor, deliveries, arrival);
            let (last_id, more) = (last.map(|(_, id)| id), more || first_left.is_some());
            let loaded = match load {
                Load::Spilled { .. } => Loaded::Spilled(last_id, more),
                Load::Due { .. } => Loaded::Due(last, first_left.or(next)),
                Load::Lane { lane, .. } => Loaded::Lane(lane, last_id, more),
            };
            self.deliveries.loaded(reactor, loaded);
        }
        self.deliveries.load_ended();
        self.loads.ended(left);
    }

    /// Puts as many of a batch into memory as there is room for, by number and bytes. Answers the last one that has been
    /// dealt with, and when the first that is left is due.
    fn activate_some(
        &mut self,
        reactor: usize,
        found: Vec<Found>,
        arrival: Arrival,
    ) -> (Option<(HostTime, DeliveryId)>, Option<HostTime>) {
        let mut last = None;
        for found in found {
            if !self.deliveries.has_room(reactor) {
                return (last, Some(found.stored.due));
            }
            last = Some((found.stored.due, found.stored.id));
            if !self.deliveries.has_departed(found.stored.id) {
                self.activate(found, arrival);
            }
        }
        (last, None)
    }

    /// Puts a delivery into memory, unless it is there already.
    pub(crate) fn activate(&mut self, found: Found, arrival: Arrival) {
        let Found { stored, record } = found;
        let Some(&reactor) = self.topology.by_id.get(&stored.reactor) else { return };
        if !self.deliveries.is_absent(stored.id) {
            return;
        }
        let (id, lane) = (stored.id, stored.lane);
        if !self.may_run(id, stored.leased) {
            self.note_away(id);
            if let Some(lane) = lane.filter(|_| arrival == Arrival::Due) {
                self.deliveries.release_lane(reactor, lane);
            }
            return;
        }
        self.deliveries.wakes(id);
        let redriven = arrival == Arrival::Fresh && stored.redrive_of.is_some();
        let arrival = if redriven { Arrival::Redriven } else { arrival };
        if let Some(delivery) = self.restore(reactor, stored, record) {
            self.deliveries.enter(delivery, arrival);
        }
    }

    /// Decodes a delivery's event again. `None`: it cannot be, and stays in the store or has become a dead letter.
    fn restore(&mut self, reactor: usize, stored: StoredDelivery, record: Option<LogRecord>) -> Option<Delivery> {
        let Some(record) = record else {
            self.bury(&stored, Message::default(), "the log no longer has its message".into());
            return None;
        };
        let intake = self.topology.channels.iter().find(|intake| intake.channel.id == stored.origin.channel);
        let Some(intake) = intake else {
            let reactor = &self.topology.reactors[reactor].config.name;
            tracing::warn!(
                reactor,
                delivery = stored.id.0,
                "keeping a delivery whose channel is no longer in the configuration"
            );
            return None;
        };
        let message = record.message.clone();
        let decoded = match intake.channel.event(record, stored.origin.part) {
            Ok(decoded) => decoded,
            Err(error) => {
                let why = format!("{error}; was the channel's `format` changed?");
                self.bury(&stored, message, why);
                return None;
            }
        };
        Some(Delivery::restored(reactor, stored, decoded.event, decoded.identity))
    }

    /// Ends a delivery whose event cannot be read again.
    fn bury(&mut self, stored: &StoredDelivery, message: Message, detail: String) {
        tracing::error!(delivery = stored.id.0, detail, "dead letter");
        let (number, now, at) = (self.next_number(), self.ports.now(), self.ports.clock.wall());
        let whose = (stored.reactor, stored.key);
        let letter = DeadLetter::unreadable(whose, (stored.origin, message), stored.history.clone(), detail, at);
        self.runs.commit(Commit {
            number,
            delivery: stored.id,
            reactor: stored.reactor,
            attempt: u32::try_from(stored.history.len()).unwrap_or(u32::MAX).saturating_add(1),
            after: None,
            reads: Vec::new(),
            effects: Vec::new(),
            ending: Ending::Dead { letter, hold: Vec::new() },
            // Nothing ran.
            note: None,
            now,
        });
        if let (Some(lane), Some(reactor)) = (stored.lane, self.topology.by_id.get(&stored.reactor)) {
            self.deliveries.release_lane(*reactor, lane);
        }
    }

    /// The original message of a delivery in memory. Reads, and blocks: once for each dead letter.
    pub(crate) fn original(&self, delivery: &Delivery) -> Result<Message, StoreError> {
        let record = restore::record(&*self.ports.store, delivery.origin, delivery.redrive_of)?;
        Ok(record.map(|record| record.message).unwrap_or_default())
    }

    /// Takes over what the last owner left: attempts that had begun count, blocked lanes stay blocked.
    pub(crate) async fn recover(&mut self) -> Result<(), StoreError> {
        let leased = self.topology.leased();
        let recovered = self.ports.written(|store| store.recover(&leased)).await?;
        let mut lanes: HashMap<usize, HashMap<LaneKey, LaneState>> = HashMap::new();
        for (reactor, lane, state) in recovered.lanes {
            if let Some(index) = self.topology.by_id.get(&reactor) {
                lanes.entry(*index).or_default().insert(lane, state);
            }
        }
        for (stored, _) in recovered.interrupted {
            let (reactor, lane, id) = (self.topology.by_id.get(&stored.reactor).copied(), stored.lane, stored.id);
            let needs_lease = stored.leased;
            let state = self.count_interrupted(stored).await?;
            if needs_lease && state != Some(LaneState::Parked) {
                // Its message comes again, and with it the next attempt.
                self.ports.written(|store| store.away(vec![id])).await?;
                continue;
            }
            if let (Some(index), Some(lane), Some(state)) = (reactor, lane, state) {
                lanes.entry(index).or_default().insert(lane, state);
            }
        }
        let mut ahead: HashMap<usize, Vec<(LaneKey, DeliveryId)>> = HashMap::new();
        for (reactor, lane, delivery) in recovered.ahead {
            if let Some(index) = self.topology.by_id.get(&reactor) {
                ahead.entry(*index).or_default().push((lane, delivery));
            }
        }
        for index in 0..self.topology.reactors.len() {
            let lanes: Vec<_> = lanes.remove(&index).unwrap_or_default().into_iter().collect();
            let reactor = self.topology.reactors[index].id;
            let next = self.ports.made(move |store| store.next_due(reactor, (HostTime(0), DeliveryId(0)))).await?;
            self.deliveries.recovered(index, &lanes, &ahead.remove(&index).unwrap_or_default(), next);
        }
        Ok(())
    }

    /// Ends an attempt that its host did not live to see end. Answers how that leaves its lane; nothing, if the delivery
    /// cannot be judged now and stays as it is.
    async fn count_interrupted(&mut self, stored: StoredDelivery) -> Result<Option<LaneState>, StoreError> {
        let Some(&index) = self.topology.by_id.get(&stored.reactor) else { return Ok(None) };
        let (id, channel) = (stored.id, stored.origin.channel);
        let Found { stored, record } = self.ports.made(|store| restore::find(store, stored)).await?;
        let Some(delivery) = self.restore(index, stored, record) else {
            // With its channel there, it could not be read, and has become a dead letter.
            let is_configured = self.topology.channels.iter().any(|intake| intake.channel.id == channel);
            return Ok(is_configured.then_some(LaneState::Free));
        };
        let (now, wall, number) = (self.ports.now(), self.ports.clock.wall(), self.next_number());
        let (reactor, from) = (&self.topology.reactors[index], self.topology.channel_name(channel));
        let interrupted = if is_planted(Bug::InterruptedIsDone) { Outcome::Done } else { judge::interrupted() };
        let run = reactor.resolve(&delivery, Run::ended(interrupted), wall);
        let (dice, keeps) = (self.ports.clock.random(), self.topology.config.runtime.keeps_attempts());
        let at = Circumstances { number, now, wall, dice, followers: Vec::new(), keeps };
        let Conclusion { commit, committing, lane } =
            conclude(&delivery, reactor, from, run, at, || self.original(&delivery))?;
        let (attempt, age) = (commit.attempt, now.since(delivery.since));
        committing.report.announce(&delivery.event, attempt, &reactor.signals, age);
        let sent: Arc<[Commit]> = Arc::from([commit]);
        let answers = self.ports.written(|store| store.commit(Arc::clone(&sent))).await?;
        if answers.first() == Some(&Committed::Applied) {
            self.wake_readers(&committing.fed);
        } else {
            tracing::warn!(delivery = id.0, ?answers, "an interrupted attempt could not be counted");
        }
        Ok(Some(lane.blocks().unwrap_or(LaneState::Free)))
    }
}
