//! Texts and paths of the configuration that display as written; their meaning must be requested explicitly.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// Shorter values occur in any text, so they cannot be recognised in texts from elsewhere.
pub(super) const LEAST: usize = 4;

/// A part of a text of the file.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that means itself.
    Literal(String),
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Whether it is set in the environment; otherwise the value is the default, which is in the file.
        is_set: bool,
    },
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => write!(f, "{text:?}"),
            Self::Variable { name, .. } => write!(f, "${{{name}}}"),
        }
    }
}

/// A text of the configuration that may contain variables.
///
/// `Display` and `Debug` show it as written, such as `${QUEUE_URL}`, since a variable's value may be secret.
/// [`Written::meaning`] returns the value, which must not be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written {
    meaning: String,
    shown: String,
    parts: Vec<Part>,
}

impl Written {
    /// A text made of these parts, displayed as given.
    pub(super) fn new(shown: String, parts: Vec<Part>) -> Self {
        Self { meaning: meaning(&parts), shown, parts }
    }

    /// The same text with a normalised meaning.
    pub(super) fn read_as(self, meaning: String) -> Self {
        Self { meaning, ..self }
    }

    /// The text with the values of variables. Must not be printed.
    pub fn meaning(&self) -> &str {
        &self.meaning
    }

    /// What was written.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Its pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether a variable is part of it.
    pub fn has_variable(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable { .. }))
    }

    /// A text from elsewhere, such as an answer that repeats a name, with the meaning replaced by the text as written.
    pub fn hide<'t>(&self, words: &'t str) -> Cow<'t, str> {
        if !self.has_variable() || self.meaning.is_empty() {
            return words.into();
        }
        let mut words = Cow::Borrowed(words);
        let mut replace = |value: &str, shown: &str| {
            if value.len() >= LEAST && words.contains(value) {
                words = words.replace(value, shown).into();
            }
        };
        replace(&self.meaning, &self.shown);
        for part in &self.parts {
            if let Part::Variable { name, value, is_set: true } = part {
                replace(value, &format!("${{{name}}}"));
            }
        }
        words
    }
}

impl From<&str> for Written {
    /// A text without variables.
    fn from(text: &str) -> Self {
        Self { meaning: text.to_owned(), shown: text.to_owned(), parts: vec![Part::Literal(text.to_owned())] }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown)
    }
}

/// The joint meaning of parts.
pub(super) fn meaning(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Literal(text) | Part::Variable { value: text, .. } => text.clone(),
    };
    parts.iter().map(text).collect()
}

/// A path of the configuration. `Display` and `Debug` show it as written; see [`Written`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Located {
    path: PathBuf,
    shown: String,
}

impl Located {
    /// A path of the file, relative to a folder unless it is absolute.
    pub(super) fn new(root: &Path, text: &Written) -> Self {
        let path = Path::new(text.meaning());
        // `join` would take the written form of an absolute path, such as `${DIR}/a`, for a relative one.
        let shown = if path.is_absolute() { text.shown().to_owned() } else { show(&root.join(text.shown())) };
        Self { path: root.join(path), shown }
    }

    /// The path itself. Must not be printed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A text from elsewhere, with the path replaced by its written form.
    pub fn hide<'t>(&self, words: &'t str) -> Cow<'t, str> {
        let path = show(&self.path);
        if path == self.shown || path.len() < LEAST || !words.contains(&path) {
            return words.into();
        }
        words.replace(&path, &self.shown).into()
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

impl From<PathBuf> for Located {
    /// A path that does not come from the file.
    fn from(path: PathBuf) -> Self {
        Self { shown: show(&path), path }
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> Part {
        Part::Variable { name: name.to_owned(), value: value.to_owned(), is_set: true }
    }

    #[test]
    fn what_is_shown_is_what_was_written() {
        let parts = vec![Part::Literal("orders-".into()), variable("STAGE", "canary")];
        let text = Written::new("orders-${STAGE}".into(), parts);
        assert_eq!(text.meaning(), "orders-canary");
        assert_eq!((text.to_string(), format!("{text:?}")), ("orders-${STAGE}".into(), "\"orders-${STAGE}\"".into()));
        assert_eq!(text.hide("no queue orders-canary at canary"), "no queue orders-${STAGE} at ${STAGE}");
    }

    #[test]
    fn paths_are_shown_below_the_folder_that_they_start_from() {
        let text = |value: &str| Written::new("${DIR}/a.wasm".into(), vec![variable("DIR", value)]);
        let located = Located::new(Path::new("/srv/shop"), &text("canary"));
        assert_eq!(
            (located.to_string(), located.path()),
            ("/srv/shop/${DIR}/a.wasm".into(), Path::new("/srv/shop/canary"))
        );
        assert_eq!(located.hide("cannot read /srv/shop/canary: no"), "cannot read /srv/shop/${DIR}/a.wasm: no");
        let absolute = Located::new(Path::new("/srv/shop"), &text("/canary"));
        assert_eq!((format!("{absolute:?}"), absolute.path()), ("\"${DIR}/a.wasm\"".into(), Path::new("/canary")));
    }
}
