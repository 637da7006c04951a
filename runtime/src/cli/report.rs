//! What happened, as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::dead::each;
use crate::event::ReactorId;
use crate::plain;
use crate::store::{DeadFilter, Stats, Store, StoreError};

use super::{print_as_is, print_json};

/// Counts of a store, with the dead letters by reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    #[serde(flatten)]
    stats: Stats,
    /// Dead letters that are there now: reactor (or `-`), reason, count.
    dead_by_reason: Vec<DeadCount>,
}

#[derive(Debug, Serialize)]
struct DeadCount {
    reactor: String,
    reason: String,
    count: u64,
}

impl Summary {
    pub(super) fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let names: BTreeMap<ReactorId, String> = store.reactor_names()?.into_iter().collect();
        let mut counts = BTreeMap::new();
        each(store, &DeadFilter { brief: true, ..DeadFilter::default() }, |dead| {
            let reactor = dead.letter.reactor.and_then(|id| names.get(&id).cloned()).unwrap_or_else(|| "-".into());
            *counts.entry((reactor, dead.letter.reason)).or_insert(0) += 1;
        })?;
        let dead_by_reason =
            counts.into_iter().map(|((reactor, reason), count)| DeadCount { reactor, reason, count }).collect();
        Ok(Self { stats: store.stats()?, dead_by_reason })
    }

    /// Prints the summary on stdout.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            print_json(&serde_json::to_string(self)?);
            return Ok(());
        }
        let mut channels = table(&["channel", "published", "unread"]);
        for ((name, published), (_, backlog)) in self.stats.published.iter().zip(&self.stats.backlog) {
            add_row(&mut channels, [name, &published.to_string(), &backlog.to_string()]);
        }
        print_as_is(&channels.to_string());
        let heads = ["reactor", "delivered", "done", "retried", "duplicates", "dead", "emitted", "waiting"];
        let mut reactors = table(&heads);
        for reactor in &self.stats.reactors {
            let counts = [
                reactor.delivered,
                reactor.done,
                reactor.retried,
                reactor.duplicates,
                reactor.dead,
                reactor.emitted,
                reactor.waiting,
            ];
            let cells = std::iter::once(reactor.name.clone()).chain(counts.iter().map(u64::to_string));
            add_row(&mut reactors, cells);
        }
        print_as_is(&reactors.to_string());
        if !self.dead_by_reason.is_empty() {
            let mut dead = table(&["dead letters of", "reason", "count"]);
            for entry in &self.dead_by_reason {
                add_row(&mut dead, [&entry.reactor, &entry.reason, &entry.count.to_string()]);
            }
            print_as_is(&dead.to_string());
        }
        for (channel, count) in &self.stats.outbox {
            out!("messages still to be sent to {channel}: {count}");
        }
        out!("events nobody wanted: {}, messages that were no events: {}", self.stats.unrouted, self.stats.invalid);
        Ok(())
    }
}

/// A table for [`add_row`]; number columns (all but the first) are aligned to the right.
pub(super) fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.to_vec());
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// Adds a row; text from outside stays in its cell.
pub(super) fn add_row(table: &mut Table, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    table.add_row(cells.into_iter().map(|cell| plain::line(cell.as_ref()).into_owned()));
}
