//! Lines of a file, shown with markers below them.

use std::borrow::Cow;
use std::ops::Range;

use super::is_hidden;

/// The text of a file with hidden characters escaped, and a mapping of its positions.
///
/// Line ends, tabs and backslashes stay: in a configuration, backslashes are escapes themselves and must be shown as
/// written.
pub struct Shown<'t> {
    /// The escaped text.
    pub text: Cow<'t, str>,
    /// For each escape, where it begins in the original and how many bytes longer the text is after it.
    longer: Vec<(usize, usize)>,
}

impl<'t> Shown<'t> {
    /// Escapes the text of a file.
    pub fn new(text: &'t str) -> Self {
        let mut shown = String::new();
        let (mut longer, mut more, mut copied) = (Vec::new(), 0, 0);
        for (at, c) in text.char_indices() {
            let ends_line = c == '\n' || c == '\r' && text[at..].starts_with("\r\n");
            if ends_line || c == '\t' || !is_hidden(c) {
                continue;
            }
            shown.push_str(&text[copied..at]);
            let escape = c.escape_unicode();
            more += escape.len() - c.len_utf8();
            longer.push((at, more));
            shown.extend(escape);
            copied = at + c.len_utf8();
        }
        if longer.is_empty() {
            return Self { text: Cow::Borrowed(text), longer };
        }
        shown.push_str(&text[copied..]);
        Self { text: Cow::Owned(shown), longer }
    }

    /// Where a range of the original is in the shown text.
    pub fn place(&self, span: &Range<usize>) -> Range<usize> {
        let moved = |at: usize| {
            let before = self.longer.partition_point(|(escape, _)| *escape < at);
            at + before.checked_sub(1).map_or(0, |last| self.longer[last].1)
        };
        moved(span.start)..moved(span.end)
    }
}
