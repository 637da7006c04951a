//! The figures, for people and for programs.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use hdrhistogram::Histogram;
use serde::Serialize;

use reactor_core::guest::{Effect, Run};

use super::limits::Alone;
use super::load::{Flood, Pace};
use super::meter::{self, Used};
use super::rig;

/// All results.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The work for an event.
    pub work: Work,
    /// The limits of a host on this machine.
    pub limits: Limits,
    /// Events published as fast as possible while the host runs.
    pub throughput: Throughput,
    /// Events at a steady pace.
    pub latency: Latency,
}

/// The work for an event, on average.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The reactor.
    pub reactor: String,
    /// Cores of the machine.
    pub cores: usize,
    /// Bytes of a message.
    pub event_bytes: usize,
    /// State keys read and written, events emitted.
    pub reads: f64,
    /// See `reads`.
    pub writes: f64,
    /// See `reads`.
    pub emits: f64,
}

impl Work {
    pub(super) fn of(reactor: &str, event_bytes: usize, runs: &[Run]) -> Self {
        let mean = |count: fn(&Run) -> usize| runs.iter().map(count).sum::<usize>() as f64 / runs.len().max(1) as f64;
        Self {
            reactor: reactor.to_owned(),
            cores: rig::cores(),
            event_bytes,
            reads: mean(|run| run.reads.len()),
            writes: mean(|run| run.effects.iter().filter_map(Effect::write).count()),
            emits: mean(|run| run.effects.iter().filter_map(Effect::put).count()),
        }
    }
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// Half were faster.
    pub p50: f64,
    /// One in a hundred was slower.
    pub p99: f64,
    /// One in a thousand was slower.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Percentiles {
    fn of(times: &Histogram<u64>) -> Self {
        let at = |share: f64| times.value_at_quantile(share) as f64 / 1e3;
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: times.max() as f64 / 1e3 }
    }
}

/// The limits of a host on this machine, measured without one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// An fsync of 4 KiB, in us.
    pub fsync_us: Percentiles,
    /// The same messages and rows through the same store with the same group commit: events/s.
    pub store_per_s: f64,
    /// Decode and run on all cores, without a store.
    pub sandbox: Bound,
    /// Decoding an event, in us on one thread.
    pub decode_us: f64,
    /// Creating a fresh instance and dropping it.
    pub instance_us: f64,
    /// Creating a fresh instance, calling it and dropping it.
    pub run_us: f64,
    /// The same work as native code on one thread, if there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<Native>,
}

/// Work without a store, and the rate it allows together with the store.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Events/s.
    pub per_s: f64,
    /// In sequence with the store's part: 1/(1/store + 1/this).
    pub combined_per_s: f64,
}

/// See [`Limits::native`].
pub type Native = Bound;

impl Bound {
    fn new(per_s: f64, store_per_s: f64) -> Self {
        Self { per_s, combined_per_s: 1.0 / (1.0 / store_per_s + 1.0 / per_s) }
    }
}

impl Limits {
    pub(super) fn new(
        fsync: &Histogram<u64>,
        store_per_s: f64,
        sandbox: f64,
        alone: &Alone,
        native: Option<f64>,
    ) -> Self {
        Self {
            fsync_us: Percentiles::of(fsync),
            store_per_s,
            sandbox: Bound::new(sandbox, store_per_s),
            decode_us: us(alone.decode),
            instance_us: us(alone.instance),
            run_us: us(alone.run),
            native: native.map(|per_s| Bound::new(per_s, store_per_s)),
        }
    }
}

/// CPU time of an event, in us, by threads.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Threads that run guests.
    pub guest: f64,
    /// The host: decode, route, schedule, judge.
    pub host: f64,
    /// The store's threads.
    pub store: f64,
    /// The publisher.
    pub publisher: f64,
    /// All threads of the process.
    pub total: f64,
}

impl Cpu {
    fn of(used: &Used, events: f64) -> Self {
        let each = |time: Duration| us(time) / events;
        Self {
            guest: each(used.cpu_of("reactor-guest")),
            host: each(used.cpu_of("reactor-host")),
            store: each(used.cpu_of("store-")),
            publisher: each(used.cpu_of("bench-publish")),
            total: each(used.cpu_in_all()),
        }
    }
}

/// A flood of events.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// The number of events.
    pub events: usize,
    /// Deliveries that succeeded.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// Runs that were repeated because another run wrote what they had read.
    pub repeated: u64,
    /// Accepted, events/s.
    pub published_per_s: f64,
    /// From the first one published to the last one done, events/s.
    pub per_s: f64,
    /// The share of `limits.sandbox.combinedPerS`.
    pub of_sandbox: f64,
    /// The share of `limits.native.combinedPerS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_native: Option<f64>,
    /// CPU time of an event.
    pub cpu_us: Cpu,
    /// Bytes written to the disk per event.
    pub written_bytes: f64,
    /// Peak memory in bytes.
    pub peak_bytes: u64,
}

impl Throughput {
    pub(super) fn new(events: usize, flood: &Flood, limits: &Limits) -> Self {
        let count = events as f64;
        let per_s = count / flood.took.as_secs_f64();
        Self {
            events,
            done: flood.stats.done,
            dead: flood.stats.dead,
            repeated: flood.repeated,
            published_per_s: count / flood.published.as_secs_f64(),
            per_s,
            of_sandbox: per_s / limits.sandbox.combined_per_s,
            of_native: limits.native.map(|native| per_s / native.combined_per_s),
            cpu_us: Cpu::of(&flood.used, count),
            written_bytes: flood.used.written as f64 / count,
            peak_bytes: flood.peak,
        }
    }
}

/// Events at a steady pace, one at a time. Times are measured from when an event was due to be published.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Events/s.
    pub rate: f64,
    /// The number of events.
    pub events: usize,
    /// Deliveries that succeeded.
    pub done: u64,
    /// Until an event was accepted, durably, in us.
    pub accepted_us: Percentiles,
    /// Until its delivery was done, durably, in us.
    pub done_us: Percentiles,
    /// Bytes of memory in use at the end.
    pub resident_bytes: u64,
}

impl Latency {
    pub(super) fn new(rate: f64, pace: &Pace) -> Self {
        Self {
            rate,
            events: pace.events,
            done: pace.done,
            accepted_us: Percentiles::of(&pace.accepted),
            done_us: Percentiles::of(&pace.ended),
            resident_bytes: meter::resident(),
        }
    }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, limits, throughput, latency } = self;
        writeln!(
            f,
            "{}: events of {} bytes, each with {:.1} state reads, {:.1} writes and {:.1} emitted events; {} cores",
            work.reactor, work.event_bytes, work.reads, work.writes, work.emits, work.cores
        )?;
        writeln!(f, "\nwhat bounds it on this machine")?;
        row(f, "fsync of 4 KiB", limits.fsync_us)?;
        row(f, "the store alone, same rows and groups", PerSecond(limits.store_per_s))?;
        row(f, "decode and sandbox alone, all cores", PerSecond(limits.sandbox.per_s))?;
        if let Some(native) = limits.native {
            row(f, "decode and native code alone, one thread", PerSecond(native.per_s))?;
        }
        row(f, "on one thread: decode", format_args!("{:.1} us", limits.decode_us))?;
        row(f, "on one thread: fresh instance", format_args!("{:.1} us", limits.instance_us))?;
        row(f, "on one thread: instance, call and drop", format_args!("{:.1} us", limits.run_us))?;

        let Throughput { events, done, dead, repeated, .. } = throughput;
        writeln!(f, "\n{events} events as fast as they come")?;
        row(f, "accepted", PerSecond(throughput.published_per_s))?;
        row(f, "published to done", PerSecond(throughput.per_s))?;
        row(f, "share of store + sandbox, in sequence", Share(throughput.of_sandbox, limits.sandbox))?;
        if let Some((share, native)) = throughput.of_native.zip(limits.native) {
            row(f, "share of store + native, in sequence", Share(share, native))?;
        }
        if *done != *events as u64 || *repeated > 0 {
            row(f, "endings", format_args!("{done} done, {dead} dead; {repeated} runs repeated"))?;
        }
        let Cpu { guest, host, store, publisher, total } = throughput.cpu_us;
        let parts = format_args!("guest {guest:.1}, host {host:.1}, store {store:.1}, publisher {publisher:.1}");
        row(f, "CPU per event", format_args!("{total:.1} us: {parts}"))?;
        row(f, "written per event", ByteSize(throughput.written_bytes as u64))?;
        row(f, "most memory", ByteSize(throughput.peak_bytes))?;

        writeln!(f, "\n{} events, {} a second", latency.events, latency.rate)?;
        row(f, "accepted after", latency.accepted_us)?;
        row(f, "done after", latency.done_us)?;
        row(f, "memory", ByteSize(latency.resident_bytes))
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, figure: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {what:<41} {figure}")
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: f64| us / 1e3;
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.2} ms",
            ms(self.p50),
            ms(self.p99),
            ms(self.p999),
            ms(self.max)
        )
    }
}

struct PerSecond(f64);

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s", self.0)
    }
}

struct Share(f64, Bound);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} % of {:.0}/s", self.0 * 100.0, self.1.combined_per_s)
    }
}
