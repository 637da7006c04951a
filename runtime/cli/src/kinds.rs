//! The kinds of channels that there are.

use reactor_channel::kind::Kind;
use reactor_channel::local;
use reactor_channel_aws::{sns, sqs};

/// Each has its folder, and nothing but this list knows of it.
pub const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
