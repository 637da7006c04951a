//! What follows from an ended attempt: effects that a store can apply, one commit, and its way to the store.

pub(crate) mod commit;
pub(crate) mod conclude;
pub(crate) mod resolve;
