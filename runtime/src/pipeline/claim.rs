//! Step: begin attempts. The note that one has begun survives the process, so that an event that kills the host is
//! counted; the permit is a slot, and a run that vanishes gives it back like any other.
//!
//! Waking a thread costs about as much as a short run. So what starts in one turn of the host is noted with one write
//! and handed over in *turns*: short runs several at a time to one thread, which reports them together.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::Instrument;
use tracing::instrument::Instrumented;

use crate::event::{DeliveryId, Fault, Outcome};
use crate::store::{Mark, Store, StoreError};

use super::invoke::{Call, Run, Usage};
use super::reactor::Reactor;
use super::{Active, Input};

/// What the runs of one turn should take together, at most; a longer run has a turn of its own.
const TURN: Duration = Duration::from_micros(500);

/// The permits of the host: one attempt each.
pub(super) struct Slots {
    free: Vec<usize>,
    running: Vec<Option<(DeliveryId, AbortHandle)>>,
    /// What has been started or has ended and is not noted yet.
    marks: Vec<Mark>,
    starting: Vec<Starting>,
    guests: Handle,
    inputs: mpsc::UnboundedSender<Input>,
}

struct Starting {
    delivery: DeliveryId,
    slot: usize,
    run: Instrumented<Abortable<BoxFuture<'static, Run>>>,
    expected: Duration,
}

/// A run that is over.
pub(super) struct Ran {
    pub(super) delivery: DeliveryId,
    pub(super) slot: usize,
    /// Nothing if it was given up, or its task ended by a panic.
    pub(super) run: Option<Run>,
}

impl Slots {
    pub(super) fn new(count: usize, guests: Handle, inputs: mpsc::UnboundedSender<Input>) -> Self {
        Self {
            free: (0..count).rev().collect(),
            running: (0..count).map(|_| None).collect(),
            marks: Vec::new(),
            starting: Vec::new(),
            guests,
            inputs,
        }
    }

    pub(super) fn guest_threads(&self) -> Handle {
        self.guests.clone()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len() - self.free.len()
    }

    /// Gets an attempt ready to be launched. The scheduler has as many permits as there are slots, so one is free.
    pub(super) fn start(&mut self, id: DeliveryId, active: &Active, reactor: &Reactor) -> Result<(), StoreError> {
        let Some(slot) = self.free.pop() else {
            return Err(StoreError::Other("more attempts than permits were started".into()));
        };
        let attempt = active.attempt();
        let span = tracing::info_span!(
            "delivery",
            reactor = reactor.config.name,
            event = active.event.id,
            r#type = active.event.event_type,
            correlation = active.event.correlation_id,
            attempt,
        );
        reactor.signals.started();
        let run = reactor.guest.run(Call {
            event: active.event.clone(),
            identity: active.identity,
            attempt,
            max_attempts: reactor.config.retry.max_attempts,
            state: reactor.state.clone(),
        });
        let (abort, registration) = AbortHandle::new_pair();
        let run = Abortable::new(run, registration).instrument(span);
        self.running[slot] = Some((id, abort));
        self.marks.push((slot, Some((id, attempt))));
        self.starting.push(Starting { delivery: id, slot, run, expected: reactor.pace.expected() });
        Ok(())
    }

    /// Takes a slot back.
    pub(super) fn ended(&mut self, slot: usize) {
        self.running[slot] = None;
        self.free.push(slot);
        self.marks.push((slot, None));
    }

    /// Notes what has started and ended, and hands the attempts to the guests' threads.
    pub(super) fn launch(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if self.marks.is_empty() {
            return Ok(());
        }
        store.mark(&self.marks)?;
        self.marks.clear();
        let threads = self.guests.metrics().num_workers().max(1);
        let most = self.starting.len().div_ceil(threads);
        let (mut turn, mut expected) = (Vec::new(), Duration::ZERO);
        for starting in self.starting.drain(..) {
            if turn.len() == most || (expected + starting.expected > TURN && !turn.is_empty()) {
                self.guests.spawn(run_all(std::mem::take(&mut turn), self.inputs.clone()));
                expected = Duration::ZERO;
            }
            expected += starting.expected;
            turn.push(starting);
        }
        if !turn.is_empty() {
            self.guests.spawn(run_all(turn, self.inputs.clone()));
        }
        Ok(())
    }

    /// Gives up the run of a delivery, if there is one; it reports back without a result.
    pub(super) fn cancel(&self, delivery: DeliveryId) {
        let runs = self.running.iter().flatten().filter(|(running, _)| *running == delivery);
        runs.for_each(|(_, run)| run.abort());
    }

    /// Gives up all runs that are under way; each reports back without a result.
    pub(super) fn cancel_all(&self) {
        self.running.iter().flatten().for_each(|(_, run)| run.abort());
    }
}

/// Runs the attempts of a turn, one after the other as long as none has to wait, and reports together what has ended.
fn run_all(turn: Vec<Starting>, inputs: mpsc::UnboundedSender<Input>) -> impl Future<Output = ()> + Send + 'static {
    let mut runs: FuturesUnordered<_> = turn.into_iter().map(|starting| starting.run(inputs.clone())).collect();
    async move {
        while let Some(first) = runs.next().await {
            let mut ended = Vec::from_iter(first);
            while let Some(Some(next)) = runs.next().now_or_never() {
                ended.extend(next);
            }
            // Fails only when the host's task is gone, and then nobody is left to tell.
            let _ = inputs.send(Input::RunsEnded(ended));
        }
    }
}

impl Starting {
    /// Ends with what is to be reported; dropped before that, it reports by itself.
    fn run(self, inputs: mpsc::UnboundedSender<Input>) -> impl Future<Output = Option<Ran>> + Send + 'static {
        let Self { delivery, slot, run, .. } = self;
        let unreported = Unreported { ran: Some(Ran { delivery, slot, run: None }), inputs };
        async move {
            let run = AssertUnwindSafe(run).catch_unwind().await;
            unreported.take(run.ok().and_then(Result::ok))
        }
    }
}

/// Reports a run whose task is gone.
struct Unreported {
    ran: Option<Ran>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Unreported {
    /// The report, which is its holder's business from here on.
    fn take(mut self, run: Option<Run>) -> Option<Ran> {
        self.ran.take().map(|ran| Ran { run, ..ran })
    }
}

impl Drop for Unreported {
    fn drop(&mut self) {
        if let Some(ran) = self.ran.take() {
            let _ = self.inputs.send(Input::RunsEnded(vec![ran]));
        }
    }
}

/// How long a reactor's runs take, a moving average.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Duration>);

impl Pace {
    /// Learns from a run; one without a result was given up, probably because it took too long.
    pub(super) fn ran(&mut self, wall: Option<Duration>) {
        let wall = wall.unwrap_or(TURN);
        self.0 = Some(self.0.map_or(wall, |before| (before * 7 + wall) / 8));
    }

    /// What the next run will probably take. The first one has a turn of its own.
    fn expected(&self) -> Duration {
        self.0.unwrap_or(TURN)
    }
}

/// The run of a task that ended without a result.
pub(super) fn vanished() -> Run {
    Run {
        outcome: Outcome::Fault { fault: Fault::Host, detail: "the attempt's task panicked".into() },
        reads: Vec::new(),
        writes: Vec::new(),
        emits: Vec::new(),
        usage: Usage::default(),
    }
}
