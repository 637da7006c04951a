//! `reactor log tail|show`

mod json;
mod outcome;
mod pick;
mod show;
mod story;
mod tail;

use clap::Subcommand;

use super::Global;
use super::exit::Exit;

/// Look at events, and at what became of each
///
/// Reads the logs of channels: all events of a local channel; of a channel outside, those that were copied
/// (settle = "stored") or that are still being worked on. Works while `reactor up` runs.
#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// The last events, a line each, with their outcomes
    ///
    /// Example: reactor log tail shop --outcome dead
    Tail(tail::Tail),
    /// One event, with every attempt at it
    ///
    /// Example: reactor log show shop/1
    Show(show::Show),
}

impl Log {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        match self {
            Self::Tail(tail) => tail.run(global),
            Self::Show(show) => show.run(global),
        }
    }
}
