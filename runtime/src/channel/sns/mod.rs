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

use super::kind::Kind;
use super::{Limits, sqs};

pub use config::SnsSettings;

/// The kind `sns`.
pub(super) const KIND: Kind = Kind { file: config::FILE, outside: Some(&connect::Sns) };

/// What SNS allows, and the queues that topics are read through.
const LIMITS: Limits = Limits { bytes: 256 << 10, ..sqs::LIMITS };
