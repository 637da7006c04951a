//! The kinds of channels that the program knows.

use reactor_channel::kind::Kind;
use reactor_channel::local;
use reactor_channel_aws::{sns, sqs};

pub(crate) const KINDS: &[Kind] = &[local::KIND, sqs::KIND, sns::KIND];
