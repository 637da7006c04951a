//! What the store owes its surroundings: who may enter the data directory, who waits for whom, how much of the disk is
//! taken, and that it notices when its files are not its own any more.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod other;
mod support;

mod looking;
mod private;
mod replaced;
mod room;
mod waits;
