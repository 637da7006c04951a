//! Which run it is.

/// The current run, as the host describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) reactor: String,
    pub(crate) number: u32,
    pub(crate) max_attempts: u32,
    pub(crate) idempotency_key: String,
}
