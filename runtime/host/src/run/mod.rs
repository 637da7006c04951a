//! Attempts: where they run, the note that one has begun, and those that go ahead of their lane.

pub(crate) mod ahead;
pub(crate) mod claim;
pub(crate) mod runs;
pub(crate) mod span;
pub(crate) mod speculation;
