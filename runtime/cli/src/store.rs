//! `reactor store verify|accept-loss`

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use reactor_store_sqlite::{Accepted, Report};

use super::exit::{self, Exit};
use super::hidden::hide;
use super::project::Project;
use super::{Global, print_json};

/// Check the store for damage, and go on without what is lost
#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read the whole store and list what is damaged; exit code 5 if anything is
    ///
    /// This reads every page of the database, every frame of its write-ahead log, and all tables and indexes. Nothing is changed, and a
    /// host may be running. The time is proportional to the size of the file.
    ///
    /// Example: reactor store verify
    Verify,
    /// Go on without the damaged parts
    ///
    /// Everything behind a damaged place of the write-ahead log is dropped. Damaged pages of the database are used as they
    /// are, if the database is still consistent; otherwise nothing is changed, and only a back-up helps. Prints
    /// what was lost. Copies of the damaged files stay in the data directory. No host and no other command may be
    /// running.
    ///
    /// Example: reactor store accept-loss
    AcceptLoss,
}

impl Store {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let dir = &project.config.runtime.data_dir;
        match self {
            Self::Verify => {
                let report = reactor_store_sqlite::verify(dir.path())?;
                print_report(&report, global.json);
                if report.damage.is_empty() { Ok(()) } else { Err(Exit::printed(exit::STORE)) }
            }
            Self::AcceptLoss => {
                print_accepted(reactor_store_sqlite::accept_loss(dir.path())?.as_ref(), global.json);
                Ok(())
            }
        }
    }
}

fn print_report(report: &Report, json: bool) {
    let Report { damage, pages, checksums, frames } = report;
    if json {
        let damage: Vec<_> = damage
            .iter()
            .map(|one| json!({ "file": shown(&one.file), "byte": one.byte, "detail": hide(&one.detail) }))
            .collect();
        print_json(&json!({ "damage": damage, "pages": pages, "checksums": checksums, "frames": frames }));
        return;
    }
    for one in damage {
        out!("{}: {}", shown(&one.file), hide(&one.detail));
    }
    let without =
        if *checksums { "" } else { "; the pages have no checksums, since the store was made by an earlier version" };
    match damage.len() {
        0 => out!("no damage in {pages} pages and {frames} frames of the log{without}"),
        count => out!("{count} damaged places in {pages} pages and {frames} frames of the log{without}"),
    }
}

fn print_accepted(accepted: Option<&Accepted>, json: bool) {
    if json {
        let said = accepted.map(|one| {
            json!({ "kept": shown(&one.kept), "transactionsLost": one.transactions, "pagesAsTheyAre": one.pages })
        });
        print_json(&json!({ "accepted": said }));
        return;
    }
    let Some(Accepted { kept, transactions, pages }) = accepted else {
        out!("nothing is damaged; nothing was changed");
        return;
    };
    match transactions {
        Some(count) => out!("transactions lost: {count}"),
        None => out!("transactions lost: unknown, because the file `durable` is missing"),
    }
    for byte in pages {
        out!("used as it is, though it may be wrong: page {} (byte {byte}) of reactor.db", byte / 4_096 + 1);
    }
    out!("the damaged files are kept in {}", shown(kept));
}

/// A path below the data directory, which may contain a variable's value.
fn shown(path: &Path) -> String {
    hide(&path.display().to_string()).into_owned()
}
