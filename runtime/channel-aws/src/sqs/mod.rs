//! SQS: queues.

mod config;
mod connect;
pub(crate) mod inspect;
mod queue;

use std::time::Duration;

use reactor_channel::kind::Kind;
use reactor_core::channel::Limits;

use super::aws::LONGEST_WAIT;

pub use config::SqsSettings;
pub use queue::SqsQueue;

/// The kind `sqs`.
pub const KIND: Kind = Kind { file: config::FILE, outside: Some(&connect::Sqs) };

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The limits of SQS.
pub const LIMITS: Limits = Limits {
    batch: 10,
    bytes: 1 << 20,
    wait: LONGEST_WAIT,
    lease: Duration::from_secs(12 * HOUR.as_secs()),
    // SQS's limit counts from when the message was received.
    delay: Duration::from_secs(11 * HOUR.as_secs()),
    // A FIFO queue allows few more per receiver.
    waiting: 10_000,
    kept: Duration::from_secs(14 * DAY.as_secs()),
    kept_by: "SQS",
};
