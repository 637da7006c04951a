//! The cost of an event on this machine and its lower bounds: one reactor under load, and beside it, in the same run,
//! the store alone, the sandbox alone and the disk alone.

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

pub(crate) mod command;
mod limits;
mod load;
pub mod meter;
mod report;
pub mod rig;
mod samples;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use hdrhistogram::Histogram;

use reactor_config::model::Config;
use reactor_core::event::{Message, Outcome};
use reactor_host::judge::describe;
use reactor_sandbox::LoadedModule;

pub use report::{Cpu, Latency, Limits, Native, Percentiles, Report, Throughput, Work};
pub use samples::{Samples, VALUES};

/// The channel that the events come through.
pub const CHANNEL: &str = "bench";
/// Messages per call to the store.
pub const BATCH: usize = 256;
/// Minimum and maximum number of events in a flood.
const FEWEST: usize = 500;
const MOST: usize = 1_000_000;

/// The reactor to measure.
pub struct Subject {
    config: Config,
    reactor: String,
    module: LoadedModule,
    samples: Samples,
    dir: PathBuf,
    seconds: f64,
}

/// How to measure it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Approximate seconds for each of the two loads.
    pub seconds: f64,
    /// Events of the flood; `None` for as many as fill the time.
    pub events: Option<usize>,
    /// Events per second at the steady pace.
    pub rate: f64,
}

impl Subject {
    /// Isolates a reactor of a configuration: it reads one local channel, and its events go to local channels without
    /// readers. It runs as configured, except for what would make it wait: each event has one attempt, and there is no
    /// rate and no breaker. Everything is kept in a new folder in the data directory, which is removed at the end.
    pub fn new(mut config: Config, reactor: &str, module: LoadedModule, samples: Samples) -> Self {
        let dir = config.runtime.data_dir.path().to_owned();
        let retention = Duration::from_secs(86_400);
        for channel in config.channels.values_mut() {
            (channel.outside, channel.retention) = (None, retention);
        }
        if let Some(mut channel) = config.channels.values().next().cloned() {
            CHANNEL.clone_into(&mut channel.name);
            channel.format = reactor_config::model::Format::Native;
            channel.identity = None;
            config.channels.insert(CHANNEL.to_owned(), channel);
        }
        config.runtime.admin = None;
        config.reactors.retain(|name, _| name == reactor);
        for reactor in config.reactors.values_mut() {
            reactor.from = vec![CHANNEL.to_owned()];
            reactor.retry.max_attempts = 1;
            reactor.rate = None;
            reactor.breaker = None;
            reactor.dedup.key = None;
            reactor.dead_letter.channel = None;
        }
        Self { config, reactor: reactor.to_owned(), module, samples, dir, seconds: 1.0 }
    }

    /// How long each small measurement takes.
    fn phase(&self) -> Duration {
        Duration::from_secs_f64((self.seconds / 8.0).clamp(0.02, 2.0))
    }
}

/// Measures everything, and reports progress.
///
/// # Errors
/// The reactor cannot be measured: it gets none of the events, or none of them succeeds.
pub fn measure(
    mut subject: Subject,
    plan: Plan,
    native: Option<&mut dyn FnMut(&Message)>,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Report> {
    subject.seconds = plan.seconds;
    say("the disk alone");
    let fsync = limits::fsync(&subject.dir)?;
    say("the sandbox alone");
    let runtime = rig::threads("bench-run", 1)?;
    let sandbox = limits::Sandbox::new(&subject);
    let runs = runtime.block_on(sandbox.rows())?;
    let work = Work::of(&subject.reactor, subject.samples.size(), &runs);
    if let Some(failed) = runs.iter().find(|run| run.outcome != Outcome::Done)
        && runs.iter().all(|run| run.outcome != Outcome::Done)
    {
        let (code, error) = describe(&failed.outcome);
        bail!("reactor `{}` succeeds on none of these events: {code}: {error}", subject.reactor);
    }
    let alone = runtime.block_on(sandbox.alone())?;
    let sandbox_rate = sandbox.together()?;
    let native = native.map(|native| {
        let (start, mut n) = (Instant::now(), 0);
        while start.elapsed() < subject.phase() {
            (0..256).for_each(|k| native(&subject.samples.message(n + k)));
            n += 256;
        }
        n as f64 / start.elapsed().as_secs_f64()
    });
    say("the store alone");
    let few = limits::store(&subject, &runs, 2_000)?;
    let fill = |rate: f64, seconds: f64| ((rate * seconds) as usize).clamp(FEWEST, MOST);
    let store_rate = limits::store(&subject, &runs, plan.events.unwrap_or_else(|| fill(few, plan.seconds / 2.0)))?;
    let limits = Limits::new(&fsync, store_rate, sandbox_rate, &alone, native);
    say("a flood of events");
    let events = plan.events.unwrap_or_else(|| fill(limits.sandbox.combined_per_s * 0.8, plan.seconds));
    let flood = load::flood(&subject, events)?;
    if flood.stats.delivered == 0 {
        bail!("reactor `{}` wants none of these events: its `on` or `when` do not match them", subject.reactor);
    }
    say("a steady pace");
    let pace = load::pace(&subject, plan.rate, ((plan.rate * plan.seconds) as usize).max(20))?;
    Ok(Report {
        work,
        throughput: Throughput::new(events, &flood, &limits),
        latency: Latency::new(plan.rate, &pace),
        limits,
    })
}

/// From 1 us to an hour, with three digits, in nanoseconds.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3).unwrap_or_else(|_| unreachable!("the bounds are sound"))
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}
