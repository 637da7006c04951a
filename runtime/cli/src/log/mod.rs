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

/// Show events, and what became of each
///
/// Reads the logs of channels. A local channel has all events; a remote one has those that were copied into the
/// store (settle = "stored") or are still being worked on. Works while `reactor up` is running.
#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// List the latest events with their outcomes, one per line
    ///
    /// Example: reactor log tail shop --outcome dead
    Tail(tail::Tail),
    /// Show one event with every attempt
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
