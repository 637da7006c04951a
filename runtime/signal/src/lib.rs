//! One method for each thing that happens, which logs and counts it together.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

mod meters;
pub mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use reactor_core::store::{Blocked, Stats, StoreError};

use meters::{Meters, OfChannel, OfReactor, Outcomes, Reasons};
use trace::Tracer;

/// The log target of lines about single deliveries, for log filters.
pub const DELIVERIES: &str = module_path!();

/// What an ended run changed about its reactor's breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    /// The run was one failure too many; the first probe follows after this pause.
    Opened(Duration),
    /// The run was a probe and failed; the next probe follows after this pause.
    ProbeFailed(Duration),
    /// A run has succeeded.
    Closed,
}

/// The counts, health and spans of a host. They outlive restarts of the host within a process.
#[derive(Default)]
pub struct Signals {
    meters: Meters,
    phase: AtomicU8,
    /// Writes blocked by a full disk. Others may succeed meanwhile, since finishing needs less room than beginning.
    stuck: AtomicUsize,
    tracer: Option<Box<dyn Tracer>>,
    on_done: Option<OnDone>,
}

/// Called with an event's id when one of its deliveries is durably done; runs on the host's own thread, so it must be
/// quick.
pub type OnDone = Arc<dyn Fn(&str) + Send + Sync>;

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// A write blocked by a full disk.
pub struct Stuck<'s>(&'s Signals);

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        if self.0.stuck.fetch_sub(1, Relaxed) == 1 {
            tracing::info!("there is room on the disk again");
        }
    }
}

/// The phase of a host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It is starting up and has begun nothing yet.
    Starting,
    /// It runs.
    Running,
    /// It begins nothing new and finishes what has begun.
    Draining,
}

/// The totals that a status line shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Successful attempts.
    pub done: u64,
    /// Failed attempts that are retried.
    pub failed: u64,
    /// Dead letters since the start.
    pub dead: u64,
    /// Running attempts.
    pub running: i64,
    /// Deliveries in memory.
    pub queued: i64,
    /// Reactors with an open breaker.
    pub broken: i64,
    /// Reactors that their rate limit holds back.
    pub throttled: i64,
}

impl Signals {
    /// Signals that also send spans to a tracing system.
    pub fn traced(tracer: Option<Box<dyn Tracer>>) -> Self {
        Self { tracer, ..Self::default() }
    }

    /// Signals with a callback for each delivery that is done.
    pub fn watched(on_done: OnDone) -> Self {
        Self { on_done: Some(on_done), ..Self::default() }
    }

    /// The tracer, if there is one.
    pub fn tracer(&self) -> Option<&dyn Tracer> {
        self.tracer.as_deref()
    }

    /// Every metric in the OpenMetrics text format; `stats` and `blocked` come from the store.
    pub fn metrics(&self, stats: &Stats, blocked: impl Iterator<Item = (String, Blocked)>) -> String {
        self.meters.text(stats, blocked)
    }

    /// Whether the host takes in events.
    ///
    /// # Errors
    /// The reason why not, in words.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.stuck.load(Relaxed) > 0 {
            return Err("the disk that holds the store is full");
        }
        match self.phase.load(Relaxed) {
            running if running == Phase::Running as u8 => Ok(()),
            draining if draining == Phase::Draining as u8 => Err("draining"),
            _ => Err("starting"),
        }
    }

    /// Whether nothing has begun to run yet.
    pub fn is_starting(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Starting as u8
    }

    /// The host has reached a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// A write finds the disk full; the host is not ready until the result is dropped.
    pub fn disk_is_full(&self) -> Stuck<'_> {
        if self.stuck.fetch_add(1, Relaxed) == 0 {
            tracing::error!("{}", StoreError::Full);
        }
        Stuck(self)
    }

    /// Totals over these reactors.
    pub fn totals<'r>(&self, reactors: impl Iterator<Item = &'r String>) -> Totals {
        let mut sum = Totals::default();
        for reactor in reactors {
            let signals = self.reactor(reactor);
            sum.done += signals.done.get();
            sum.failed += signals.failed.get();
            sum.dead += signals.letters.get();
            sum.running += signals.running.get();
            sum.queued += signals.queued.get();
            sum.broken += signals.broken.get();
            sum.throttled += signals.throttled.get();
        }
        sum
    }

    /// Runs of a reactor that were repeated because another run wrote what they had read.
    pub fn repeated(&self, reactor: &str) -> u64 {
        self.reactor(reactor).repeated.get()
    }

    /// Signals about the deliveries of a reactor.
    pub fn reactor(&self, name: &str) -> ReactorSignals {
        let (meters, of) = (&self.meters, OfReactor { reactor: name.to_owned() });
        let outcome = |outcome| Outcomes { reactor: name.to_owned(), outcome };
        ReactorSignals {
            done: meters.attempts.get_or_create_owned(&outcome("done")),
            seconds: meters.seconds.get_or_create_owned(&of),
            latency: meters.latency.get_or_create_owned(&of),
            delivered: meters.delivered.get_or_create_owned(&of),
            duplicates: meters.duplicates.get_or_create_owned(&of),
            emitted: meters.emitted.get_or_create_owned(&of),
            repeated: meters.repeated.get_or_create_owned(&of),
            running: meters.running.get_or_create_owned(&of),
            queued: meters.queued.get_or_create_owned(&of),
            broken: meters.broken.get_or_create_owned(&of),
            throttled: meters.throttled.get_or_create_owned(&of),
            concurrency: meters.concurrency.get_or_create_owned(&of),
            failed: meters.failed.get_or_create_owned(&of),
            letters: meters.letters.get_or_create_owned(&of),
            attempts: meters.attempts.clone(),
            dead: meters.dead.clone(),
            on_done: self.on_done.clone(),
            name: of.reactor,
        }
    }

    /// Signals about messages taken in from a channel.
    pub fn channel(&self, name: &str) -> ChannelSignals {
        let (meters, of) = (&self.meters, OfChannel { channel: name.to_owned() });
        ChannelSignals {
            read: meters.read.get_or_create_owned(&of),
            unrouted: meters.unrouted.get_or_create_owned(&of),
            invalid: meters.invalid.get_or_create_owned(&of),
        }
    }

    /// Signals about a remote channel.
    pub fn poller(&self, name: &str) -> PollerSignals {
        let (meters, of) = (&self.meters, OfChannel { channel: name.to_owned() });
        PollerSignals {
            received: meters.received.get_or_create_owned(&of),
            deleted: meters.deleted.get_or_create_owned(&of),
            renewed: meters.renewed.get_or_create_owned(&of),
            lost: meters.lost.get_or_create_owned(&of),
            returned: meters.returned.get_or_create_owned(&of),
            failures: meters.failures.get_or_create_owned(&of),
            depth: meters.depth.get_or_create_owned(&of),
            oldest: meters.oldest.get_or_create_owned(&of),
        }
    }
}

/// Signals about a reactor.
#[derive(Clone)]
pub struct ReactorSignals {
    name: String,
    done: Counter,
    seconds: Histogram,
    latency: Histogram,
    delivered: Counter,
    duplicates: Counter,
    emitted: Counter,
    repeated: Counter,
    running: Gauge,
    queued: Gauge,
    broken: Gauge,
    throttled: Gauge,
    concurrency: Gauge,
    failed: Counter,
    letters: Counter,
    attempts: Family<Outcomes, Counter>,
    dead: Family<Reasons, Counter>,
    on_done: Option<OnDone>,
}

/// An attempt whose outcome is durable.
pub struct Ended<'a> {
    /// The event's id.
    pub event: &'a str,
    /// The event's type.
    pub event_type: &'a str,
    /// Counted from 1.
    pub attempt: u32,
    /// Its outcome, in one word.
    pub code: &'static str,
    /// The first line of the error; empty if there is none.
    pub error: &'a str,
    /// How long it ran.
    pub took: Duration,
}

impl ReactorSignals {
    /// A delivery is in the store.
    pub fn admitted(&self) {
        self.delivered.inc();
    }

    /// The ledger has had a delivery already.
    pub fn duplicate(&self, event_type: &str, event: &str) {
        self.duplicates.inc();
        tracing::debug!(reactor = self.name, r#type = event_type, event, "duplicate; not run again");
    }

    /// An attempt begins.
    pub fn started(&self) {
        self.running.inc();
    }

    /// Its run has ended, with any outcome.
    pub fn stopped(&self) {
        self.running.dec();
    }

    /// A run is repeated because what it had read has changed.
    pub fn repeated(&self) {
        self.repeated.inc();
    }

    fn ended(&self, ended: &Ended<'_>) -> u64 {
        self.seconds.observe(ended.took.as_secs_f64());
        u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX)
    }

    fn failed(&self, ended: &Ended<'_>) -> u64 {
        self.failed.inc();
        self.attempts.get_or_create(&Outcomes { reactor: self.name.clone(), outcome: ended.code }).inc();
        self.ended(ended)
    }

    /// A delivery is done; `age` is the time since its admission.
    pub fn done(&self, ended: &Ended<'_>, emitted: usize, age: Duration) {
        self.done.inc();
        self.on_done.iter().for_each(|on_done| on_done(ended.event));
        self.emitted.inc_by(emitted as u64);
        self.latency.observe(age.as_secs_f64());
        let ms = self.ended(ended);
        let Ended { event, event_type, attempt, .. } = *ended;
        tracing::debug!(reactor = self.name, r#type = event_type, event, attempt, ms, emitted, "done");
    }

    /// An attempt has failed and will be retried.
    pub fn retry(&self, ended: &Ended<'_>, delay: Duration) {
        let ms = self.failed(ended);
        let Ended { event, event_type, attempt, code, error, .. } = *ended;
        let again_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(reactor = self.name, r#type = event_type, event, attempt, code, ms, again_in_ms, error, "retry");
    }

    /// The last attempt has failed.
    pub fn dead(&self, ended: &Ended<'_>, reason: &str) {
        let ms = self.failed(ended);
        self.letters.inc();
        self.dead.get_or_create(&Reasons { reactor: self.name.clone(), reason: reason.to_owned() }).inc();
        let Ended { event, event_type, attempt, error, .. } = *ended;
        tracing::warn!(reactor = self.name, r#type = event_type, event, attempt, reason, ms, error, "dead letter");
    }

    /// The breaker has opened or closed, or a probe has failed.
    pub fn breaker(&self, change: BreakerChange, error: &str) {
        let reactor = &self.name;
        match change {
            BreakerChange::Opened(pause) => {
                self.broken.set(1);
                tracing::warn!(reactor, error, probe_in = ?pause, "breaker opened: attempts keep failing, so one at a time is tried");
            }
            BreakerChange::ProbeFailed(pause) => {
                tracing::info!(reactor, error, probe_in = ?pause, "probe failed; no attempt was used up");
            }
            BreakerChange::Closed => {
                self.broken.set(0);
                tracing::info!(reactor, "breaker closed: an attempt succeeded");
            }
        }
    }

    /// The present status of the reactor.
    pub fn queue_status(&self, now: QueueStatus) {
        self.queued.set(i64::try_from(now.queued).unwrap_or(i64::MAX));
        self.broken.set(i64::from(now.broken));
        self.throttled.set(i64::from(now.throttled));
        self.concurrency.set(i64::try_from(now.concurrency).unwrap_or(i64::MAX));
    }
}

/// The status of a reactor.
#[derive(Clone, Copy, Debug)]
pub struct QueueStatus {
    /// Deliveries in memory.
    pub queued: usize,
    /// Its breaker is open.
    pub broken: bool,
    /// Its rate currently allows no start.
    pub throttled: bool,
    /// Most concurrent attempts.
    pub concurrency: usize,
}

/// Signals about a channel's incoming messages.
#[derive(Clone, Debug)]
pub struct ChannelSignals {
    read: Counter,
    unrouted: Counter,
    invalid: Counter,
}

impl ChannelSignals {
    /// Messages have been decoded and routed.
    pub fn sorted(&self, messages: usize, unrouted: u64, invalid: usize) {
        self.read.inc_by(messages as u64);
        self.unrouted.inc_by(unrouted);
        self.invalid.inc_by(invalid as u64);
    }
}

/// Signals about a remote channel.
#[derive(Clone, Debug)]
pub struct PollerSignals {
    /// Messages received.
    pub received: Counter,
    /// Messages deleted.
    pub deleted: Counter,
    /// Leases renewed.
    pub renewed: Counter,
    /// Leases that were lost before their messages were settled.
    pub lost: Counter,
    /// Messages given back on purpose.
    pub returned: Counter,
    /// Calls that failed.
    pub failures: Counter,
    /// Messages in the queue.
    pub depth: Gauge,
    /// Age of the oldest message in hand, in seconds.
    pub oldest: Gauge,
}

impl PollerSignals {
    /// Logs the counts, if there are any.
    pub fn tell(&self, channel: &str) {
        let [received, deleted, renewed, lost, returned, failures] =
            [&self.received, &self.deleted, &self.renewed, &self.lost, &self.returned, &self.failures].map(|c| c.get());
        if received + failures > 0 {
            tracing::info!(channel, received, deleted, renewed, lost, returned, failures, "messages since the start");
        }
    }
}

/// Counts successful events, for the program that prints what they cost.
#[doc(hidden)]
pub fn count_events(events: u32) {
    let signals = Signals::default();
    let (reactor, channel) = (signals.reactor("r"), signals.channel("c"));
    let ended =
        Ended { event: "e", event_type: "t", attempt: 1, code: "done", error: "", took: Duration::from_micros(50) };
    for _ in 0..events {
        channel.sorted(1, 0, 0);
        reactor.admitted();
        reactor.started();
        reactor.stopped();
        reactor.done(&ended, 1, Duration::from_millis(3));
    }
}
