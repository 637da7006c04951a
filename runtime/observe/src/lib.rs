//! What a host reports about itself: metrics and health on a loopback address, traces, and log lines for people.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod admin;
pub mod log;
pub mod otlp;
