//! Step: read ahead in the logs of channels, and admit what was decoded and routed: a delivery each.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_config::model::{Config, Unrouted};
use reactor_core::clock::Moment;
use reactor_core::event::{ChannelId, Offset};
use reactor_core::store::{Batch, LogRecord, Place, StoreClient, StoreError};
use reactor_signal::Signals;

use super::enter::{Offer, Way};
use crate::Input;
use crate::emit::Destination;
use crate::emit::forward::Forwarding;
use crate::host::Host;
use crate::intake::reading::Reading;
use crate::intake::{Admission, Channel, Intake};
use crate::reactor::Reactor;

/// Most records, and most bytes, read from a log at a time.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 1 << 20;
/// Reading on is for those that have nothing to do. Where it only brings more for those that have enough, and these make
/// progress (so many runs since the last time), it rests a while instead of taking their time. Where they make none, it
/// goes on, so that no reactor waits behind one that is stuck.
const PROGRESS: u64 = 64;
const REST: Duration = Duration::from_millis(20);

impl Host {
    /// Reads ahead in every log whose readers would run dry, or that has no reader.
    pub(crate) fn read_logs(&mut self, now: Moment) {
        for index in 0..self.topology.channels.len() {
            let intake = &self.topology.channels[index];
            let hungry = intake.readers.is_empty() || intake.readers.iter().any(|r| self.deliveries.needs_refill(*r));
            let rests = intake.resting.is_some_and(|until| now < until);
            if intake.pending && !intake.is_busy() && !rests && hungry && !self.senders.are_full() {
                self.read_log(index);
            }
        }
    }

    /// When a log that rests is to be read again.
    pub(crate) fn next_read(&self, now: Moment) -> Option<Moment> {
        let resting = self.topology.channels.iter().filter(|intake| intake.pending && !intake.is_busy());
        resting.filter_map(|intake| intake.resting).filter(|until| *until > now).min()
    }

    fn read_log(&mut self, index: usize) {
        let intake = &mut self.topology.channels[index];
        intake.admission = Admission::Reading;
        // The read sees what has rung by now; it may miss what rings while it is under way.
        intake.pending = false;
        let (channel, from) = (intake.channel.id, intake.cursor);
        self.ports.read(
            move |store| store.read_log(channel, from, READ_RECORDS, READ_BYTES),
            move |records| Input::LogRead(index, records),
        );
    }

    /// A log has been read from its cursor.
    pub(crate) fn log_read(&mut self, index: usize, records: Vec<LogRecord>) {
        let intake = &mut self.topology.channels[index];
        // Only an empty answer says that there is no more: the limits may cut a read anywhere.
        intake.pending |= !records.is_empty();
        if records.is_empty() || self.life.is_draining() {
            intake.admission = Admission::None;
            return;
        }
        intake.admission = Admission::Entering;
        let (channel, drops) = (intake.channel.id, intake.channel.unrouted == Unrouted::Drop);
        let (mut cursor, count, at) = (intake.cursor, records.len(), self.ports.clock.wall());
        let (mut offer, mut drop) = (Offer::default(), Vec::new());
        for record in records {
            let offset = record.offset;
            cursor = Offset(offset.0 + 1);
            let is_unwanted = self.offer(index, record, at, Way::Log, &mut offer);
            if is_unwanted && drops {
                drop.push(offset);
            }
        }
        self.count_offer(index, count, &offer);
        if !offer.candidates.is_empty() && offer.candidates.iter().all(|(_, place)| *place == Place::Spilled) {
            let intake = &mut self.topology.channels[index];
            let progress = self.runs.ended - std::mem::replace(&mut intake.ended, self.runs.ended);
            intake.resting = (progress >= PROGRESS).then(|| self.ports.clock.now() + REST);
        }
        let batch = Batch { cursor: Some(cursor), drop, ..Batch::new(channel, self.ports.now()) };
        self.enter(index, batch, offer, Vec::new());
    }
}

pub(crate) fn intakes(
    config: &Config,
    store: &dyn StoreClient,
    reactors: &[Reactor],
    ids: &BTreeMap<String, ChannelId>,
    signals: &Signals,
) -> Result<Vec<Intake>, StoreError> {
    let mut intakes = Vec::new();
    for (name, channel) in &config.channels {
        let readers: Vec<usize> = (0..reactors.len()).filter(|r| reactors[*r].config.from.contains(name)).collect();
        if channel.is_remote() && readers.is_empty() {
            continue;
        }
        let subscribed: Vec<_> = readers.iter().map(|r| (reactors[*r].id, &reactors[*r].config)).collect();
        let id = ids[name];
        let forwarding = channel.dead_letter.as_ref().and_then(|to| {
            let Destination { target, max_event: limit, .. } = Destination::of(config.channels.get(to)?, ids[to]);
            Some(Forwarding { to: to.clone(), target, limit, hop_limit: config.runtime.hop_limit })
        });
        intakes.push(Intake {
            cursor: store.cursor(id)?,
            channel: Channel {
                id,
                name: name.clone(),
                unrouted: channel.unrouted,
                reading: Reading::new(config, channel, &subscribed),
                forwarding,
            },
            readers,
            pending: true,
            admission: Admission::None,
            resting: None,
            ended: 0,
            signals: signals.channel(name),
        });
    }
    Ok(intakes)
}
