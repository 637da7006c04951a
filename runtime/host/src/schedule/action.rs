//! The messages between the scheduler and its caller.

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
    /// When its starts are paused because its runs fail.
    pub breaker: Option<BreakerPolicy>,
}

impl ReactorSpec {
    /// What the configuration says.
    pub fn of(reactor: &ReactorConfig) -> Self {
        Self { concurrency: reactor.concurrency, rate: reactor.rate, breaker: reactor.breaker }
    }
}

/// An instruction for the caller. Reactors are given by their index in the list passed to [`super::Scheduler::new`].
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
    /// Make this delivery held in the store and forget it, then call [`super::Scheduler::held_written`].
    Hold {
        /// Whose.
        reactor: usize,
        /// Which lane's.
        lane: LaneKey,
        /// The delivery.
        delivery: DeliveryId,
    },
    /// These deliveries are now held: drop them from memory.
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
    /// Dead with `on-exhausted = "park-key"`: the others wait until a person redrives or drops it.
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

/// What identifies a delivery in memory to the scheduler; passed in when it is offered, and returned with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its reactor: an index in the list of reactors.
    pub reactor: usize,
    /// Its lane.
    pub lane: Option<LaneKey>,
    /// Bytes of memory charged for it.
    pub bytes: usize,
}

/// How a delivery that was started or offered is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Its run has ended, and its commit, with this number, is in flight.
    Ran(Version, Ending),
    /// Its run was cancelled without a result: it must run again.
    GivenUp,
    /// Its run was a failed probe of the breaker: it must run again, after the others.
    ProbeFailed,
    /// Its run is void because what it read has changed: it must run again.
    Outdated(Again),
    /// Its commit was refused: it must run again.
    Refused(Again),
    /// Its commit is durable and it has left memory; if a time is given, it waits in the store until then.
    Committed(Option<HostTime>),
    /// It has left memory in the middle of a run: another host may be working on it.
    Withdrawn,
    /// It has left memory without a commit, as an [`Action`] asked.
    Forgotten,
}

/// How a delivery runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// With the others.
    Among,
    /// While no other run of its reactor is under way.
    Alone,
}
