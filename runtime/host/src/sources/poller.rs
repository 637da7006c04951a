//! Receiving from one remote channel: its calls in flight, how many there should be, and failures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use reactor_config::model::Settle;
use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::{ChannelError, Depth, Lease, Limits, Receipt, Source};
use reactor_core::clock::{Clock, Moment};
use reactor_core::event::{ChannelId, Message, Offset};
use reactor_signal::PollerSignals;

use super::lease::LeaseId;
use crate::Input;
use crate::sources::acknowledge::{What, acknowledge};
use crate::sources::waiting::Ack;

/// Most receive calls under way on one channel.
const MAX_POLLS: usize = 16;
/// As many messages are in hand as end in a quarter of a second, up to this many but at least those of two calls: a
/// message in hand here cannot be processed elsewhere.
const MOST_IN_HAND: usize = 2_000;
/// How long a call waits for messages where there were some before, and while the host only waits to become idle.
pub(crate) const SHORT_POLL: Duration = Duration::from_secs(1);
/// Delays after failures.
const RETRY: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(30), Jitter::Equal);
/// How long to retry acknowledgements if there is no lease that expires.
const WITHOUT_LEASE: Duration = Duration::from_secs(3_600);
/// How often to log a persistent failure.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Empty answers in a row after which a channel counts as idle.
const EMPTY_ENOUGH: u32 = 2;

/// A remote channel, as something to receive from.
pub(crate) struct Poller {
    pub(crate) name: String,
    pub(crate) id: ChannelId,
    /// Its place among the intakes.
    pub(crate) intake: usize,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) limits: Limits,
    pub(crate) settle: Settle,
    /// How long messages are leased at a time.
    pub(crate) lease: Duration,
    /// Attempts that its readers can run at once.
    pub(crate) concurrency: usize,
    pub(crate) polls: Vec<AbortHandle>,
    pub(crate) running: usize,
    pub(crate) target: usize,
    pub(crate) failure: Option<Failure>,
    /// When lines about single messages were last logged.
    pub(crate) told: Option<Moment>,
    pub(crate) empty: u32,
    pub(crate) stirred: Moment,
    pub(crate) arrived: VecDeque<Arrived>,
    /// Messages that are being copied.
    pub(crate) storing: usize,
    /// Records whose messages are settled.
    pub(crate) drop: Vec<Offset>,
    pub(crate) pace: Pace,
    pub(crate) signals: PollerSignals,
    pub(crate) depth: Option<Depth>,
    pub(crate) look_at: Moment,
    pub(crate) deletes: mpsc::UnboundedSender<Ack<()>>,
    /// `None` if there are no leases.
    pub(crate) leases: Option<mpsc::UnboundedSender<Ack<Option<LeaseId>>>>,
}

/// Why nothing is received at the moment.
pub(crate) struct Failure {
    pub(crate) error: ChannelError,
    pub(crate) tries: u32,
    pub(crate) retry_at: Moment,
    pub(crate) told: Moment,
}

/// How many messages end in a second.
pub(crate) struct Pace {
    since: Moment,
    ended: usize,
    last: usize,
}

impl Pace {
    pub(crate) fn count(&mut self, ended: usize, now: Moment) {
        let elapsed = now.since(self.since);
        if elapsed >= Duration::from_secs(1) {
            self.last = if elapsed < Duration::from_secs(2) { self.ended } else { 0 };
            (self.since, self.ended) = (now, 0);
        }
        self.ended += ended;
    }

    pub(crate) fn is(&self) -> usize {
        self.last.max(self.ended)
    }
}

/// A received message that is to be entered.
pub(crate) struct Arrived {
    pub(crate) lease: LeaseId,
    pub(crate) message: Message,
}

/// What a poller is made of.
pub(crate) struct Opening {
    pub(crate) name: String,
    pub(crate) id: ChannelId,
    pub(crate) intake: usize,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) settle: Settle,
    pub(crate) lease: Duration,
    pub(crate) concurrency: usize,
    pub(crate) signals: PollerSignals,
}

impl Poller {
    /// Starts the tasks that delete messages and renew leases; nothing is received yet.
    pub(crate) fn open(
        number: usize,
        opening: Opening,
        inputs: &mpsc::UnboundedSender<Input>,
        tasks: &mut JoinSet<()>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let Opening { name, id, intake, source, settle, lease, concurrency, signals } = opening;
        let (deletes, to_delete) = mpsc::unbounded_channel();
        let limits = source.limits();
        // Reports fail only if the host's task is gone.
        let report = inputs.clone();
        let deleted = move |((), _, answer)| drop(report.send(Input::Deleted { poller: number, answer }));
        let acknowledging = What::Acknowledge(Arc::clone(&source));
        tasks.spawn(acknowledge(acknowledging, limits.batch, to_delete, deleted, Arc::clone(clock)));
        let leases = Arc::clone(&source).leasing().map(|leasing| {
            let (leases, to_lease) = mpsc::unbounded_channel();
            let report = inputs.clone();
            let renewed = move |(tag, sent, answer)| {
                if let Some(lease) = tag {
                    let _ = report.send(Input::Renewed { lease, sent, answer });
                }
            };
            tasks.spawn(acknowledge(What::Lease(leasing), limits.batch, to_lease, renewed, Arc::clone(clock)));
            leases
        });
        let now = clock.now();
        Self {
            name,
            id,
            intake,
            source,
            limits,
            settle,
            lease,
            concurrency,
            polls: Vec::new(),
            running: 0,
            target: 1,
            failure: None,
            told: None,
            empty: 0,
            stirred: now,
            arrived: VecDeque::new(),
            storing: 0,
            drop: Vec::new(),
            pace: Pace { since: now, ended: 0, last: 0 },
            signals,
            depth: None,
            look_at: now,
            deletes,
            leases,
        }
    }

    pub(crate) fn delete(&self, receipt: Receipt, now: Moment) {
        let until = now + if self.leases.is_some() { self.lease } else { WITHOUT_LEASE };
        // The task ends only after the sender.
        let _ = self.deletes.send(Ack { receipt, lease: Lease::GiveBack(Duration::ZERO), until, tag: () });
    }

    pub(crate) fn set_lease(&self, receipt: Receipt, lease: Lease, tag: Option<LeaseId>, now: Moment) {
        let Some(leases) = &self.leases else { return };
        // Renewal starts after a third of the lease: what is not done in the rest would be too late.
        let until = now + self.lease.mul_f64(0.6);
        let _ = leases.send(Ack { receipt, lease, until, tag });
    }

    pub(crate) fn most_in_hand(&self) -> usize {
        (2 * self.concurrency).max(2 * self.limits.batch).max((self.pace.is() / 4).min(MOST_IN_HAND))
    }

    /// More pollers while they come back full, fewer when they come back empty.
    pub(crate) fn adapt(&mut self, asked: usize, got: usize, started: Moment, now: Moment) {
        if got > 0 {
            self.stir(now);
        } else if started >= self.stirred {
            self.empty = self.empty.saturating_add(1);
        }
        self.target = match got {
            0 => 1,
            got if got == asked => (self.target * 2).min(MAX_POLLS),
            got if got * 2 < asked => (self.target - 1).max(1),
            _ => self.target,
        };
    }

    /// Something has arrived, or was sent and may arrive: only calls made from now on can show that there is nothing
    /// more.
    pub(crate) fn stir(&mut self, now: Moment) {
        (self.empty, self.stirred) = (0, now);
    }

    /// Nothing has come for a while, and nothing is on its way.
    pub(crate) fn is_idle(&self, busy: usize) -> bool {
        busy == 0 && self.arrived.is_empty() && self.storing == 0 && self.empty >= EMPTY_ENOUGH
    }

    pub(crate) fn failed(&mut self, error: ChannelError, now: Moment, dice: u64) {
        self.signals.failures.inc();
        self.target = 1;
        // Calls in flight together fail together and count as one failure.
        let tries = self.failure.as_ref().map_or(0, |failure| failure.tries).saturating_add(1);
        let again = self.failure.as_ref().is_some_and(|failure| failure.retry_at > now);
        if again && self.running > 0 {
            return;
        }
        let same = self.failure.as_ref().filter(|failure| failure.error.trouble == error.trouble);
        let told = same.map(|failure| failure.told).filter(|told| now.since(*told) < TELL_EVERY);
        if told.is_none() {
            let (channel, code) = (&self.name, error.trouble.code());
            tracing::warn!(channel, code, "cannot receive from the channel; retrying automatically: {error}");
        }
        let retry_at = now + RETRY.after(tries, dice);
        self.failure = Some(Failure { error, tries, retry_at, told: told.unwrap_or(now) });
    }

    /// Whether to log another line about single messages; the counts include them all.
    pub(crate) fn may_tell(&mut self, now: Moment) -> bool {
        let may = self.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
        self.told = if may { Some(now) } else { self.told };
        may
    }

    pub(crate) fn recovered(&mut self) {
        if let Some(failure) = self.failure.take() {
            tracing::info!(channel = self.name, tries = failure.tries, "receiving from the channel works again");
        }
    }
}
