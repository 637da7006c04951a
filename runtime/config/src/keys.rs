//! The keys of a reactor and of its tables, and the right table for a misplaced key.

use super::reader::{Reader, Section};

/// The keys of `[reactors.NAME]`.
pub(super) const REACTOR: &[&str] = &[
    "module",
    "build",
    "from",
    "on",
    "when",
    "order-by",
    "emit",
    "concurrency",
    "rate",
    "timeout",
    "cpu",
    "memory",
    "allow",
    "config",
    "retry",
    "breaker",
    "dedup",
    "dead-letter",
];
/// The keys of `[reactors.NAME.retry]`.
pub(super) const RETRY: &[&str] = &["max-attempts", "initial", "factor", "max", "jitter", "max-age"];
/// The keys of `[reactors.NAME.breaker]`.
pub(super) const BREAKER: &[&str] = &["failures", "initial", "max"];
/// The keys of `[reactors.NAME.dedup]`.
pub(super) const DEDUP: &[&str] = &["window", "key"];
/// The keys of `[reactors.NAME.dead-letter]`.
pub(super) const DEAD_LETTER: &[&str] = &["channel", "on-exhausted"];
/// The keys of `[reactors.NAME.allow]`.
pub(super) const ALLOW: &[&str] = &["state", "http"];

/// The tables of a reactor.
const TABLES: &[(&str, &[&str])] = &[
    ("", REACTOR),
    ("retry", RETRY),
    ("breaker", BREAKER),
    ("dedup", DEDUP),
    ("dead-letter", DEAD_LETTER),
    ("allow", ALLOW),
];

/// Notes unknown keys of a reactor's table; for a key of another of its tables, names that table.
pub(super) fn misplaced(reader: &mut Reader<'_>, section: &Section<'_>, known: &[&str]) {
    // `reactors.NAME` or `reactors.NAME.TABLE`; names have no dots.
    let reactor = section.path().splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let homes: Vec<_> = TABLES
        .iter()
        .map(|(table, keys)| {
            let dot = if table.is_empty() { "" } else { "." };
            (format!("[{reactor}{dot}{table}]"), *keys)
        })
        .collect();
    let homes: Vec<_> = homes.iter().map(|(home, keys)| (home.as_str(), *keys)).collect();
    reader.known_keys_or(section, known, &homes);
}
