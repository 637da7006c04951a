//! SQS queues and SNS topics as channels of Reactor. No other crate uses the AWS SDK.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod aws;
pub mod sns;
pub mod sqs;

/// The kinds of channels in test configurations.
#[cfg(test)]
const KINDS: &[reactor_channel::kind::Kind] = &[reactor_channel::local::KIND, sqs::KIND, sns::KIND];
