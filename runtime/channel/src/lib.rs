//! What every kind of channel consists of: its configuration, its connections and its inspection. The kind `local` is
//! here; other kinds have their own crates.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod inspect;
pub mod kind;
pub mod local;
