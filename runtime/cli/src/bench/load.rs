//! A host under load: as fast as possible, and at a steady pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;

use reactor_core::store::{ReactorStats, StoreClient};
use reactor_signal::Signals;

use super::meter::{self, Meter, Used};
use super::rig::{self, Rig};
use super::samples::Samples;
use super::{CHANNEL, Subject, histogram, limits, record};

/// The cost of a flood of events.
pub(super) struct Flood {
    pub(super) published: Duration,
    pub(super) took: Duration,
    pub(super) used: Used,
    /// Peak memory in bytes.
    pub(super) peak: u64,
    pub(super) stats: ReactorStats,
    pub(super) repeated: u64,
}

fn rig(subject: &Subject) -> anyhow::Result<Rig> {
    let guests = BTreeMap::from([(subject.reactor.clone(), Arc::clone(&subject.module.guest))]);
    Rig::new(subject.config.clone(), &subject.dir, guests)
}

/// Publishes as fast as possible while the host runs; measures from the first event to the last one done.
pub(super) fn flood(subject: &Subject, events: usize) -> anyhow::Result<Flood> {
    let signals = Arc::new(Signals::default());
    let rig = rig(subject)?.with_signals(Arc::clone(&signals));
    let channel = rig.store().channel_id(CHANNEL)?;
    let publisher = rig::threads("bench-publish", 1)?;
    let mut host = rig.run()?;
    meter::forget_peak();
    let (meter, start) = (Meter::now(), Instant::now());
    let (store, samples) = (Arc::clone(&host.store), subject.samples.clone());
    let publish = publisher.spawn(async move {
        limits::publish(&*store, channel, &samples, events).await?;
        anyhow::Ok(start.elapsed())
    });
    let published = publisher.block_on(publish)??;
    host.until_idle()?;
    let (took, used, peak) = (start.elapsed(), meter.used(), meter::peak());
    let stats = host.store.stats()?.reactors.into_iter().find(|one| one.name == subject.reactor);
    let repeated = signals.repeated(&subject.reactor);
    Ok(Flood { published, took, used, peak, stats: stats.context("the reactor has no counts")?, repeated })
}

/// The latencies of events at a steady pace.
pub(super) struct Pace {
    pub(super) events: usize,
    pub(super) done: u64,
    /// From when an event was due to be published until it was accepted, and until its delivery was done.
    pub(super) accepted: Histogram<u64>,
    pub(super) ended: Histogram<u64>,
}

/// Publishes this many events per second, one at a time.
pub(super) fn pace(subject: &Subject, rate: f64, events: usize) -> anyhow::Result<Pace> {
    let start = Instant::now();
    let done: Arc<Vec<AtomicU64>> = Arc::new((0..events).map(|_| AtomicU64::new(0)).collect());
    let noted = Arc::clone(&done);
    let signals = Signals::watched(Arc::new(move |id| {
        let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(slot) = Samples::number(id).and_then(|n| noted.get(n)) {
            slot.store(now, Ordering::Relaxed);
        }
    }));
    let rig = rig(subject)?.with_signals(Arc::new(signals));
    let channel = rig.store().channel_id(CHANNEL)?;
    let mut host = rig.run()?;
    let publisher = tokio::runtime::Builder::new_current_thread().build()?;
    // The host's start is not measured.
    thread::sleep(Duration::from_millis(100));
    let (begin, mut accepted, mut due) = (start.elapsed(), histogram(), Vec::with_capacity(events));
    for n in 0..events {
        let at = begin + Duration::from_secs_f64(n as f64 / rate);
        wait_until(start + at);
        publisher.block_on(host.store.append(channel, vec![subject.samples.message(n)]))?;
        record(&mut accepted, start.elapsed().saturating_sub(at));
        due.push(at);
    }
    host.until_idle()?;
    let mut ended = histogram();
    for (at, done) in due.iter().zip(done.iter()) {
        let done = Duration::from_nanos(done.load(Ordering::Relaxed));
        if !done.is_zero() {
            record(&mut ended, done.saturating_sub(*at));
        }
    }
    Ok(Pace { events, done: ended.len(), accepted, ended })
}

/// A sleep ends late, so the last bit is a busy wait.
fn wait_until(at: Instant) {
    const AWAKE: Duration = Duration::from_micros(150);
    thread::sleep(at.saturating_duration_since(Instant::now()).saturating_sub(AWAKE));
    while Instant::now() < at {
        std::hint::spin_loop();
    }
}
