//! Texts and paths of the configuration that show what was written and have to be asked for what they mean.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// Shorter values are parts of any text, so that they cannot be found in the words of others.
pub(super) const LEAST: usize = 4;

/// A piece of a text of the file.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// It means itself.
    Literal(String),
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: String,
        /// What it stands for.
        value: String,
        /// Whether the environment has it; otherwise the value is the default, which stands in the file.
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

/// A text of the configuration in which variables may stand.
///
/// `Display` and `Debug` show what was written, such as `${QUEUE_URL}`: a variable's value may be a secret. What the
/// text means has to be asked for with [`Written::meaning`], which nothing that is printed should do.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written {
    meaning: String,
    shown: String,
    parts: Vec<Part>,
}

impl Written {
    /// A text as the file has it, of its parts.
    pub(super) fn new(shown: String, parts: Vec<Part>) -> Self {
        Self { meaning: meaning(&parts), shown, parts }
    }

    /// The same text, read as something that is spelled in one way only.
    pub(super) fn read_as(self, meaning: String) -> Self {
        Self { meaning, ..self }
    }

    /// What the text means, with the values of variables. Not for anything that is printed.
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

    /// The words of others, such as an answer that repeats a name, with what was written in place of what it means.
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

/// What parts mean together.
pub(super) fn meaning(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Literal(text) | Part::Variable { value: text, .. } => text.clone(),
    };
    parts.iter().map(text).collect()
}

/// A path of the configuration. `Display` and `Debug` show it with what was written; see [`Written`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Located {
    path: PathBuf,
    shown: String,
}

impl Located {
    /// A path of the file, which starts from a folder unless it is absolute.
    pub(super) fn new(root: &Path, text: &Written) -> Self {
        let path = Path::new(text.meaning());
        // What is written of an absolute path would be taken for a relative one.
        let shown = if path.is_absolute() { text.shown().to_owned() } else { show(&root.join(text.shown())) };
        Self { path: root.join(path), shown }
    }

    /// The path itself. Not for anything that is printed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The words of others, with what was written in place of the path.
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
