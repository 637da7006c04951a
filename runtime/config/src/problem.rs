//! What is wrong, where, why, and how to fix it.

use std::borrow::Cow;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use reactor_core::plain::{Shown, line, lines};

use super::Secrets;
use super::place::{Place, Source};

/// Most problems shown; a file of another format would fill screens.
const MOST_SHOWN: usize = 100;
/// Longest title or label, in characters.
const LONGEST: usize = 400;

/// One error or warning.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The kind of problem.
    pub code: &'static str,
    place: Place,
    is_warning: bool,
    title: String,
    label: Option<String>,
    related: Vec<(Place, String)>,
    notes: Vec<String>,
    help: Option<String>,
}

impl Problem {
    /// An error.
    pub fn at(place: Place, code: &'static str, title: impl Into<String>) -> Self {
        Self {
            code,
            place,
            is_warning: false,
            title: shortened(title.into()),
            label: None,
            related: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Turns it into a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.is_warning = true;
        self
    }

    /// Adds a label to the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(shortened(label.into()));
        self
    }

    /// Points at a related place in the same file.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }

    /// Adds why it matters.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Hides the values of variables in all its texts.
    fn hide(&mut self, secrets: &Secrets) {
        let related = self.related.iter_mut().map(|(_, label)| label);
        let texts = [&mut self.title].into_iter().chain(&mut self.label).chain(&mut self.help);
        for text in texts.chain(&mut self.notes).chain(related) {
            if let Cow::Owned(hidden) = secrets.hide(text) {
                *text = hidden;
            }
        }
    }

    /// The report over the file's text in its displayed form.
    fn report<'r>(&'r self, shown: &'r Shown<'_>) -> Vec<Group<'r>> {
        let level = if self.is_warning { Level::WARNING } else { Level::ERROR };
        let title = level.primary_title(lines(&self.title)).id(self.code);
        let Source { path, text } = &*self.place.source;
        let mut group = if text.is_empty() {
            Group::with_title(title)
        } else {
            let mark =
                AnnotationKind::Primary.span(shown.place(&self.place.span)).label(self.label.as_deref().map(lines));
            let others = self
                .related
                .iter()
                .map(|(place, label)| AnnotationKind::Context.span(shown.place(&place.span)).label(lines(label)));
            title.element(Snippet::source(&*shown.text).path(line(path)).annotation(mark).annotations(others))
        };
        group = group.elements(self.notes.iter().map(|note| Level::NOTE.message(lines(note))));
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(lines(help)));
        }
        vec![group]
    }

    fn to_json(&self) -> Value {
        let (line, column) = self.place.line_and_column();
        let related = self.related.iter().map(|(place, label)| {
            let (line, column) = place.line_and_column();
            json!({ "line": line, "column": column, "message": label })
        });
        json!({
            "severity": if self.is_warning { "warning" } else { "error" },
            "code": self.code,
            "message": self.title,
            "reason": self.label,
            "notes": self.notes,
            "help": self.help,
            "related": related.collect::<Vec<_>>(),
            "file": self.place.source.path,
            "line": line,
            "column": column,
        })
    }
}

/// Shortens a message that quotes a long value.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// All problems, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Problems {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds some.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.0.extend(problems);
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Sorts them in the order of the file.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|problem| problem.place.span.start);
    }

    /// Hides the values of variables in all of them.
    pub fn hide(&mut self, secrets: &Secrets) {
        self.0.iter_mut().for_each(|problem| problem.hide(secrets));
    }

    /// For people, in the style of rustc.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let shown = self.0.iter().take(MOST_SHOWN);
        let mut texts: Vec<String> =
            shown.map(|problem| renderer.render(&problem.report(&Shown::new(&problem.place.source.text)))).collect();
        if let Some(more @ 1..) = self.0.len().checked_sub(MOST_SHOWN) {
            texts.push(format!("... and {more} more"));
        }
        texts.join("\n\n")
    }

    /// For programs: `ok` is false if any of them is an error; `more` counts the omitted ones.
    pub fn to_json(&self) -> Value {
        json!({
            "ok": self.0.iter().all(|problem| problem.is_warning),
            "problems": self.0.iter().take(MOST_SHOWN).map(Problem::to_json).collect::<Vec<_>>(),
            "more": self.0.len().saturating_sub(MOST_SHOWN),
        })
    }
}
