//! The host on remote channels, with a queue in memory in their place.

#[path = "../support/mod.rs"]
mod support;

mod world;

mod leases;
mod outbox;
mod settling;
