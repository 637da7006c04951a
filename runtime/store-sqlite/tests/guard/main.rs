//! The store and its environment: who may use the data directory, who waits for whom, how much disk space is taken, and
//! that the store notices when its files are replaced.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod other;
mod support;

mod looking;
mod private;
mod replaced;
mod room;
mod waits;
