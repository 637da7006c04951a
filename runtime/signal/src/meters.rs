//! The metrics, under their names in `/metrics`.

use std::sync::Mutex;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use reactor_core::store::{Blocked, Stats};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct OfReactor {
    pub(super) reactor: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct OfChannel {
    pub(super) channel: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Outcomes {
    pub(super) reactor: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Reasons {
    pub(super) reactor: String,
    pub(super) reason: String,
}

pub(super) type PerReactor<M> = Family<OfReactor, M>;
pub(super) type PerChannel<M> = Family<OfChannel, M>;

/// A tenth of a millisecond to a minute and a half.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        const BOUNDS: [f64; 16] =
            [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 90.0];
        Histogram::new(BOUNDS)
    }
}

/// Every metric of a host. Metrics from the store are filled in on request.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) attempts: Family<Outcomes, Counter>,
    pub(super) seconds: Family<OfReactor, Histogram, Seconds>,
    pub(super) latency: Family<OfReactor, Histogram, Seconds>,
    pub(super) delivered: PerReactor<Counter>,
    pub(super) duplicates: PerReactor<Counter>,
    pub(super) emitted: PerReactor<Counter>,
    pub(super) repeated: PerReactor<Counter>,
    pub(super) dead: Family<Reasons, Counter>,
    /// Failed attempts of all outcomes and dead letters of all reasons; not exported, since they are sums.
    pub(super) failed: PerReactor<Counter>,
    pub(super) letters: PerReactor<Counter>,
    pub(super) running: PerReactor<Gauge>,
    pub(super) queued: PerReactor<Gauge>,
    pub(super) broken: PerReactor<Gauge>,
    pub(super) throttled: PerReactor<Gauge>,
    pub(super) concurrency: PerReactor<Gauge>,
    pub(super) read: PerChannel<Counter>,
    pub(super) unrouted: PerChannel<Counter>,
    pub(super) invalid: PerChannel<Counter>,
    pub(super) received: PerChannel<Counter>,
    pub(super) deleted: PerChannel<Counter>,
    pub(super) renewed: PerChannel<Counter>,
    pub(super) lost: PerChannel<Counter>,
    pub(super) returned: PerChannel<Counter>,
    pub(super) failures: PerChannel<Counter>,
    pub(super) depth: PerChannel<Gauge>,
    pub(super) oldest: PerChannel<Gauge>,
    waiting: PerReactor<Gauge>,
    active: PerReactor<Gauge>,
    held: PerReactor<Gauge>,
    parked: PerReactor<Gauge>,
    parked_keys: PerReactor<Gauge>,
    dropped: PerReactor<Gauge>,
    backlog: PerChannel<Gauge>,
    outbox: PerChannel<Gauge>,
    registry: Mutex<Registry>,
}

/// Registers metrics as they are made.
struct Maker(Registry);

impl Maker {
    fn with<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn family<S, M>(&mut self, name: &str, help: &str) -> Family<S, M>
    where
        S: Clone + std::hash::Hash + Eq,
        M: Default,
        Family<S, M>: Metric,
    {
        self.with(name, help, Family::default())
    }
}

impl Default for Meters {
    fn default() -> Self {
        let mut new = Maker(Registry::with_prefix("reactor"));
        let seconds = || Family::new_with_constructor(Seconds);
        Self {
            attempts: new.family("attempts", "Ended attempts by outcome: done, retry, reject, or the code of a fault"),
            seconds: new.with("attempt_seconds", "Wall-clock time of attempts", seconds()),
            latency: new.with("delivery_seconds", "Time from admission until a delivery was done", seconds()),
            delivered: new.family("deliveries", "Deliveries admitted"),
            duplicates: new.family("duplicates", "Deliveries that were in the ledger already"),
            emitted: new.family("emitted", "Events emitted by committed runs"),
            repeated: new.family("repeated_runs", "Runs repeated because another run changed what they had read"),
            dead: new.family("dead_letters", "Deliveries that ended without success, by reason"),
            failed: Family::default(),
            letters: Family::default(),
            running: new.family("running", "Attempts in progress"),
            queued: new.family("queued", "Deliveries in memory: queued, running or committing"),
            broken: new.family("breaker_open", "1 while the breaker is open and the reactor is only probed"),
            throttled: new.family("throttled", "1 while the rate of the reactor delays a start"),
            concurrency: new.family("concurrency", "Concurrent attempts that the configuration allows"),
            read: new.family("read", "Messages read from the log of a channel"),
            unrouted: new.family("unrouted", "Events that no reactor wanted"),
            invalid: new.family("invalid", "Messages that could not be decoded"),
            received: new.family("received", "Messages received from a remote channel"),
            deleted: new.family("deleted", "Messages deleted from a remote channel"),
            renewed: new.family("lease_renewals", "Leases renewed"),
            lost: new.family("leases_lost", "Leases that could not be renewed"),
            returned: new.family("returned", "Messages returned to a remote channel on purpose"),
            failures: new.family("channel_failures", "Failed calls to a remote channel"),
            depth: new.family("channel_messages", "Visible messages in a remote queue, as reported by the queue"),
            oldest: new.family("oldest_seconds", "Age of the oldest message in hand from a remote channel"),
            waiting: new.family("waiting", "Deliveries waiting for their next attempt"),
            active: new.family("active", "Deliveries that have not ended, in memory and in the store"),
            held: new.family("held", "Deliveries behind another of their key that waits for its next attempt"),
            parked: new.family("parked", "Deliveries behind a dead letter of their key that waits for a person"),
            parked_keys: new.family("parked_keys", "Keys that a dead letter parks"),
            dropped: new.family("dropped", "Dead letters that were dropped since the store was created"),
            backlog: new.family("backlog", "Records of a channel's log that have not been admitted"),
            outbox: new.family("outbox_messages", "Messages waiting to be sent to a remote channel"),
            registry: Mutex::new(new.0),
        }
    }
}

impl Meters {
    /// Everything in the text format of OpenMetrics.
    pub(super) fn text(&self, stats: &Stats, blocked: impl Iterator<Item = (String, Blocked)>) -> String {
        let count = |count: &u64| i64::try_from(*count).unwrap_or(i64::MAX);
        for reactor in &stats.reactors {
            let of = OfReactor { reactor: reactor.name.clone() };
            self.waiting.get_or_create(&of).set(count(&reactor.waiting));
            self.active.get_or_create(&of).set(count(&reactor.active));
            self.dropped.get_or_create(&of).set(count(&reactor.dropped));
        }
        for (reactor, blocked) in blocked {
            let of = OfReactor { reactor };
            self.held.get_or_create(&of).set(count(&blocked.held));
            self.parked.get_or_create(&of).set(count(&blocked.parked));
            self.parked_keys.get_or_create(&of).set(count(&blocked.parked_keys));
        }
        for (channel, backlog) in &stats.backlog {
            self.backlog.get_or_create(&OfChannel { channel: channel.clone() }).set(count(backlog));
        }
        // A channel without messages is not in the list.
        self.outbox.clear();
        for (channel, messages) in &stats.outbox {
            self.outbox.get_or_create(&OfChannel { channel: channel.clone() }).set(count(messages));
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
