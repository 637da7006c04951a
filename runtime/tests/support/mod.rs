//! What the tests of the host have in common: a guest that is a function, a queue in memory, a clock that is driven, and
//! the rig that puts a host together of them.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod clock;
pub(crate) mod guest;
pub(crate) mod queue;
pub(crate) mod rig;
