//! Step: begins attempts. The note that one has begun survives the process, so that an event that kills the host is
//! counted. The permit is a slot, and a run that vanishes returns it like any other.
//!
//! Waking a thread costs about as much as a short run. So short runs are handed over in *turns*, several to one thread,
//! which reports them together, and more of them than may run at once, so that no thread waits for the host. A gate per
//! reactor limits concurrent runs to its `concurrency`; a run that has not passed it has not begun.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::{AbortHandle, AbortRegistration, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use reactor_core::clock::Clock;
use reactor_core::event::DeliveryId;
use reactor_core::guest::Run;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{Mark, StoreError, StoreOwner};

use super::speculation::{Speculation, SpeculativeRun};
use crate::Input;
use crate::delivery::Delivery;
use crate::reactor::Reactor;
use crate::reactor::pace::TURN;
use crate::run::span::span;

/// The permits of the host: one attempt each.
pub(crate) struct Slots {
    free: Vec<usize>,
    running: Vec<Option<(DeliveryId, AbortHandle)>>,
    /// Ended attempts that are still noted as begun.
    marks: Vec<Mark>,
    starting: Vec<Starting>,
    guests: Handle,
    around: Arc<Around>,
}

/// What a run needs besides its guest; shared by all, since each runs on another thread.
struct Around {
    store: Arc<dyn StoreOwner>,
    clock: Arc<dyn Clock>,
    /// Once set, runs that have not passed their gate do not begin.
    closed: AtomicBool,
    inputs: mpsc::UnboundedSender<Input>,
}

struct Starting {
    delivery: DeliveryId,
    slot: usize,
    attempt: u32,
    gate: Arc<Semaphore>,
    run: Instrumented<BoxFuture<'static, Run>>,
    speculation: Option<Speculation>,
    abort: AbortRegistration,
    expected: Duration,
    /// Most concurrent runs of its reactor.
    at_once: usize,
}

/// A run that is over.
pub(crate) struct Ran {
    pub(crate) delivery: DeliveryId,
    pub(crate) slot: usize,
    /// `None` if it was cancelled or its task panicked.
    pub(crate) run: Option<Run>,
    /// The time since it passed the gate; `None` if it did not.
    pub(crate) took: Option<Duration>,
    /// The speculative runs of those behind it.
    pub(crate) speculative: Vec<(DeliveryId, SpeculativeRun)>,
}

impl Slots {
    pub(crate) fn new(
        count: usize,
        guests: Handle,
        store: Arc<dyn StoreOwner>,
        clock: Arc<dyn Clock>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Self {
        Self {
            free: (0..count).rev().collect(),
            running: (0..count).map(|_| None).collect(),
            marks: Vec::new(),
            starting: Vec::new(),
            guests,
            around: Arc::new(Around { store, clock, closed: AtomicBool::new(false), inputs }),
        }
    }

    pub(crate) fn guest_threads(&self) -> Handle {
        self.guests.clone()
    }

    /// How many threads run guests.
    pub(crate) fn threads(&self) -> usize {
        self.guests.metrics().num_workers().max(1)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len() - self.free.len()
    }

    /// Gets an attempt ready to be launched. The scheduler has as many permits as there are slots, so one is free.
    pub(crate) fn start(
        &mut self,
        delivery: &Delivery,
        reactor: &Reactor,
        speculation: Option<Speculation>,
    ) -> Result<(), StoreError> {
        let Some(slot) = self.free.pop() else {
            return Err(StoreError::Other("more attempts than permits were started".into()));
        };
        let (id, attempt) = (delivery.id(), delivery.attempt());
        let span = span(&reactor.config.name, &delivery.event, attempt);
        reactor.signals.started();
        let run = reactor.guest.run(delivery.call(reactor.config.retry.max_attempts, reactor.world.clone()));
        let (handle, abort) = AbortHandle::new_pair();
        self.running[slot] = Some((id, handle));
        self.starting.push(Starting {
            delivery: id,
            slot,
            attempt,
            gate: Arc::clone(&reactor.gate),
            run: run.instrument(span),
            speculation,
            abort,
            expected: reactor.pace.expected(),
            at_once: reactor.config.concurrency,
        });
        Ok(())
    }

    /// Takes a slot back.
    pub(crate) fn ended(&mut self, slot: usize) {
        self.running[slot] = None;
        self.free.push(slot);
        self.marks.push((slot, None));
    }

    /// Takes back the notes of what has ended, and hands what was started to the guests' threads.
    pub(crate) fn launch(&mut self) -> Result<(), StoreError> {
        if !self.marks.is_empty() {
            self.around.store.mark(&self.marks)?;
            self.marks.clear();
        }
        let threads = self.threads();
        // On more threads than its concurrency, a reactor's runs would only wait for each other.
        let starting = std::mem::take(&mut self.starting);
        let (narrow, wide): (Vec<_>, Vec<_>) = starting.into_iter().partition(|one| one.at_once < threads);
        let mut by_gate: BTreeMap<_, (usize, Vec<_>)> = BTreeMap::new();
        for one in narrow {
            by_gate.entry(Arc::as_ptr(&one.gate)).or_insert((one.at_once, Vec::new())).1.push(one);
        }
        by_gate.into_values().for_each(|(at_once, runs)| self.hand_over(runs, at_once));
        self.hand_over(wide, threads);
        Ok(())
    }

    /// Divides runs into at least this many turns, if there are that many runs.
    fn hand_over(&self, starting: Vec<Starting>, turns: usize) {
        let most = starting.len().div_ceil(turns.max(1));
        let (mut turn, mut expected) = (Vec::with_capacity(most), Duration::ZERO);
        let spawn = |turn| drop(self.guests.spawn(run_all(turn, Arc::clone(&self.around))));
        for one in starting {
            if turn.len() == most || (expected + one.expected > TURN && !turn.is_empty()) {
                spawn(std::mem::take(&mut turn));
                expected = Duration::ZERO;
            }
            expected += one.expected;
            turn.push(one);
        }
        if !turn.is_empty() {
            spawn(turn);
        }
    }

    /// Cancels the run of a delivery, if there is one; it reports back without a result.
    pub(crate) fn cancel(&self, delivery: DeliveryId) {
        let runs = self.running.iter().flatten().filter(|(running, _)| *running == delivery);
        runs.for_each(|(_, run)| run.abort());
    }

    /// Begins no more runs; those that were started but have not begun report back without a result.
    pub(crate) fn close(&self) {
        self.around.closed.store(true, Relaxed);
    }

    /// Cancels all running attempts; each reports back without a result.
    pub(crate) fn cancel_all(&self) {
        self.running.iter().flatten().for_each(|(_, run)| run.abort());
    }
}

/// Runs the attempts of a turn one after the other while none has to wait, and reports the ended ones together.
fn run_all(turn: Vec<Starting>, around: Arc<Around>) -> impl Future<Output = ()> + Send {
    let run = |starting: Starting| starting.run(Arc::clone(&around));
    let mut runs: FuturesUnordered<_> = turn.into_iter().map(run).collect();
    async move {
        while let Some(first) = runs.next().await {
            let mut ended = Vec::from_iter(first);
            while let Some(Some(next)) = runs.next().now_or_never() {
                ended.extend(next);
            }
            // Fails only if the host's task is gone.
            let _ = around.inputs.send(Input::RunsEnded(ended));
        }
    }
}

impl Starting {
    /// Returns the report; if dropped before that, it reports by itself.
    fn run(self, around: Arc<Around>) -> impl Future<Output = Option<Ran>> + Send + 'static {
        let Self { delivery, slot, attempt, gate, run, speculation, abort, .. } = self;
        let ran = Ran { delivery, slot, run: None, took: None, speculative: Vec::new() };
        let unreported = Unreported { ran: Some(ran), around: Arc::clone(&around) };
        let begin = async move {
            // The gate is never closed.
            let _pass = gate.acquire_owned().await;
            let Around { store, clock, closed, inputs } = &*around;
            if closed.load(Relaxed) {
                return None;
            }
            let start = clock.now();
            let ran = async {
                if !is_planted(Bug::CountAtEnd) {
                    store.mark(&[(slot, Some((delivery, attempt)))])?;
                }
                let run = run.await;
                let took = clock.now().since(start);
                let speculative =
                    speculation.map(|speculation| speculation.run(&run, &**store, &**clock, slot)).transpose()?;
                Ok((run, took, speculative.unwrap_or_default()))
            };
            ran.await.map_err(|error| drop(inputs.send(Input::Fatal(error)))).ok()
        };
        async move {
            let run = AssertUnwindSafe(Abortable::new(begin, abort)).catch_unwind().await;
            unreported.take(run.ok().and_then(Result::ok).flatten())
        }
    }
}

/// A run, what it took, and the speculative runs behind it.
type Results = (Run, Duration, Vec<(DeliveryId, SpeculativeRun)>);

/// Reports a run whose task is gone.
struct Unreported {
    ran: Option<Ran>,
    around: Arc<Around>,
}

impl Unreported {
    /// The report, which the caller must now deliver.
    fn take(mut self, ran: Option<Results>) -> Option<Ran> {
        let report = self.ran.take()?;
        let Some((run, took, speculative)) = ran else { return Some(report) };
        Some(Ran { run: Some(run), took: Some(took), speculative, ..report })
    }
}

impl Drop for Unreported {
    fn drop(&mut self) {
        if let Some(ran) = self.ran.take() {
            let _ = self.around.inputs.send(Input::RunsEnded(vec![ran]));
        }
    }
}
