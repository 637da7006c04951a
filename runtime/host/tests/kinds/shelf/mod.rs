//! A kind made for the tests: a shelf in this process, from which messages are taken without leases. This folder is the
//! whole kind, apart from its entry in a list.

mod config;
mod connect;
mod list;

use std::time::Duration;

use reactor_channel::kind::Kind;
use reactor_core::channel::Limits;

pub(crate) use connect::Shelves;

pub(crate) const KIND: Kind = Kind { file: config::FILE, outside: Some(&connect::Reach) };

pub(crate) const LIMITS: Limits = Limits {
    batch: 3,
    bytes: 1_000,
    wait: Duration::from_millis(50),
    lease: Duration::ZERO,
    delay: Duration::ZERO,
    waiting: 100,
    kept: Duration::from_secs(20 * 86_400),
    kept_by: "the shelf",
};
