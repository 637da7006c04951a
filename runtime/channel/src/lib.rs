//! What every kind of channels is made of: what the file says of one, how it is reached, and what is found where it is
//! looked at. The kind `local` is here; other kinds have crates of their own.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod inspect;
pub mod kind;
pub mod local;
