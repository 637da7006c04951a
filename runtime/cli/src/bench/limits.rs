//! The limits of a host on this machine: the disk, the store alone, the sandbox alone.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use jiff::Timestamp;

use reactor_core::clock::SystemClock;
use reactor_core::event::{ChannelId, DeliveryId, Event, HostTime, Identity, Message, Offset, Origin, Version};
use reactor_core::guest::{self, Call, Run};
use reactor_core::store::{
    Admitted, AttemptNote, Batch, Commit, Committed, Effect, Ending, NewDelivery, Place, StoreClient, StoreOwner,
    Target,
};
use reactor_core::world::{Live, NoHttp, StateView};
use reactor_host::decode::Decoded;
use reactor_host::intake::reading::Reading;
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

use super::samples::{Samples, VALUES};
use super::{BATCH, Subject, histogram, record, rig};

/// The duration of an fsync of 4 KiB in a folder.
pub(super) fn fsync(dir: &Path) -> anyhow::Result<Histogram<u64>> {
    let dir = rig::folder(dir)?;
    let mut file = File::create(dir.path().join("sync"))?;
    let (block, mut times) = ([7; 4_096], histogram());
    for _ in 0..300 {
        let start = Instant::now();
        // Always in the same place, as a write-ahead log does it.
        file.rewind()?;
        file.write_all(&block)?;
        file.sync_data()?;
        record(&mut times, start.elapsed());
    }
    Ok(times)
}

/// In-memory state, for runs without a store.
#[derive(Debug, Default)]
struct State(Mutex<HashMap<String, (Bytes, Version)>>);

impl StateView for State {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }
}

impl State {
    fn keep(&self, run: &Run) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in run.effects.iter().filter_map(guest::Effect::write) {
            match value {
                Some(value) => drop(values.insert(key.clone(), (value.clone(), Version(1)))),
                None => drop(values.remove(key)),
            }
        }
    }
}

/// Decodes messages and calls the guest, without a host and without a store.
pub(super) struct Sandbox<'s> {
    subject: &'s Subject,
    reading: Reading,
    state: Arc<State>,
    world: Arc<Live<Arc<State>>>,
}

/// The times of runs alone on one thread.
pub(super) struct Alone {
    pub(super) decode: Duration,
    pub(super) instance: Duration,
    /// Creating an instance, calling it and dropping it.
    pub(super) run: Duration,
}

impl<'s> Sandbox<'s> {
    pub(super) fn new(subject: &'s Subject) -> Self {
        let reading = Reading::new(&subject.config, &subject.config.channels[super::CHANNEL], &[]);
        let (state, config) = (Arc::<State>::default(), subject.config.reactors[&subject.reactor].values());
        let (clock, http) = (Arc::new(SystemClock::default()), Arc::new(NoHttp));
        let world = Arc::new(Live { state: Arc::clone(&state), clock, config, http });
        Self { subject, reading, state, world }
    }

    fn decoded(&self, n: usize) -> anyhow::Result<Decoded> {
        let decoded = self.reading.decode(&self.subject.samples.message(n))?;
        decoded.events.into_iter().next().context("a message without an event")
    }

    fn call(&self, event: Event, identity: Identity) -> Call {
        Call { event: Arc::new(event), identity, attempt: 1, max_attempts: 1, world: self.world.clone() }
    }

    /// What the first runs of the samples read, write and emit.
    pub(super) async fn rows(&self) -> anyhow::Result<Vec<Run>> {
        let mut runs = Vec::new();
        let (start, mut n) = (Instant::now(), 0);
        while n < VALUES && (n == 0 || start.elapsed() < self.subject.phase() / 2) {
            let Decoded { event, identity, .. } = self.decoded(n)?;
            let run = self.subject.module.guest.run(self.call(event, identity)).await;
            self.state.keep(&run);
            runs.push(run);
            n += 1;
        }
        Ok(runs)
    }

    /// Runs one event after the other, on this thread.
    pub(super) async fn alone(&self) -> anyhow::Result<Alone> {
        let (mut decode, mut instance, mut run) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (begin, mut n) = (Instant::now(), 0);
        while n == 0 || begin.elapsed() < self.subject.phase() {
            for _ in 0..16 {
                let message = self.subject.samples.message(n as usize);
                let start = Instant::now();
                let found = self.reading.decode(&message)?;
                decode += start.elapsed();
                let Decoded { event, identity, .. } =
                    found.events.into_iter().next().context("a message without an event")?;
                let call = self.call(event, identity);
                let again = call.clone();
                let start = Instant::now();
                self.subject.module.make_instance(again).await?;
                instance += start.elapsed();
                let start = Instant::now();
                drop(self.subject.module.guest.run(call).await);
                run += start.elapsed();
                n += 1;
            }
        }
        Ok(Alone { decode: decode / n, instance: instance / n, run: run / n })
    }

    /// Decodes and runs on all cores at once; returns events/s.
    pub(super) fn together(&self) -> anyhow::Result<f64> {
        let start = Instant::now();
        let work = |first: usize| -> anyhow::Result<usize> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut n = 0;
                while n == 0 || start.elapsed() < self.subject.phase() {
                    let Decoded { event, identity, .. } = self.decoded(first + n)?;
                    drop(self.subject.module.guest.run(self.call(event, identity)).await);
                    n += 1;
                }
                Ok(n)
            })
        };
        let count: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..rig::cores()).map(|core| scope.spawn(move || work(core * 1_000_000))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a run never panics")).sum::<anyhow::Result<usize>>()
        })?;
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }
}

/// The store alone: the same messages, deliveries and rows, with the same group commit; returns events/s.
pub(super) fn store(subject: &Subject, runs: &[Run], events: usize) -> anyhow::Result<f64> {
    let dir = rig::folder(&subject.dir)?;
    let store = Arc::new(SqliteOwner::own(dir.path(), &OpenOptions::owner(1))?);
    let channel = store.channel_id(super::CHANNEL)?;
    let mut rows = Rows::new(&*store, runs, note(subject, channel)?)?;
    let runtime = rig::threads("bench-store", 2)?;
    let reactor = store.reactor_id(&subject.reactor)?;
    let start = Instant::now();
    let publish = {
        let (store, samples) = (Arc::clone(&store), subject.samples.clone());
        runtime.spawn(async move { publish(&*store, channel, &samples, events).await })
    };
    let (send, mut admitted) = tokio::sync::mpsc::channel::<Vec<DeliveryId>>(4);
    let admit = {
        let store = Arc::clone(&store);
        runtime.spawn(async move {
            let mut cursor = Offset(1);
            while cursor.0 <= events as u64 {
                let records = store.read_log(channel, cursor, BATCH, 1 << 20)?;
                let Some(last) = records.last() else {
                    tokio::time::sleep(Duration::from_micros(100)).await;
                    continue;
                };
                cursor = Offset(last.offset.0 + 1);
                let delivery = |offset: Offset| NewDelivery {
                    reactor,
                    origin: Origin { channel, offset, part: 0 },
                    key: Identity::of(&[&offset.0.to_le_bytes()]),
                    window: Duration::from_secs(86_400),
                    lane: None,
                    place: Place::Memory,
                    redrive: false,
                };
                let deliveries = records.iter().map(|record| delivery(record.offset)).collect();
                let batch = Batch { cursor: Some(cursor), deliveries, ..Batch::new(channel, HostTime(1)) };
                let ids = store.enter(batch).await?.answers.into_iter().filter_map(|one| match one {
                    Admitted::New(id) => Some(id),
                    _ => None,
                });
                let _ = send.send(ids.collect()).await;
            }
            anyhow::Ok(())
        })
    };
    runtime.block_on(async {
        let mut committed = 0;
        while committed < events {
            let Some(ids) = admitted.recv().await else { break };
            // As a host's runs end: a few at a time, while others are in progress.
            let groups: Vec<Vec<Commit>> =
                ids.chunks(64).map(|ids| ids.iter().map(|id| rows.commit(*id, reactor)).collect()).collect();
            for answers in join_all(groups.into_iter().map(|group| store.commit(group.into()))).await {
                committed += answers?.iter().filter(|one| **one == Committed::Applied).count();
            }
        }
        publish.await??;
        admit.await??;
        if committed != events {
            bail!("the store applied {committed} of {events} commits");
        }
        Ok(events as f64 / start.elapsed().as_secs_f64())
    })
}

/// The attempt that each commit keeps, if so configured.
fn note(subject: &Subject, channel: ChannelId) -> anyhow::Result<Option<AttemptNote>> {
    let note = AttemptNote {
        event: Arc::new(Sandbox::new(subject).decoded(0)?.event),
        origin: Origin { channel, offset: Offset(1), part: 0 },
        code: "done",
        at: Timestamp::UNIX_EPOCH,
        took: Duration::from_micros(10),
        module: subject.module.guest.digest().into(),
    };
    Ok(subject.config.runtime.keeps_attempts().then_some(note))
}

/// Publishes as fast as possible.
pub(super) async fn publish(
    store: &dyn StoreClient,
    channel: ChannelId,
    samples: &Samples,
    events: usize,
) -> anyhow::Result<()> {
    for first in (0..events).step_by(BATCH) {
        let batch = (first..events.min(first + BATCH)).map(|n| samples.message(n)).collect();
        store.append(channel, batch).await?;
    }
    Ok(())
}

/// The reads, writes and emits of runs, as commits.
struct Rows<'r> {
    runs: &'r [Run],
    targets: BTreeMap<String, Target>,
    versions: HashMap<&'r str, Version>,
    number: u64,
    note: Option<AttemptNote>,
}

impl<'r> Rows<'r> {
    fn new(store: &dyn StoreClient, runs: &'r [Run], note: Option<AttemptNote>) -> anyhow::Result<Self> {
        let mut targets = BTreeMap::new();
        for (channel, _) in runs.iter().flat_map(|run| &run.effects).filter_map(guest::Effect::put) {
            targets.insert(channel.clone(), Target::Log(store.channel_id(channel)?));
        }
        Ok(Self { runs, targets, versions: HashMap::new(), number: 0, note })
    }

    fn commit(&mut self, delivery: DeliveryId, reactor: reactor_core::event::ReactorId) -> Commit {
        let run = &self.runs[usize::try_from(self.number).unwrap_or(0) % self.runs.len()];
        self.number += 1;
        let number = Version(self.number);
        let version = |key: &String| self.versions.get(key.as_str()).copied().unwrap_or(Version(0));
        let reads = run.reads.iter().map(|(key, _)| (key.clone(), version(key))).collect();
        for (key, value) in run.effects.iter().filter_map(guest::Effect::write) {
            let _ = match value {
                Some(_) => self.versions.insert(key, number),
                None => self.versions.remove(key.as_str()),
            };
        }
        // The envelope of an emitted event adds about as many bytes as a short payload has.
        let message = |data: &Bytes| Message::from_body([&data[..], &[b'x'; 300]].concat());
        let effect = |effect: &guest::Effect| match effect {
            guest::Effect::Set { key, value } => Effect::Set { key: key.clone(), value: value.clone() },
            guest::Effect::Delete { key } => Effect::Delete { key: key.clone() },
            guest::Effect::Put { target, message: emit } => {
                Effect::Put { target: self.targets[target], message: message(&emit.data) }
            }
        };
        let effects = run.effects.iter().map(effect).collect();
        Commit {
            number,
            delivery,
            reactor,
            attempt: 1,
            after: None,
            reads,
            effects,
            ending: Ending::Done,
            note: self.note.clone(),
            now: HostTime(1),
        }
    }
}
