//! What the tests of the host have in common: a guest that is a function, a queue in memory, a clock that is driven, and
//! the rig that puts a host together of them.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod clock;
pub(crate) mod guest;
pub(crate) mod queue;
pub(crate) mod rig;
pub(crate) mod slow;

use reactor_channel::kind::Kind;
use reactor_channel::local;
use reactor_channel_aws::{sns, sqs};

/// The kinds of channels that tests write of.
pub(crate) const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
