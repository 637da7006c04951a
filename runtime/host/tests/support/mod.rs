//! Shared by the host's tests: a guest that is a function, a queue in memory, a driven clock, and the rig that builds a
//! host from them.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod clock;
pub(crate) mod guest;
pub(crate) mod queue;
pub(crate) mod rig;
pub(crate) mod slow;

use reactor_channel::kind::Kind;
use reactor_channel::local;
use reactor_channel_aws::{sns, sqs};

/// The kinds of channels in test configurations.
pub(crate) const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
