//! SNS: topics, and the queues that are subscribed to them.

mod config;
mod connect;
#[cfg(test)]
mod emulated;
mod filter;
mod foreign;
mod inspect;
mod settings;
mod subscription;
mod topic;

use reactor_channel::kind::Kind;
use reactor_core::channel::Limits;

use super::sqs;

pub use config::SnsSettings;

/// The kind `sns`.
pub const KIND: Kind = Kind { file: config::FILE, outside: Some(&connect::Sns) };

/// The limits of SNS, and of the queues through which topics are read.
const LIMITS: Limits = Limits { bytes: 256 << 10, ..sqs::LIMITS };
