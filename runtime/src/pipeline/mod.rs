//! The way of an event, one file a step, in the order of the walk.
//!
//! ```text
//! intake (decode, route) -> admit -> claim -> invoke -> judge -> commit -> settle
//!                                               ^          |
//!                                               +- retry --+--> dead letter
//! ```
//!
//! [`host`] owns the walk: one task that reads local logs, feeds the [`schedule`], starts runs and hands commits to the
//! store. The steps that decide ([`decode`], [`route`], [`judge`], [`schedule`]) are pure.

pub mod host;

mod admit;
mod intake;

pub mod decode;
pub mod route;
pub mod view;

mod claim;
pub mod invoke;
pub mod judge;

mod commit;
mod settle;

mod load;
mod reactor;
mod requests;
pub mod schedule;
mod state;

use std::sync::Arc;

use crate::event::{AttemptRecord, ChannelId, DeliveryId, Event, HostTime, Identity, LaneKey, Origin, Version};
use crate::store::{Admitted, Commit, Committed, Ending, StoreError};

pub use commit::DEAD_LETTER_TYPE;

/// A delivery in memory: queued, running or committing.
struct Active {
    /// Its place in the list of reactors.
    reactor: usize,
    event: Arc<Event>,
    identity: Identity,
    key: Identity,
    lane: Option<LaneKey>,
    origin: Origin,
    since: HostTime,
    /// Ended attempts.
    history: Vec<AttemptRecord>,
    /// The dead letter that is being run again, if it is one.
    redrive_of: Option<u64>,
    /// Bytes it is charged with.
    weight: usize,
    /// The uncommitted commit that the current run builds on.
    after: Option<Version>,
    /// What its commit will mean, once there is one on its way.
    committing: Option<Committing>,
    /// How often its commit was refused because another came between.
    conflicts: u32,
}

impl Active {
    /// The number of the attempt that is under way or comes next, from 1.
    fn attempt(&self) -> u32 {
        u32::try_from(self.history.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// What has to be settled when a commit has been answered.
struct Committing {
    number: Version,
    written: Vec<String>,
    due: Option<HostTime>,
    /// Channels that got a message.
    fed: Vec<ChannelId>,
    news: commit::News,
}

impl Committing {
    fn of(commit: &Commit, news: commit::News) -> Self {
        let due = match commit.ending {
            Ending::Wait { due, .. } => Some(due),
            Ending::Done | Ending::Dead { .. } => None,
        };
        let forwarded = match &commit.ending {
            Ending::Dead { forward, .. } => forward.as_slice(),
            Ending::Done | Ending::Wait { .. } => &[],
        };
        Self {
            number: commit.number,
            written: commit.writes.iter().map(|(key, _)| key.clone()).collect(),
            due,
            fed: commit.emits.iter().chain(forwarded).map(|(channel, _)| *channel).collect(),
            news,
        }
    }
}

/// What reaches the host's task.
enum Input {
    /// A run ended, or was given up.
    RunEnded { delivery: DeliveryId, slot: usize, run: Option<invoke::Run> },
    /// The store answered commits.
    Committed(Vec<(DeliveryId, Committed)>),
    /// The store answered an admission.
    Admitted { channel: usize, batch: admit::InFlight, answers: Vec<Admitted> },
    /// The store has noted that a delivery is held.
    HeldWritten { reactor: usize, lane: LaneKey },
    /// The store failed in a way that ends the host.
    Fatal(StoreError),
}
