//! The production code of the host, run on one thread with simulated surroundings: one seed decides the time, the order of
//! tasks, the faults, the crashes and what modules do. What must always hold is judged from outside.
//!
//! # Layout
//!
//! - [`dice`]: all randomness of a run, from its seed.
//! - [`clock`]: time, which passes only when every task waits.
//! - [`disk`] and [`store`]: a store whose writes take time, fail, and are cut off by crashes.
//! - [`queue`]: a remote queue that duplicates, delays, loses answers and ends leases; [`kind`] lets a configuration name it.
//! - [`guest`]: modules that succeed, fail, take long and emit, as the event says.
//! - [`plan`]: what happens in a run.
//! - [`run`]: one run, from the first start to the last event.
//! - [`truth`]: what really happened, noted outside of the host; [`check`] compares it with what the host says.
//! - [`shrink`]: a failing run, made as small as it can be.

pub mod check;
pub mod clock;
pub mod dice;
pub mod disk;
pub mod guest;
pub mod kind;
pub mod plan;
pub mod queue;
pub mod run;
pub mod shrink;
pub mod store;
pub mod truth;
