//! A delivery in memory, and the registry that alone moves deliveries from stage to stage.

mod registry;
pub(crate) mod report;

use std::sync::Arc;

use reactor_core::event::{AttemptRecord, DeliveryId, Event, HostTime, Identity, LaneKey, Origin, Version};
use reactor_core::guest::Call;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::Target;
use reactor_core::world::World;
use reactor_signal::trace::Span;

use super::intake::Candidate;
use super::schedule::{Again, Ticket};
use crate::delivery::report::AttemptReport;

pub(super) use registry::Deliveries;

/// After this many void runs a delivery runs alone, so that runs on hot keys make progress.
const RUNS_IN_VAIN: u32 = 3;

/// One event on its way to one reactor, in memory.
pub(super) struct Delivery {
    /// What the scheduler knows it by: its number, reactor, lane and weight.
    pub(super) ticket: Ticket,
    pub(super) event: Arc<Event>,
    pub(super) identity: Identity,
    pub(super) key: Identity,
    pub(super) origin: Origin,
    pub(super) since: HostTime,
    /// Ended attempts.
    pub(super) history: Vec<AttemptRecord>,
    /// The dead letter that is being redriven, if any.
    pub(super) redrive_of: Option<u64>,
    /// It was received under a lease and may run only under one.
    pub(super) leased: bool,
    /// It was in the store only before, and may still be found there as one that is to be loaded.
    restored: bool,
    /// How many of its runs were void because another run interfered.
    conflicts: u32,
    pub(super) stage: Stage,
}

/// The stage of a delivery in memory. Waiting, held, spilled and away ones are only in the store.
pub(super) enum Stage {
    /// It runs as soon as it can.
    Queued,
    /// An attempt is under way.
    Running(Running),
    /// What the attempt did is on its way to the store.
    Committing(Committing),
}

/// An attempt that is under way.
pub(super) struct Running {
    /// The uncommitted commit of the same lane that it builds on.
    pub(super) after: Option<Version>,
    /// The number of its commit, if it was given to the speculative runs behind it.
    pub(super) number: Option<Version>,
    /// The digest of the running module, regardless of later deployments.
    pub(super) module: Arc<str>,
    pub(super) span: Option<Box<dyn Span>>,
    /// It was cancelled because its lease was lost.
    pub(super) is_given_up: bool,
}

/// What to do once a commit has been answered.
pub(super) struct Committing {
    pub(super) number: Version,
    pub(super) written: Vec<String>,
    /// When the delivery runs again, if it does.
    pub(super) due: Option<HostTime>,
    /// Where messages went, and how many bytes of bodies.
    pub(super) fed: Vec<(Target, usize)>,
    pub(super) report: AttemptReport,
}

impl Delivery {
    /// One that has just been admitted.
    pub(super) fn new(reactor: usize, id: DeliveryId, candidate: Candidate, since: HostTime, leased: bool) -> Self {
        let Candidate { event, origin, identity, key, lane, .. } = candidate;
        Self {
            ticket: Ticket { delivery: id, reactor, lane, bytes: event.weight() },
            event,
            identity,
            key,
            origin,
            since,
            history: Vec::new(),
            redrive_of: None,
            leased,
            restored: false,
            conflicts: 0,
            stage: Stage::Queued,
        }
    }

    /// One whose event has been read again; it has been delivered before.
    pub(super) fn restored(
        reactor: usize,
        stored: reactor_core::store::StoredDelivery,
        event: Event,
        identity: Identity,
    ) -> Self {
        let bytes = event.weight() + stored.history.iter().map(AttemptRecord::weight).sum::<usize>();
        Self {
            ticket: Ticket {
                delivery: stored.id,
                reactor,
                lane: stored.lane.filter(|_| !is_planted(Bug::LaneIsLost)),
                bytes,
            },
            event: Arc::new(event),
            identity,
            key: stored.key,
            origin: stored.origin,
            since: stored.since,
            history: stored.history,
            redrive_of: stored.redrive_of,
            leased: stored.leased,
            restored: true,
            conflicts: 0,
            stage: Stage::Queued,
        }
    }

    pub(super) fn id(&self) -> DeliveryId {
        self.ticket.delivery
    }

    /// The place of its reactor in the list of reactors.
    pub(super) fn reactor(&self) -> usize {
        self.ticket.reactor
    }

    pub(super) fn lane(&self) -> Option<LaneKey> {
        self.ticket.lane
    }

    /// The number of the attempt that is under way or comes next, from 1.
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.history.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The attempt that is under way.
    pub(super) fn running(&self) -> Option<&Running> {
        if let Stage::Running(running) = &self.stage { Some(running) } else { None }
    }

    /// See [`Delivery::running`].
    pub(super) fn running_mut(&mut self) -> Option<&mut Running> {
        if let Stage::Running(running) = &mut self.stage { Some(running) } else { None }
    }

    /// Counts a void run; returns how the next one must run.
    pub(super) fn ran_in_vain(&mut self) -> Again {
        self.conflicts += 1;
        if self.conflicts >= RUNS_IN_VAIN { Again::Alone } else { Again::Among }
    }

    /// Ends the span of the attempt that is under way.
    pub(super) fn end_span(&mut self, code: &'static str, error: &str) {
        if let Some(span) = self.running_mut().and_then(|running| running.span.take()) {
            span.end(code, error);
        }
    }

    /// What its guest is called with at the next attempt.
    pub(super) fn call(&self, max_attempts: u32, world: Arc<dyn World>) -> Call {
        Call { event: Arc::clone(&self.event), identity: self.identity, attempt: self.attempt(), max_attempts, world }
    }
}
