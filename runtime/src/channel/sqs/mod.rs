//! SQS: queues.

pub(super) mod inspect;
mod queue;

pub use queue::SqsQueue;
