//! Positions in a file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file, as needed for messages.
#[derive(Debug)]
pub struct Source {
    /// Its path as the user gave it.
    pub path: String,
    /// Its text; empty if it could not be read.
    pub text: String,
}

/// A range in a file.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
}

impl Place {
    /// A byte range, clamped to the text.
    pub fn new(source: Arc<Source>, span: Range<usize>) -> Self {
        let end = source.text.len();
        let mut start = span.start.min(end);
        while !source.text.is_char_boundary(start) {
            start -= 1;
        }
        let mut stop = span.end.clamp(start, end);
        while !source.text.is_char_boundary(stop) {
            stop += 1;
        }
        Self { source, span: start..stop }
    }

    /// Line and column, from 1; columns count characters.
    pub(super) fn line_and_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The position of every table, key and list element in the file.
#[derive(Clone, Debug)]
pub struct Places {
    source: Arc<Source>,
    /// By path; a list element is named by its index, from 0.
    spans: BTreeMap<Vec<String>, Range<usize>>,
}

impl Places {
    pub(super) fn collect(source: Arc<Source>, table: &DeTable<'_>) -> Self {
        let mut places = Self { source, spans: BTreeMap::new() };
        places.enter(&mut Vec::new(), table);
        places
    }

    fn enter(&mut self, path: &mut Vec<String>, table: &DeTable<'_>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            self.add(path, value);
            path.pop();
        }
    }

    fn add(&mut self, path: &mut Vec<String>, value: &Spanned<DeValue<'_>>) {
        self.spans.insert(path.clone(), value.span());
        match value.get_ref() {
            DeValue::Table(table) => self.enter(path, table),
            DeValue::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    path.push(index.to_string());
                    self.add(path, value);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// The place of the value at a path such as `["reactors", "inventory", "retry", "max"]`; if it is not written, of
    /// its innermost parent that is.
    pub fn at(&self, path: &[&str]) -> Place {
        let mut path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        while !path.is_empty() {
            if let Some(span) = self.spans.get(&path) {
                return Place::new(Arc::clone(&self.source), span.clone());
            }
            path.pop();
        }
        Place::new(Arc::clone(&self.source), 0..0)
    }

    /// A reactor's key, or its table if the key is not written.
    pub fn reactor(&self, name: &str, key: &str) -> Place {
        self.at(&["reactors", name, key])
    }

    /// A channel's key, or its table if the key is not written.
    pub fn channel(&self, name: &str, key: &str) -> Place {
        self.at(&["channels", name, key])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_stands_where_it_would() {
        let text = "[reactors.a]\nfrom = [\"x\", \"y\"]\n[reactors.a.retry]\nmax = \"1s\"\n";
        let source = Arc::new(Source { path: "reactors.toml".into(), text: text.into() });
        let places = Places::collect(source, DeTable::parse(text).expect("TOML").get_ref());
        let written = |place: Place| text[place.span.clone()].to_owned();
        assert_eq!(written(places.at(&["reactors", "a", "from", "1"])), "\"y\"");
        assert_eq!(written(places.at(&["reactors", "a", "retry", "max"])), "\"1s\"");
        assert_eq!(written(places.at(&["reactors", "a", "retry", "initial"])), "[reactors.a.retry]");
        assert_eq!(written(places.reactor("a", "allow")), "[reactors.a]");
        assert_eq!(written(places.reactor("b", "allow")), "reactors");
        assert_eq!(written(places.channel("b", "kind")), "");
        assert_eq!(places.at(&["reactors", "a", "from", "1"]).line_and_column(), (2, 14));
    }
}
