//! The kinds of channels that there are.

use super::kind::Kind;
use super::{local, sns, sqs};

/// Each has its folder, and nothing else knows of it.
pub const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
