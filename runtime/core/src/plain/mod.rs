//! Untrusted text, made safe to print: the one escape of everything that this program writes to a terminal.
//!
//! Texts are kept and passed on as they came: stores, JSON and errors hold them unchanged, and only what prints them escapes
//! them. A text that was escaped where it was found and once more where it is printed could not be read any more.
//!
//! Escaped is what a terminal acts on and what it shows nothing for ([`is_hidden`]). `char::escape_debug` of the standard
//! library is another set: it escapes quotes and every combining accent, but neither variation selectors nor the fillers
//! of Hangul. The general categories of Unicode (`unicode-general-category`) do not tell these apart, either, and a width
//! of 0 (`unicode-width`) is also that of an accent.

use std::borrow::Cow;
use std::fmt::{self, Write};

mod source;
#[doc(hidden)]
pub mod testing;

pub use source::Shown;

/// What a line begins with that belongs to a text from outside. No line of the program itself begins like this.
pub const MARGIN: &str = "  | ";

/// Whether a terminal acts on the character, or shows nothing for it.
///
/// That is every control character (line ends, tabs, ANSI escapes, C1), the separators of lines and paragraphs, the controls
/// of the direction of writing, annotations, and all that Unicode calls "default ignorable": spaces and joiners
/// without a width, the byte order mark, variation selectors, tags, fillers. The joiner in an emoji is no
/// exception: an id with a joiner must not look like the id without it, so a family is shown as its members.
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{13430}'..='\u{1345f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text on one line: hidden characters as `\n`, `\r`, `\t` or `\u{202e}`, and a backslash as `\\`, so that two different
/// texts never look the same.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\\' || is_hidden(c), escape)
}

/// A text that may have several lines: its first line as by [`line()`], each further one on a line of its own behind
/// [`MARGIN`].
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |c| c == '\\' || is_hidden(c),
        |c, out| match c {
            '\n' => write!(out, "\n{MARGIN}"),
            c => escape(c, out),
        },
    )
}

/// A JSON text with its hidden characters in JSON's own escapes: still JSON, of the same value.
///
/// Line ends between the tokens stay, and so do tabs; a carriage return there becomes a space.
pub fn json(text: &str) -> Cow<'_, str> {
    // Outside of strings JSON is ASCII, and inside of them it has no raw line ends and tabs.
    escaped(
        text,
        |c| !matches!(c, '\n' | '\t') && is_hidden(c),
        |c, out| match c {
            '\r' => out.write_char(' '),
            c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}")),
        },
    )
}

/// Writes a character's escape.
pub fn escape(c: char, out: &mut dyn Write) -> fmt::Result {
    match c {
        '\\' | '\n' | '\r' | '\t' => write!(out, "{}", c.escape_default()),
        c => write!(out, "{}", c.escape_unicode()),
    }
}

fn escaped(
    text: &str,
    is_marked: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut dyn Write) -> fmt::Result,
) -> Cow<'_, str> {
    if !text.contains(&is_marked) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_marked(c) {
            // Writing to a string does not fail.
            let _ = escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
