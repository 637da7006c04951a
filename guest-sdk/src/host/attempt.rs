//! Which run it is.

/// The run that is under way, as the host tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) reactor: String,
    pub(crate) number: u32,
    pub(crate) max_attempts: u32,
    pub(crate) idempotency_key: String,
}
