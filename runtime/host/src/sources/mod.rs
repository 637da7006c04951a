//! What is received from: one poller per remote channel, the leases on what it has received, and what acknowledges messages.

pub(crate) mod acknowledge;
pub(crate) mod lease;
pub(crate) mod poller;
pub(crate) mod queues;
pub(crate) mod waiting;
