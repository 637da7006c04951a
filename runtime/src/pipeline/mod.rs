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

mod ahead;
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
mod resolve;

mod conclude;
pub mod judge;
mod report;

mod commit;
mod delivery;
mod emit;
pub mod forward;
mod settle;

pub mod outbox;
mod outlets;

pub mod deploy;
pub mod deployment;
mod life;
mod load;
mod reactor;
mod requested;
mod requests;
mod room;
pub mod schedule;
pub mod signal;
mod state;

use crate::channel::{self, Depth, Receipt, Received};
use crate::clock::Moment;
use crate::event::{DeliveryId, LaneKey, Message};
use crate::store::{Committed, Entered, Request, StoreError, Target};

use enter::Entering;
use lease::LeaseId;

/// How bytes of memory are divided among reactors: half of them evenly, as each one's own, and the other half for whoever
/// needs it, so that idle reactors take nothing from a busy one, and a busy one cannot take what is theirs.
fn divide(memory: usize, reactors: usize) -> (usize, usize) {
    (memory / 2 / reactors.max(1), memory / 2)
}

/// Where messages go, and how many bytes of bodies.
fn sizes(messages: &[(Target, Message)]) -> Vec<(Target, usize)> {
    messages.iter().map(|(to, message)| (*to, message.body.len())).collect()
}

/// What reaches the host's task.
enum Input {
    /// Runs ended, or were given up.
    RunsEnded(Vec<claim::Ran>),
    /// The store answered commits.
    Committed(Vec<(DeliveryId, Committed)>),
    /// A remote channel answered, or did not.
    Received { inlet: usize, asked: usize, started: Moment, at: Moment, answer: channel::Result<Vec<Received>> },
    /// The store has entered what was taken in from a channel.
    Entered(Entering, Entered),
    /// The store has copies of received messages.
    Stored { inlet: usize, receipts: Vec<Receipt> },
    /// A lease was renewed by a call made at that time, or not.
    Renewed { lease: LeaseId, sent: Moment, answer: channel::Result<()> },
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
