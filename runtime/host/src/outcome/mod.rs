//! What an ended attempt comes to: effects that a store can apply, one commit, and its way to the store.

pub(crate) mod commit;
pub(crate) mod conclude;
pub(crate) mod resolve;
