//! The way of an event, one file a step, in the order of the walk.
//!
//! ```text
//! receive -> intake (decode, route) -> admit -> claim -> invoke -> judge -> commit -> settle
//!                                                          ^          |        +--> outbox
//!                                                          +- retry --+--> dead letter
//! ```
//!
//! [`host`] owns the walk: one task that reads local logs, feeds the [`schedule`], starts runs and hands commits to the
//! store. The steps that decide ([`decode`], [`route`], [`judge`], [`schedule`]) are pure.

pub mod host;
mod start;

mod inlet;
mod keep;
mod lease;
mod receive;

mod admit;
mod enter;
mod intake;

pub mod decode;
pub mod reading;
pub mod route;
pub mod view;

mod act;
mod claim;
mod pace;

pub mod invoke;

mod ended;
mod guess;
mod guessing;
pub mod judge;

mod commit;
mod emit;
pub mod forward;
mod settle;

pub mod outbox;

pub mod deploy;
pub mod deployment;
mod load;
mod reactor;
mod requests;
mod room;
pub mod schedule;
pub mod signal;
mod state;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::{self, Depth, Receipt, Received};
use crate::event::{AttemptRecord, DeliveryId, Event, HostTime, Identity, LaneKey, Message, Origin, Version};
use crate::store::{Commit, Committed, Ending, Entered, Request, StoreError, Target};

use enter::Entering;
use invoke::Guest;
use lease::LeaseId;
use signal::trace::Span;

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
    /// It was received under a lease, and runs only under one.
    leased: bool,
    /// Its run was given up because it had lost its lease.
    cancelled: bool,
    /// The number of its commit, if somebody knows it already.
    number: Option<Version>,
    /// What the present run runs, whatever has been deployed since; and its span.
    ran_by: Option<Arc<dyn Guest>>,
    span: Option<Box<dyn Span>>,
}

/// After so many runs in vain a delivery runs alone, so that runs on hot keys all get done.
const PATIENCE: u32 = 3;

impl Active {
    /// Counts a run in vain; whether the next one should have the reactor for itself.
    fn must_run_alone(&mut self) -> bool {
        self.conflicts += 1;
        self.conflicts >= PATIENCE
    }

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
    /// Where messages went, and how many bytes of bodies.
    fed: Vec<(Target, usize)>,
    news: commit::News,
}

impl Committing {
    fn of(commit: &Commit, news: commit::News) -> Self {
        let due = match commit.ending {
            Ending::Wait { due, .. } => Some(due),
            Ending::Done | Ending::Dead { .. } => None,
        };
        Self {
            number: commit.number,
            written: commit.writes.iter().map(|(key, _)| key.clone()).collect(),
            due,
            fed: fed_by(commit),
            news,
        }
    }
}

/// How bytes of memory are divided among reactors: half of them evenly, as each one's own, and the other half for whoever
/// needs it, so that idle reactors take nothing from a busy one, and a busy one cannot take what is theirs.
fn divide(memory: usize, reactors: usize) -> (usize, usize) {
    (memory / 2 / reactors.max(1), memory / 2)
}

/// Where messages go, and how many bytes of bodies.
fn sizes(messages: &[(Target, Message)]) -> Vec<(Target, usize)> {
    messages.iter().map(|(to, message)| (*to, message.body.len())).collect()
}

/// Where the messages of a commit go, and how many bytes of bodies.
fn fed_by(commit: &Commit) -> Vec<(Target, usize)> {
    let forwarded = match &commit.ending {
        Ending::Dead { forward, .. } => forward.as_slice(),
        Ending::Done | Ending::Wait { .. } => &[],
    };
    commit.emits.iter().chain(forwarded).map(|(to, message)| (*to, message.body.len())).collect()
}

/// What reaches the host's task.
enum Input {
    /// Runs ended, or were given up.
    RunsEnded(Vec<claim::Ran>),
    /// The store answered commits.
    Committed(Vec<(DeliveryId, Committed)>),
    /// A channel outside answered, or did not.
    Received { inlet: usize, asked: usize, started: Instant, at: Instant, answer: channel::Result<Vec<Received>> },
    /// The store has entered what was taken in from a channel.
    Entered(Entering, Entered),
    /// The store has copies of received messages.
    Stored { inlet: usize, receipts: Vec<Receipt> },
    /// A lease was renewed by a call made at that time, or not.
    Renewed { lease: LeaseId, sent: Duration, answer: channel::Result<()> },
    /// A message was deleted, or not.
    Deleted { inlet: usize, answer: channel::Result<()> },
    /// How many messages a queue holds.
    Depth { inlet: usize, answer: channel::Result<Depth> },
    /// A dead letter, that somebody asked to be redriven, was sent to its queue again, or not.
    Resent { request: u64, dead: u64, answer: channel::Result<()> },
    /// A request that could not be carried out is to be tried again.
    AskedAgain(u64, Request),
    /// The store has noted that a delivery is away.
    AwayWritten(DeliveryId),
    /// Messages have left the outbox: their number and bytes.
    LeftOutbox(u64, u64),
    /// The store has noted that a delivery is held.
    HeldWritten { reactor: usize, lane: LaneKey },
    /// The store failed in a way that ends the host.
    Fatal(StoreError),
}
