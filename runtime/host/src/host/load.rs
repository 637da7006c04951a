//! Bringing deliveries back into memory: spilled ones, due ones, held ones, and what the last owner left behind.

use std::collections::HashMap;

use reactor_core::event::{DeliveryId, HostTime, LaneKey, Message, Origin};
use reactor_core::guest::Run;
use reactor_core::store::{
    Commit, Committed, DeadLetter, Ending, LaneState, LogRecord, StoreError, StoredDead, StoredDelivery,
};

use crate::delivery::Delivery;
use crate::host::Host;
use crate::judge;
use crate::outcome::conclude::{Circumstances, Conclusion, conclude};
use crate::room::until_there_is_room;
use crate::schedule::{Arrival, Load, Loaded};

/// Most deliveries read from the store at a time.
const BATCH: usize = 256;

impl Host {
    /// Carries out a load that the scheduler asked for.
    pub(crate) fn load(&mut self, load: Load) -> Result<(), StoreError> {
        match load {
            Load::Spilled { reactor, after } => {
                let found = self.ports.store.spilled(self.topology.reactors[reactor].id, after, BATCH)?;
                let (last, more) = self.activate_some(reactor, found, Arrival::Fresh)?;
                self.deliveries.loaded(reactor, Loaded::Spilled(last.map(|(_, id)| id), more));
            }
            Load::Due { reactor, after } => {
                let id = self.topology.reactors[reactor].id;
                let found = self.ports.store.due(id, after, self.ports.now(), BATCH)?;
                let (last, _) = self.activate_some(reactor, found, Arrival::Due)?;
                let next = self.ports.store.next_due(id, last.unwrap_or(after))?;
                self.deliveries.loaded(reactor, Loaded::Due(last, next));
            }
            Load::Lane { reactor, lane, after } => {
                let found = self.ports.store.held(self.topology.reactors[reactor].id, lane, after, BATCH)?;
                let (last, more) = self.activate_some(reactor, found, Arrival::Held)?;
                self.deliveries.loaded(reactor, Loaded::Lane(lane, last.map(|(_, id)| id), more));
            }
        }
        Ok(())
    }

    /// Puts as many of a batch into memory as there is room for, by number and bytes. Answers the last one that has been
    /// dealt with, and whether there may be more.
    fn activate_some(
        &mut self,
        reactor: usize,
        found: Vec<StoredDelivery>,
        arrival: Arrival,
    ) -> Result<(Option<(HostTime, DeliveryId)>, bool), StoreError> {
        let (mut last, mut more) = (None, found.len() == BATCH);
        for stored in found {
            if !self.deliveries.has_room(reactor) {
                more = true;
                break;
            }
            last = Some((stored.due, stored.id));
            self.activate(stored, arrival)?;
        }
        Ok((last, more))
    }

    /// Puts a delivery into memory, unless it is there already.
    pub(crate) fn activate(&mut self, stored: StoredDelivery, arrival: Arrival) -> Result<(), StoreError> {
        let Some(&reactor) = self.topology.by_id.get(&stored.reactor) else { return Ok(()) };
        if !self.deliveries.is_absent(stored.id) {
            return Ok(());
        }
        let (id, lane) = (stored.id, stored.lane);
        if !self.may_run(id, stored.leased) {
            self.note_away(id);
            if let Some(lane) = lane.filter(|_| arrival == Arrival::Due) {
                self.deliveries.release_lane(reactor, lane);
            }
            return Ok(());
        }
        self.deliveries.wakes(id);
        let redriven = arrival == Arrival::Fresh && stored.redrive_of.is_some();
        let arrival = if redriven { Arrival::Redriven } else { arrival };
        if let Some(delivery) = self.restore(reactor, stored)? {
            self.deliveries.enter(delivery, arrival);
        }
        Ok(())
    }

    /// Reads a delivery's event again. `None`: it cannot be, and stays in the store or has become a dead letter.
    fn restore(&mut self, reactor: usize, stored: StoredDelivery) -> Result<Option<Delivery>, StoreError> {
        let Some(record) = self.record(stored.origin, stored.redrive_of)? else {
            self.bury(&stored, Message::default(), "the log no longer has its message".into());
            return Ok(None);
        };
        let intake = self.topology.channels.iter().find(|intake| intake.channel.id == stored.origin.channel);
        let Some(intake) = intake else {
            let reactor = &self.topology.reactors[reactor].config.name;
            tracing::warn!(
                reactor,
                delivery = stored.id.0,
                "keeping a delivery whose channel is no longer in the configuration"
            );
            return Ok(None);
        };
        let message = record.message.clone();
        let decoded = match intake.channel.event(record, stored.origin.part) {
            Ok(decoded) => decoded,
            Err(error) => {
                let why = format!("{error}; was the channel's `format` changed?");
                self.bury(&stored, message, why);
                return Ok(None);
            }
        };
        Ok(Some(Delivery::restored(reactor, stored, decoded.event, decoded.identity)))
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

    /// The original message of a delivery in memory.
    pub(crate) fn original(&self, delivery: &Delivery) -> Result<Message, StoreError> {
        Ok(self.record(delivery.origin, delivery.redrive_of)?.map(|record| record.message).unwrap_or_default())
    }

    fn record(&self, origin: Origin, redrive_of: Option<u64>) -> Result<Option<LogRecord>, StoreError> {
        let mut found = self.ports.store.read_log(origin.channel, origin.offset, 1, usize::MAX)?;
        if let Some(record) = found.pop().filter(|record| record.offset == origin.offset) {
            return Ok(Some(record));
        }
        // The log has forgotten it; a dead letter keeps its own copy.
        let letter = redrive_of.map(|id| self.ports.store.dead_letter(id)).transpose()?.flatten();
        Ok(letter.map(|StoredDead { letter, .. }| LogRecord {
            offset: origin.offset,
            accepted: letter.at,
            message: letter.message,
        }))
    }

    /// Takes over what the last owner left: attempts that had begun count, blocked lanes stay blocked.
    pub(crate) async fn recover(&mut self) -> Result<(), StoreError> {
        let leased = self.topology.leased();
        let recovered =
            until_there_is_room(&self.ports.signals, &*self.ports.clock, || self.ports.store.recover(&leased)).await?;
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
                until_there_is_room(&self.ports.signals, &*self.ports.clock, || self.ports.store.away(vec![id]))
                    .await?;
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
            let next = self.ports.store.next_due(self.topology.reactors[index].id, (HostTime(0), DeliveryId(0)))?;
            self.deliveries.recovered(index, &lanes, &ahead.remove(&index).unwrap_or_default(), next);
        }
        Ok(())
    }

    /// Ends an attempt that its host did not live to see end. Answers how that leaves its lane; nothing, if the delivery
    /// cannot be judged now and stays as it is.
    async fn count_interrupted(&mut self, stored: StoredDelivery) -> Result<Option<LaneState>, StoreError> {
        let Some(&index) = self.topology.by_id.get(&stored.reactor) else { return Ok(None) };
        let (id, channel) = (stored.id, stored.origin.channel);
        let Some(delivery) = self.restore(index, stored)? else {
            // With its channel there, it could not be read, and has become a dead letter.
            let is_configured = self.topology.channels.iter().any(|intake| intake.channel.id == channel);
            return Ok(is_configured.then_some(LaneState::Free));
        };
        let (now, wall, number) = (self.ports.now(), self.ports.clock.wall(), self.next_number());
        let (reactor, from) = (&self.topology.reactors[index], self.topology.channel_name(channel));
        let run = reactor.resolve(&delivery, Run::ended(judge::interrupted()), wall);
        let (dice, keeps) = (self.ports.clock.random(), self.topology.config.runtime.keeps_attempts());
        let at = Circumstances { number, now, wall, dice, followers: Vec::new(), keeps };
        let Conclusion { commit, committing, lane } =
            conclude(&delivery, reactor, from, run, at, || self.original(&delivery))?;
        let (attempt, age) = (commit.attempt, now.since(delivery.since));
        committing.report.announce(&delivery.event, attempt, &reactor.signals, age);
        let sent = vec![commit];
        let answers =
            until_there_is_room(&self.ports.signals, &*self.ports.clock, || self.ports.store.commit(sent.clone()))
                .await?;
        if answers.first() == Some(&Committed::Applied) {
            self.wake_readers(&committing.fed);
        } else {
            tracing::warn!(delivery = id.0, ?answers, "an interrupted attempt could not be counted");
        }
        Ok(Some(lane.blocks().unwrap_or(LaneState::Free)))
    }
}
