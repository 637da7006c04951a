//! Walks the parsed file: tables with their places, noting every error on the way.
//!
//! An invalid value is noted and replaced by its default, so that reading continues to the next error.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use reactor_core::subscription::SyntaxError;

use super::secrets::Noted;
use super::text::{Text, offset_in_literal};
use super::{Env, Located, Place, Problem, Problems, Source, tables};

/// Most entries of one list; comparing them with each other stays fast.
pub(super) const MOST_LISTED: usize = 1_000;

/// A table and its place.
#[derive(Clone, Debug)]
pub struct Section<'t> {
    /// Its dotted name; empty for the top level.
    path: String,
    pub(super) table: &'t DeTable<'t>,
    span: Range<usize>,
}

impl<'t> Section<'t> {
    pub(super) fn new(path: impl Into<String>, table: &'t DeTable<'t>, span: Range<usize>) -> Self {
        Self { path: path.into(), table, span }
    }

    /// Where the table begins.
    pub(super) fn header(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(super) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Its dotted name; empty for the top level.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The dotted name of one of its keys.
    pub fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The input, and the problems and values noted so far.
pub struct Reader<'e> {
    source: Arc<Source>,
    pub(super) env: Env<'e>,
    pub(super) errors: Problems,
    pub(super) warnings: Problems,
    /// The values of variables.
    pub(super) noted: Noted,
}

impl<'e> Reader<'e> {
    pub(super) fn new(source: Arc<Source>, env: Env<'e>) -> Self {
        Self { source, env, errors: Problems::default(), warnings: Problems::default(), noted: Noted::default() }
    }

    pub(super) fn source(&self) -> Arc<Source> {
        Arc::clone(&self.source)
    }

    /// A range of the file's text as written.
    pub(super) fn literal(&self, span: Range<usize>) -> &str {
        self.source.text.get(span).unwrap_or_default()
    }

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source(), span)
    }

    /// A path of the file, relative to a folder unless it is absolute.
    pub(super) fn located(&mut self, root: &Path, text: &Text) -> Located {
        let located = Located::new(root, &text.kept());
        self.noted.path(&located);
        located
    }

    /// A problem at a range of the file, to be noted with [`Reader::note`].
    pub(super) fn problem(&self, span: Range<usize>, code: &'static str, title: impl Into<String>) -> Problem {
        Problem::at(self.place(span), code, title)
    }

    pub(super) fn note(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    pub(super) fn error(&mut self, span: Range<usize>, code: &'static str, title: impl Into<String>) {
        let problem = self.problem(span, code, title);
        self.note(problem);
    }

    /// Where a byte of a string's value is in the file; the whole string if a variable makes that unclear.
    pub(super) fn inside(&self, text: &Text, at: usize) -> Range<usize> {
        match self.source.text.get(text.span.clone()) {
            Some(literal) if text.value == text.written => {
                let start = text.span.start + offset_in_literal(literal, at);
                start..start + 1
            }
            _ => text.span.clone(),
        }
    }

    /// An error inside a string, at the exact character if that is known.
    pub(super) fn syntax(&mut self, text: &Text, name: &str, error: &SyntaxError) {
        let problem = self.syntax_problem(text, name, error);
        self.note(problem);
    }

    /// The same as a problem, to be extended and then noted.
    pub(super) fn syntax_problem(&self, text: &Text, name: &str, error: &SyntaxError) -> Problem {
        let problem = self.problem(self.inside(text, error.at), "bad-value", cannot_be(name, text));
        problem.label(text.reason(error.reason.as_str()))
    }

    /// Notes an unusable string and what to write instead; `name` is the dotted name of its key.
    pub fn bad_text(&mut self, text: &Text, name: &str, why: impl Into<String>, help: &str) {
        let problem = self.problem(text.span.clone(), "bad-value", cannot_be(name, text)).label(text.reason(why));
        self.note(if help.is_empty() { problem } else { problem.help(help) });
    }

    /// Notes a duplicate in a list.
    pub(super) fn twice(&mut self, text: &Text, first: &Text, name: &str) {
        let title = format!("`{}` occurs twice in `{name}`", text.written);
        let problem = self.problem(text.span.clone(), "duplicate", title).label("the second time");
        self.note(problem.related(self.place(first.span.clone()), "the first time").help("remove one of the two"));
    }

    /// Notes a table longer than any real one; returns how many entries to read.
    pub(super) fn most_listed(&mut self, table: &Section<'_>) -> usize {
        self.not_too_many(table.table.len(), table.span.clone(), &table.path);
        MOST_LISTED
    }

    pub(super) fn not_too_many(&mut self, found: usize, span: Range<usize>, name: &str) {
        if found > MOST_LISTED {
            let title = format!("`{name}` has {found} entries; at most {MOST_LISTED} are allowed");
            self.error(span, "too-many", title);
        }
    }

    /// Notes each unknown key, with the nearest known one.
    pub(super) fn known_keys(&mut self, section: &Section<'_>, known: &[&str]) {
        self.known_keys_or(section, known, &[]);
    }

    /// The same; a key that is known elsewhere is reported as misplaced.
    pub(super) fn known_keys_or(&mut self, section: &Section<'_>, known: &[&str], elsewhere: &[(&str, &[&str])]) {
        for key in section.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = if section.path.is_empty() { "at the top".into() } else { format!("in [{}]", section.path) };
            let problem = self.problem(key.span(), "unknown-key", format!("there is no key `{name}` {place}"));
            let home = elsewhere.iter().find(|(_, keys)| keys.contains(&name)).map(|(home, _)| home);
            let near = nearest(name, known.iter().copied());
            self.note(match (home, near) {
                (Some(home), _) => problem.label(format!("it belongs in {home}")),
                (None, Some(near)) => problem.label(format!("did you mean `{near}`?")),
                (None, None) => problem.help(format!("known keys: {}", known.join(", "))),
            });
        }
    }

    pub(super) fn mismatch(&mut self, value: &Spanned<DeValue<'_>>, name: &str, expected: &str) {
        let problem = self.mismatch_problem(value, name, expected);
        self.note(problem);
    }

    fn mismatch_problem(&self, value: &Spanned<DeValue<'_>>, name: &str, expected: &str) -> Problem {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        let problem = self.problem(value.span(), "wrong-type", format!("`{name}` has the wrong type"));
        problem.label(format!("expected {expected}, found {article} {found}"))
    }

    pub(super) fn table<'t>(&mut self, section: &Section<'t>, key: &str) -> Option<Section<'t>> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        match value.get_ref().as_table() {
            Some(table) => Some(Section::new(name, table, value.span())),
            None => {
                let problem = self.mismatch_problem(value, &name, "a table");
                self.note(match tables::instead(key, value.get_ref()) {
                    Some(table) => problem.help(format!("write it like: {table}")),
                    None => problem,
                });
                None
            }
        }
    }

    /// The names in a table, regardless of their values.
    pub(super) fn names(&self, section: &Section<'_>, key: &str) -> Vec<String> {
        let table = section.get(key).and_then(|value| value.get_ref().as_table());
        table.map(|table| table.keys().map(|name| name.get_ref().to_string()).collect()).unwrap_or_default()
    }

    /// The tables `[key.NAME]`, with valid names.
    pub(super) fn named_tables<'t>(&mut self, section: &Section<'t>, key: &str) -> Vec<(String, Section<'t>)> {
        let Some(all) = self.table(section, key) else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in all.table {
            let text = name.get_ref().to_string();
            if !is_name(&text) {
                let title = format!("`{text}` is no name for one of the {key}");
                let problem = self.problem(name.span(), "bad-name", title);
                let rule = "1 to 63 characters of a-z, 0-9, - and _, beginning with a letter or digit";
                let lower = text.to_lowercase().replace([' ', '.', '/', ':'], "-");
                let problem = if is_name(&lower) {
                    problem.label(format!("`{lower}` would be one"))
                } else {
                    problem.label("not a valid name")
                };
                self.note(problem.help(format!("a name has {rule}")));
            }
            let dotted = all.dotted(&text);
            match value.get_ref().as_table() {
                Some(table) => found.push((text, Section::new(dotted, table, value.span()))),
                None => {
                    let problem = self.mismatch_problem(value, &dotted, "a table");
                    self.note(problem.help(format!("write [{dotted}] on a line of its own, and its keys below")));
                }
            }
        }
        found
    }

    pub(super) fn missing(&mut self, section: &Section<'_>, key: &str, example: &str) {
        let title = format!("[{}] has no `{key}`", section.path);
        let problem = self.problem(section.header(), "missing-key", title);
        self.note(problem.help(format!("add a line such as: {key} = {example}")));
    }
}

/// The title of a problem with a string.
fn cannot_be(name: &str, text: &Text) -> String {
    format!("`{name}` cannot be \"{}\"", text.written)
}

/// The most similar known word.
pub(super) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    known
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= (known.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 63 && text.starts_with(letter) && text.chars().all(|c| letter(c) || c == '-' || c == '_')
}
