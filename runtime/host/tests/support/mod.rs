//! Shared by the host's tests: a guest that is a function, a queue in memory, a driven clock, and the rig that builds a
//! host from them.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod clock;
pub(crate) mod guest;
pub(crate) mod queue;
pub(crate) mod rig;
pub(crate) mod slow;
