//! Damage of every kind to every file of a store: it is rejected by name, or no data is missing.
//!
//! `REACTOR_FLIPS=200 cargo test --package reactor-store-sqlite --test rot -- --nocapture` flips that many bits in each
//! file and prints the outcomes. `REACTOR_SEED` repeats a run.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod support;

mod no_damage;
mod power;
mod refused;
mod verify;
mod version_2;
