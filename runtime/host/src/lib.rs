//! The way of an event, from a channel to a committed effect or a dead letter.
//!
//! ```text
//! receive -> intake (decode, route) -> admit -> claim -> run -> judge -> commit -> settle
//!                                                        ^        |        +--> outbox
//!                                                        +- retry +--> dead letter
//! ```
//!
//! # Layout
//!
//! In the order of the walk:
//!
//! - [`host`]: the one task that owns the walk, in chapters. It takes one input at a time, decides, and never blocks.
//! - `sources`: what is received from: pollers, leases, acknowledging.
//! - [`intake`]: [`decode`] and [`route`], once for everything that takes a message in.
//! - `delivery`: an event on its way to one reactor, with its stage, and the registry that alone moves it.
//! - [`schedule`]: who runs next, behind its gates.
//! - `run`: slots, claims, and speculative runs. `reactor` is one configured reactor with its state.
//! - [`judge`]: an outcome and a policy make a verdict.
//! - `outcome`: what an ended attempt comes to, as one commit.
//! - [`emit`]: the messages that reactors and dead letters become.
//! - [`outbox`]: what is sent to remote channels.
//!
//! The steps that decide ([`decode`], [`route`], [`judge`], [`schedule`]) are pure. This crate names no store, sandbox
//! or channel: it uses the traits of `reactor_core`.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod host;

mod sources;

pub mod decode;
pub mod intake;
pub mod route;
pub mod view;

mod delivery;
pub mod schedule;

mod reactor;
mod run;

pub mod judge;
mod outcome;

pub mod emit;
pub mod outbox;

mod memory;
pub mod reads;
mod room;

use reactor_core::channel::{self, Depth, Receipt, Received};
use reactor_core::clock::Moment;
use reactor_core::event::{DeliveryId, LaneKey};
use reactor_core::store::{Committed, Entered, LogRecord, Request, StoreError};

use host::enter::Entering;
use host::requested::Step;
use host::restore::{Found, FoundOf};
use run::claim;
use schedule::Load;
use sources::lease::LeaseId;

/// What reaches the host's task.
enum Input {
    /// Runs ended, or were given up.
    RunsEnded(Vec<claim::Ran>),
    /// The store answered commits.
    Committed(Vec<(DeliveryId, Committed)>),
    /// A remote channel answered, or did not.
    Received { poller: usize, asked: usize, started: Moment, at: Moment, answer: channel::Result<Vec<Received>> },
    /// The log of a channel, by its place, has been read from its cursor.
    LogRead(usize, Vec<LogRecord>),
    /// The store has entered what was taken in from a channel; these deliveries go on with it.
    Entered(Entering, Entered, Vec<Found>),
    /// Loads have been carried out; the others are left.
    Loaded(Vec<FoundOf>, Vec<Load>),
    /// The store has copies of received messages.
    Stored { poller: usize, receipts: Vec<Receipt> },
    /// A lease was renewed by a call made at `sent`, or not.
    Renewed { lease: LeaseId, sent: Moment, answer: channel::Result<()> },
    /// A message was deleted, or not.
    Deleted { poller: usize, answer: channel::Result<()> },
    /// How many messages a queue holds.
    Depth { poller: usize, answer: channel::Result<Depth> },
    /// A dead letter to be redriven was sent to its queue again, or not.
    Resent { request: u64, dead: u64, answer: channel::Result<()> },
    /// Requests have been looked for.
    Requests(Vec<(u64, Request)>),
    /// A request that is being carried out has gone on.
    Request(u64, Request, Step),
    /// What the store says of other processes' writes.
    ForeignChanges(u64),
    /// A request that failed is to be tried again.
    AskedAgain(u64, Request),
    /// The store has recorded that a delivery is away.
    AwayWritten(DeliveryId),
    /// Messages have left the outbox: their number and bytes.
    LeftOutbox(u64, u64),
    /// The store has recorded that a delivery is held.
    HeldWritten { reactor: usize, lane: LaneKey },
    /// The store failed in a way that ends the host.
    Fatal(StoreError),
}
