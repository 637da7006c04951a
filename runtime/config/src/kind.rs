//! A kind of channel, as the file describes it. The caller passes the list of kinds to [`super::load`].

use std::time::Duration;

use serde_json::Value;

use reactor_core::channel::Limits;

use super::outside::{COMMIT_BUDGET, Outside, Settle};

pub use super::reader::{Reader, Section};
pub use super::text::Text;

/// What the file can say about a channel of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The value of `kind`.
    pub name: &'static str,
    /// The keys specific to this kind.
    pub keys: &'static [&'static str],
    /// Those that are required.
    pub required: &'static [&'static str],
    /// The JSON Schemas of these keys, by key; see [`super::schema::keys_of`]. A key shared by two kinds has one
    /// schema.
    pub schema: fn() -> Value,
    /// Reads these keys; `None` if the messages are in this host's store.
    pub read: fn(&mut Reader<'_>, &Section<'_>) -> Option<Outside>,
}

impl AsRef<Self> for Kind {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Reads `settle`.
pub fn settle(reader: &mut Reader<'_>, section: &Section<'_>) -> Settle {
    let options = [("completed", Settle::Completed), ("stored", Settle::Stored)];
    reader.choice(section, "settle", &options).unwrap_or_default()
}

/// Reads `lease`.
pub fn lease(reader: &mut Reader<'_>, section: &Section<'_>, limits: &Limits) -> Option<Duration> {
    reader.duration(section, "lease", COMMIT_BUDGET..=limits.lease)
}

/// The keys of all kinds, each once.
pub(super) fn keys(kinds: &[&Kind]) -> Vec<&'static str> {
    let mut all: Vec<&str> = Vec::new();
    for kind in kinds {
        for (index, key) in kind.keys.iter().enumerate().filter(|(_, key)| !all.contains(key)).collect::<Vec<_>>() {
            // It goes after the key that follows it in its kind.
            let next = kind.keys[index..].iter().find_map(|next| all.iter().position(|one| one == next));
            all.insert(next.map_or(all.len(), |next| next + 1), key);
        }
    }
    all
}

/// The kind that each of these keys belongs to.
pub(super) fn homes(kinds: &[&Kind], keys: &[&'static str]) -> Vec<(String, [&'static str; 1])> {
    let home = |key: &'static str| {
        let names = kinds.iter().filter(|kind| kind.keys.contains(&key)).map(|kind| format!("\"{}\"", kind.name));
        let names: Vec<_> = names.collect();
        let names = match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => names.concat(),
        };
        (format!("a channel of kind {names}"), [key])
    };
    keys.iter().map(|key| home(key)).collect()
}
