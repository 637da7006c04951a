//! What the scheduler and its caller tell each other.

use reactor_config::model::{BreakerPolicy, ReactorConfig};
use reactor_core::event::{DeliveryId, HostTime, LaneKey, Version};
use reactor_core::store::LaneState;
use reactor_core::subscription::Rate;

/// What the scheduler needs to know of a reactor.
#[derive(Clone, Debug)]
pub struct ReactorSpec {
    /// Attempts at once.
    pub concurrency: usize,
    /// Cap on starts.
    pub rate: Option<Rate>,
    /// When its starts are stopped because its runs fail.
    pub breaker: Option<BreakerPolicy>,
}

impl ReactorSpec {
    /// What the configuration says.
    pub fn of(reactor: &ReactorConfig) -> Self {
        Self { concurrency: reactor.concurrency, rate: reactor.rate, breaker: reactor.breaker }
    }
}

/// Something for the caller to do. Reactors are named by their place in the list given to [`super::Scheduler::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run this delivery; its commit depends on `after`.
    Start {
        /// Which.
        delivery: DeliveryId,
        /// The uncommitted commit of the same lane that the run builds on.
        after: Option<Version>,
    },
    /// Read deliveries from the store, offer them, then say [`super::Scheduler::loaded`]. Other things may happen meanwhile.
    Load(Load),
    /// Make these deliveries held ones in the store and forget them, then say [`super::Scheduler::held_written`].
    Hold {
        /// Whose.
        reactor: usize,
        /// Which lane's.
        lane: LaneKey,
        /// Which.
        delivery: DeliveryId,
    },
    /// These deliveries have become held ones: drop them from memory.
    Forget(Vec<DeliveryId>),
}

/// What to read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Spilled deliveries, above an id.
    Spilled {
        /// Whose.
        reactor: usize,
        /// Not these again.
        after: DeliveryId,
    },
    /// Waiting deliveries that are due.
    Due {
        /// Whose.
        reactor: usize,
        /// Not these again.
        after: (HostTime, DeliveryId),
    },
    /// Held deliveries of a lane.
    Lane {
        /// Whose.
        reactor: usize,
        /// Which lane's.
        lane: LaneKey,
        /// Not these again.
        after: DeliveryId,
    },
}

impl Load {
    /// Whose.
    pub fn reactor(&self) -> usize {
        match self {
            Self::Spilled { reactor, .. } | Self::Due { reactor, .. } | Self::Lane { reactor, .. } => *reactor,
        }
    }
}

/// What a [`Load`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The last one read, and whether there may be more.
    Spilled(Option<DeliveryId>, bool),
    /// The last one read, and when the next is due.
    Due(Option<(HostTime, DeliveryId)>, Option<HostTime>),
    /// The last one read, and whether there may be more.
    Lane(LaneKey, Option<DeliveryId>, bool),
}

/// How a delivery comes into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Just admitted, or spilled earlier.
    Fresh,
    /// Its back-off is over.
    Due,
    /// A dead letter that is to run again.
    Redriven,
    /// It was held behind its lane's head.
    Held,
}

/// What an ended run means for its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Done, or dead with `on-exhausted = "continue"`: the next one may run.
    Release,
    /// In back-off: the others wait behind it.
    Wait,
    /// Dead with `on-exhausted = "park-key"`: the others wait until somebody redrives or drops it.
    Park,
}

impl Ending {
    /// What the lane waits for from now on, if anything.
    pub fn blocks(self) -> Option<LaneState> {
        match self {
            Self::Release => None,
            Self::Wait => Some(LaneState::Waiting),
            Self::Park => Some(LaneState::Parked),
        }
    }
}

/// What the scheduler knows a delivery in memory by; it was offered with it, and is given back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which.
    pub delivery: DeliveryId,
    /// Whose: a place in the list of reactors.
    pub reactor: usize,
    /// Its lane.
    pub lane: Option<LaneKey>,
    /// Bytes of memory that it is charged with.
    pub bytes: usize,
}

/// How a delivery that was started or offered is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Its run has ended, and its commit, with this number, is on its way.
    Ran(Version, Ending),
    /// Its run was given up without a result: it is to run again.
    GivenUp,
    /// Its run was a breaker's probe and failed: it is to run again, after the others.
    ProbeFailed,
    /// Its run is void because what it read has changed: it is to run again.
    Outdated(Again),
    /// Its commit was refused: it is to run again.
    Refused(Again),
    /// Its commit is durable, and it has left memory; it waits in the store until then, if at all.
    Committed(Option<HostTime>),
    /// It has left memory in the middle of a run: another host may be working on it.
    Withdrawn,
    /// It has left memory without a commit, as an [`Action`] asked.
    Forgotten,
}

/// In what company a delivery runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// With the others.
    Among,
    /// While no other run of its reactor is under way.
    Alone,
}
