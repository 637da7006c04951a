//! The available kinds of channels.

use reactor_channel::kind::Kind;
use reactor_channel::local;
use reactor_channel_aws::{sns, sqs};

/// Each has its own folder, and only this list knows of it.
pub const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
