//! What every store of Reactor must do: an in-memory model store, and the suite of cases that all stores pass.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

#[doc(hidden)]
pub mod conformance;
pub mod memory;
