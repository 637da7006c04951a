//! A store's counts, as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use reactor_core::event::ReactorId;
use reactor_core::plain;
use reactor_core::store::{Blocked, DeadFilter, ReactorStats, Stats, StoreClient, StoreError};

use super::letters::each;
use super::{print_as_is, print_json};

/// Counts of a store, with the dead letters by reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    #[serde(flatten)]
    stats: Stats,
    reactors: Vec<Reactor>,
    waits_for_person: Waits,
    /// Current dead letters: reactor (or `-`), reason, count.
    dead_by_reason: Vec<DeadCount>,
}

/// Counts of a reactor. `delivered = done + dead + dropped + waiting + held + parked + running`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reactor {
    #[serde(flatten)]
    stats: ReactorStats,
    #[serde(flatten)]
    blocked: Blocked,
    /// Not started, in progress, or with a remote queue.
    running: u64,
}

/// Work that waits for a person to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Waits {
    /// Dead letters to be redriven or dropped.
    pub(super) dead_letters: u64,
    /// Keys parked by some of them.
    pub(super) parked_keys: u64,
    /// Deliveries behind these keys.
    pub(super) parked: u64,
}

impl Waits {
    /// The text, if there is anything to report.
    pub(super) fn words(self) -> Option<String> {
        let Self { dead_letters, parked_keys, parked } = self;
        if dead_letters == 0 {
            return None;
        }
        let count = |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let letters = count(dead_letters, "dead letter", "dead letters");
        let keys = match parked_keys {
            0 => String::new(),
            keys => format!(
                ", {} with {} behind",
                count(keys, "parked key", "parked keys"),
                count(parked, "delivery", "deliveries")
            ),
        };
        Some(format!("{letters}{keys}"))
    }
}

#[derive(Debug, Serialize)]
struct DeadCount {
    reactor: String,
    reason: String,
    count: u64,
}

/// The column heads of the table of reactors. Each delivery counts in one of the seven columns after `delivered`;
/// duplicates count in none.
const HEADS: [&str; 12] = [
    "reactor",
    "delivered",
    "done",
    "dead",
    "dropped",
    "waiting",
    "held",
    "parked",
    "running",
    "duplicates",
    "retried",
    "emitted",
];

impl Summary {
    pub(super) fn of(store: &dyn StoreClient) -> Result<Self, StoreError> {
        let names: BTreeMap<ReactorId, String> = store.reactor_names()?.into_iter().collect();
        let mut counts = BTreeMap::new();
        each(store, &DeadFilter::default(), |dead| {
            let reactor = dead.letter.reactor.and_then(|id| names.get(&id).cloned()).unwrap_or_else(|| "-".into());
            *counts.entry((reactor, dead.letter.reason)).or_insert(0) += 1;
        })?;
        let dead_by_reason: Vec<_> =
            counts.into_iter().map(|((reactor, reason), count)| DeadCount { reactor, reason, count }).collect();
        let blocked: BTreeMap<ReactorId, Blocked> = store.blocked()?.into_iter().collect();
        let of = |name: &str| {
            names
                .iter()
                .find(|(_, known)| *known == name)
                .and_then(|(id, _)| blocked.get(id))
                .copied()
                .unwrap_or_default()
        };
        let mut stats = store.stats()?;
        let reactors = std::mem::take(&mut stats.reactors).into_iter().map(|stats| {
            let blocked = of(&stats.name);
            let running = stats.active.saturating_sub(stats.waiting + blocked.held + blocked.parked);
            Reactor { stats, blocked, running }
        });
        let waits_for_person = Waits {
            dead_letters: dead_by_reason.iter().map(|entry| entry.count).sum(),
            parked_keys: blocked.values().map(|blocked| blocked.parked_keys).sum(),
            parked: blocked.values().map(|blocked| blocked.parked).sum(),
        };
        Ok(Self { reactors: reactors.collect(), stats, waits_for_person, dead_by_reason })
    }

    /// What waits for a person.
    pub(super) fn waits(&self) -> Waits {
        self.waits_for_person
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
        let mut reactors = table(&HEADS);
        for Reactor { stats, blocked, running } in &self.reactors {
            let counts = [
                stats.delivered,
                stats.done,
                stats.dead,
                stats.dropped,
                stats.waiting,
                blocked.held,
                blocked.parked,
                *running,
                stats.duplicates,
                stats.retried,
                stats.emitted,
            ];
            let cells = std::iter::once(stats.name.clone()).chain(counts.iter().map(u64::to_string));
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
            out!("messages waiting to be sent to {channel}: {count}");
        }
        out!(
            "events that no reactor wanted: {}, messages that could not be decoded: {}",
            self.stats.unrouted,
            self.stats.invalid
        );
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
