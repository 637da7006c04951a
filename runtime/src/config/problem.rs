//! What is wrong, where, why, and what to do about it.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

/// A file, as far as messages need it.
#[derive(Debug)]
pub struct Source {
    /// As the user named it.
    pub path: String,
    /// What is in it; empty if it could not be read.
    pub text: String,
}

/// A stretch of a file.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Place {
    /// A stretch of bytes, cut to what is there.
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
    fn line_and_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// One thing that is wrong, or odd.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Names the kind of problem.
    pub code: &'static str,
    place: Place,
    is_warning: bool,
    title: String,
    label: Option<String>,
    help: Option<String>,
}

impl Problem {
    /// An error.
    pub fn at(place: Place, code: &'static str, title: impl Into<String>) -> Self {
        Self { code, place, is_warning: false, title: title.into(), label: None, help: None }
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.is_warning = true;
        self
    }

    /// Says something beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn report(&self) -> Vec<Group<'_>> {
        let level = if self.is_warning { Level::WARNING } else { Level::ERROR };
        let title = level.primary_title(self.title.as_str()).id(self.code);
        let Source { path, text } = &*self.place.source;
        let mut group = if text.is_empty() {
            Group::with_title(title)
        } else {
            let mark = AnnotationKind::Primary.span(self.place.span.clone()).label(self.label.as_deref());
            title.element(Snippet::source(text.as_str()).path(path.as_str()).annotation(mark))
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        vec![group]
    }

    fn to_json(&self) -> Value {
        let (line, column) = self.place.line_and_column();
        json!({
            "severity": if self.is_warning { "warning" } else { "error" },
            "code": self.code,
            "message": self.title,
            "reason": self.label,
            "help": self.help,
            "file": self.place.source.path,
            "line": line,
            "column": column,
        })
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Problems {
    /// Whether there is nothing to say.
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

    /// Puts them in the order of the file.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|problem| problem.place.span.start);
    }

    /// For people, in the manner of rustc.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let texts: Vec<String> = self.0.iter().map(|problem| renderer.render(&problem.report())).collect();
        texts.join("\n\n")
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({ "ok": false, "problems": self.0.iter().map(Problem::to_json).collect::<Vec<_>>() })
    }
}
