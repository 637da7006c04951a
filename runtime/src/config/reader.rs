//! Walking the parsed file: values with their places, and every error noted on the way.
//!
//! A value that is wrong is noted and its default taken, so that reading goes on to the next error.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::subscription::SyntaxError;

use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{Env, Place, Problem, Problems, Source};

/// A table and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Section<'t> {
    /// Its dotted name; empty for the file itself.
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

    fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A string, with variables replaced.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Range<usize>,
}

pub(super) struct Reader<'e> {
    source: Arc<Source>,
    env: Env<'e>,
    pub(super) errors: Problems,
    pub(super) warnings: Problems,
}

impl<'e> Reader<'e> {
    pub(super) fn new(source: Arc<Source>, env: Env<'e>) -> Self {
        Self { source, env, errors: Problems::default(), warnings: Problems::default() }
    }

    pub(super) fn source(&self) -> Arc<Source> {
        Arc::clone(&self.source)
    }

    /// A problem at a stretch of the file, to be noted with [`Reader::note`].
    pub(super) fn problem(&self, span: Range<usize>, code: &'static str, title: impl Into<String>) -> Problem {
        Problem::at(Place::new(Arc::clone(&self.source), span), code, title)
    }

    pub(super) fn note(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    pub(super) fn error(&mut self, span: Range<usize>, code: &'static str, title: impl Into<String>) {
        let problem = self.problem(span, code, title);
        self.note(problem);
    }

    /// An error inside a string, at the very character where that can be said.
    pub(super) fn syntax(&mut self, text: &Text, key: &str, error: &SyntaxError) {
        let written = self.source.text.get(text.span.clone());
        let plain =
            written.is_some_and(|written| written.len() == text.value.len() + 2 && written.contains(&text.value));
        let span = if plain {
            let at = text.span.start + 1 + error.at.min(text.value.len());
            at..at + 1
        } else {
            text.span.clone()
        };
        let title = format!("`{}` is of no use as `{key}`", text.value);
        let problem = self.problem(span, "bad-value", title).label(error.reason.clone());
        self.note(problem);
    }

    /// Notes each key that is none of these, with the nearest that is.
    pub(super) fn known_keys(&mut self, section: &Section<'_>, known: &[&str]) {
        for key in section.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = if section.path.is_empty() { "at the top".into() } else { format!("in [{}]", section.path) };
            let mut problem = self.problem(key.span(), "unknown-key", format!("there is no key `{name}` {place}"));
            problem = match nearest(name, known.iter().copied()) {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem.help(format!("known keys: {}", known.join(", "))),
            };
            self.note(problem);
        }
    }

    fn mismatch(&mut self, value: &Spanned<DeValue<'_>>, name: &str, expected: &str) {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        let title = format!("`{name}` is {expected}, and this is {article} {found}");
        self.error(value.span(), "wrong-type", title);
    }

    pub(super) fn table<'t>(&mut self, section: &Section<'t>, key: &str) -> Option<Section<'t>> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        match value.get_ref().as_table() {
            Some(table) => Some(Section::new(name, table, value.span())),
            None => {
                self.mismatch(value, &name, "a table");
                None
            }
        }
    }

    /// The tables `[key.NAME]`, with valid names.
    pub(super) fn named_tables<'t>(&mut self, section: &Section<'t>, key: &str) -> Vec<(String, Section<'t>)> {
        let Some(all) = self.table(section, key) else { return Vec::new() };
        let mut found = Vec::new();
        for (name, _) in all.table {
            let text = name.get_ref().to_string();
            if !is_name(&text) {
                let title = format!("`{text}` is no name for one of the {key}");
                let problem = self.problem(name.span(), "bad-name", title);
                let rule = "1 to 63 characters of a-z, 0-9, - and _, beginning with a letter or digit";
                self.note(problem.label("not a valid name").help(format!("a name has {rule}")));
            }
            if let Some(table) = self.table(&all, &text) {
                found.push((text, table));
            }
        }
        found
    }

    pub(super) fn text(&mut self, section: &Section<'_>, key: &str) -> Option<Text> {
        let value = section.get(key)?;
        self.text_of(value, &section.dotted(key))
    }

    /// A string with its variables replaced.
    pub(super) fn text_of(&mut self, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Text> {
        let Some(written) = value.get_ref().as_str() else {
            self.mismatch(value, name, "a string");
            return None;
        };
        match substitute(written, self.env) {
            Ok(value_text) => Some(Text { value: value_text, span: value.span() }),
            Err(why) => {
                let problem = self.problem(value.span(), "variable", format!("`{name}`: {why}"));
                self.note(problem.help("write ${NAME:-default} for a default, and $$ for a dollar sign"));
                None
            }
        }
    }

    /// A required string.
    pub(super) fn required(&mut self, section: &Section<'_>, key: &str, example: &str) -> Option<Text> {
        if section.get(key).is_none() {
            self.missing(section, key, example);
        }
        self.text(section, key)
    }

    pub(super) fn missing(&mut self, section: &Section<'_>, key: &str, example: &str) {
        let title = format!("[{}] has no `{key}`", section.path);
        let problem = self.problem(section.header(), "missing-key", title);
        self.note(problem.help(format!("add a line such as: {key} = {example}")));
    }

    /// A list of strings; one string alone is a list of one.
    pub(super) fn texts(&mut self, section: &Section<'_>, key: &str) -> Option<Vec<Text>> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        match value.get_ref() {
            DeValue::Array(list) => Some(list.iter().filter_map(|value| self.text_of(value, &name)).collect()),
            DeValue::String(_) => Some(self.text_of(value, &name).into_iter().collect()),
            _ => {
                self.mismatch(value, &name, "a list of strings");
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, section: &Section<'_>, key: &str, options: &[(&str, T)]) -> Option<T> {
        let text = self.text(section, key)?;
        let found = options.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            self.no_such(&text, &section.dotted(key), options.iter().map(|(word, _)| *word));
        }
        found
    }

    /// Notes a word that is none of those allowed.
    pub(super) fn no_such<'w>(&mut self, text: &Text, name: &str, words: impl Iterator<Item = &'w str> + Clone) {
        let title = format!("`{name}` cannot be \"{}\"", text.value);
        let mut problem = self.problem(text.span.clone(), "bad-value", title);
        if let Some(near) = nearest(&text.value, words.clone()) {
            problem = problem.label(format!("did you mean \"{near}\"?"));
        }
        let all: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
        self.note(problem.help(format!("it is one of {}", all.join(", "))));
    }

    pub(super) fn boolean(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let value = section.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.mismatch(value, &section.dotted(key), "true or false");
        }
        found
    }

    pub(super) fn integer(&mut self, section: &Section<'_>, key: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        let Some(written) = value.get_ref().as_integer() else {
            self.mismatch(value, &name, "a whole number");
            return None;
        };
        let digits = written.as_str().replace('_', "");
        match i128::from_str_radix(&digits, written.radix()).ok().and_then(|number| u64::try_from(number).ok()) {
            Some(number) if allowed.contains(&number) => Some(number),
            _ => {
                let title = format!("`{name}` must be between {} and {}", allowed.start(), allowed.end());
                self.error(value.span(), "out-of-range", title);
                None
            }
        }
    }

    pub(super) fn number(&mut self, section: &Section<'_>, key: &str, allowed: RangeInclusive<f64>) -> Option<f64> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        let Some(number) = number_of(value.get_ref()) else {
            self.mismatch(value, &name, "a number");
            return None;
        };
        if allowed.contains(&number) {
            return Some(number);
        }
        let title = format!("`{name}` must be between {} and {}", allowed.start(), allowed.end());
        self.error(value.span(), "out-of-range", title);
        None
    }

    pub(super) fn duration(
        &mut self,
        section: &Section<'_>,
        key: &str,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let text = self.text(section, key)?;
        let range = format!("{} to {}", show_duration(*allowed.start()), show_duration(*allowed.end()));
        self.measure(section, key, &text, parse_duration(&text.value), &allowed, &range)
    }

    pub(super) fn size(&mut self, section: &Section<'_>, key: &str, allowed: RangeInclusive<usize>) -> Option<usize> {
        let text = self.text(section, key)?;
        let range = format!("{} to {}", show_size(*allowed.start()), show_size(*allowed.end()));
        self.measure(section, key, &text, parse_size(&text.value), &allowed, &range)
    }

    fn measure<T: PartialOrd>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        text: &Text,
        parsed: Result<T, String>,
        allowed: &RangeInclusive<T>,
        range: &str,
    ) -> Option<T> {
        let name = section.dotted(key);
        match parsed {
            Ok(value) if allowed.contains(&value) => Some(value),
            Ok(_) => {
                self.error(text.span.clone(), "out-of-range", format!("`{name}` must be from {range}"));
                None
            }
            Err(why) => {
                let title = format!("`{name}` cannot be \"{}\"", text.value);
                let problem = self.problem(text.span.clone(), "bad-value", title).label(why);
                self.note(problem);
                None
            }
        }
    }
}

/// A number, whole or not.
pub(super) fn number_of(value: &DeValue<'_>) -> Option<f64> {
    let parse = |text: &str| text.replace('_', "").parse::<f64>().ok();
    match value {
        DeValue::Integer(written) if written.radix() == 10 => parse(written.as_str()),
        DeValue::Integer(written) => {
            i64::from_str_radix(&written.as_str().replace('_', ""), written.radix()).ok().map(|number| number as f64)
        }
        DeValue::Float(written) => parse(written.as_str()),
        _ => None,
    }
}

/// The word that was probably meant.
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

/// Replaces `${NAME}` and `${NAME:-default}`; `$$` is a dollar sign.
fn substitute(text: &str, env: Env<'_>) -> Result<String, String> {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            done.push('$');
            rest = after;
            continue;
        }
        let Some(inside) = after.strip_prefix('{') else {
            return Err("a dollar sign begins a variable: ${NAME}".to_owned());
        };
        let (name, after) = inside.split_once('}').ok_or("a variable is not closed: } is missing")?;
        let (name, default) = name.split_once(":-").map_or((name, None), |(name, default)| (name, Some(default)));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`{name}` is no name of a variable"));
        }
        match env(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => done.push_str(&value),
            None => return Err(format!("the environment variable {name} is not set")),
        }
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}
