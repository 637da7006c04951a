//! Step: run a reactor on an event in a fresh sandbox. This file is the seam; `reactor_sandbox` implements it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::effect;
use crate::event::{Event, Identity, Outcome, Version};
use crate::world::World;

/// The log target of the lines that a module writes.
pub const LOG_TARGET: &str = "reactor::guest";

/// Runs one module. Called once per attempt, from any thread, many at a time.
pub trait Guest: Send + Sync + 'static {
    /// Runs the module in a fresh instance. Never panics, and exceeds the call's time-out by at most one epoch tick;
    /// every failure is reported in the run's outcome. Dropping the future cancels the run.
    fn run(&self, call: Call) -> BoxFuture<'static, Run>;

    /// blake3 of the module's file, in hex; an attempt is pinned to it.
    fn digest(&self) -> &str;
}

/// What a run needs.
#[derive(Clone)]
pub struct Call {
    /// The event.
    pub event: Arc<Event>,
    /// The delivery's identity, which is the idempotency key and the parent of the ids of emitted events.
    pub identity: Identity,
    /// Counted from 1.
    pub attempt: u32,
    /// The most attempts that the policy allows.
    pub max_attempts: u32,
    /// Everything that the run can learn from its host.
    pub world: Arc<dyn World>,
}

/// Everything that a run did; none of it is applied yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub outcome: Outcome,
    /// Each key that was read from outside the run, once, with the version seen (0 = absent).
    pub reads: Vec<(String, Version)>,
    /// What it wants to happen: at most one write per key, and events in the order they were emitted, which determines
    /// their ids.
    pub effects: Vec<Effect>,
    /// The resources it used.
    pub usage: Usage,
}

impl Run {
    /// A run that ended with this outcome and did nothing.
    pub fn ended(outcome: Outcome) -> Self {
        Self { outcome, reads: Vec::new(), effects: Vec::new(), usage: Usage::default() }
    }
}

/// What a run wants to happen. The target of an event is the name of the channel to which the configuration's `emit`
/// table sends its type.
pub type Effect = effect::Effect<String, Emit>;

/// An event that a run wants to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emit {
    /// The event's type.
    pub event_type: String,
    /// Major version of the data's schema.
    pub version: u32,
    /// What it is about.
    pub subject: Option<String>,
    /// Ordering key.
    pub partition_key: Option<String>,
    /// Media type of `data`.
    pub content_type: String,
    /// The payload.
    pub data: Bytes,
}

/// The resources that a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Wall-clock time, instantiation included.
    pub wall: Duration,
    /// Peak bytes of memories and tables together.
    pub memory: usize,
    /// Host calls made.
    pub host_calls: u32,
}

/// The id of the `index`th event that a reactor emits for an event; the same in every attempt. The index counts only
/// events, since the guest learns the id before the run's other effects are known.
pub fn emitted_id(parent: Identity, reactor: &str, index: u32) -> String {
    let hash = Identity::of(&[&parent.0, reactor.as_bytes(), &index.to_le_bytes()]);
    uuid::Uuid::new_v8(hash.0).to_string()
}
