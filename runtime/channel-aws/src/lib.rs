//! SQS queues and SNS topics as channels of Reactor. No other crate uses the AWS SDK.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod aws;
pub mod sns;
pub mod sqs;

/// For the tests of this crate and of those that stand on it.
#[doc(hidden)]
pub mod testing {
    use reactor_channel::kind::Kind;
    use reactor_channel::local;

    use crate::{sns, sqs};

    /// The kinds of channels in test configurations: the local one, and those of this crate.
    pub const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
}
