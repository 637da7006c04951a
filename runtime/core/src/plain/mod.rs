//! Makes untrusted text safe to print: the one escape for everything that this program writes to a terminal.
//!
//! Texts are kept and passed on unchanged in stores, JSON and errors; only the code that prints them escapes them. A
//! text escaped both at its source and when printed would be unreadable.
//!
//! It escapes characters that a terminal acts on or shows nothing for ([`is_hidden`]). `char::escape_debug` of the
//! standard library covers another set: it escapes quotes and every combining accent, but neither variation selectors
//! nor the fillers of Hangul. The general categories of Unicode (`unicode-general-category`) do not distinguish these
//! either, and an accent also has a width of 0 (`unicode-width`).

use std::borrow::Cow;
use std::fmt::{self, Write};

mod source;
#[doc(hidden)]
pub mod testing;

pub use source::Shown;

/// Prefix of a line that belongs to untrusted text. The program's own lines never begin like this.
pub const MARGIN: &str = "  | ";

/// Whether a terminal acts on the character, or shows nothing for it.
///
/// These are all control characters (line ends, tabs, ANSI escapes, C1), line and paragraph separators, controls of the
/// writing direction, annotations, and everything that Unicode calls "default ignorable": zero-width spaces and
/// joiners, the byte order mark, variation selectors, tags, fillers. The joiner in an emoji is no exception: an id with
/// a joiner must not look like the id without it, so a family is shown as its members.
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

/// A text on one line: hidden characters become `\n`, `\r`, `\t` or `\u{202e}`, and a backslash becomes `\\`, so that
/// two different texts never look the same.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\\' || is_hidden(c), escape)
}

/// A text that may have several lines: the first line as by [`line()`], each further one on its own line after
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

/// A JSON text whose hidden characters are written as JSON escapes: still JSON, with the same value.
///
/// Line ends between the tokens stay, and so do tabs; a carriage return there becomes a space.
pub fn json(text: &str) -> Cow<'_, str> {
    // Outside strings JSON is ASCII; inside strings it has no raw line ends or tabs.
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
            // Writing to a string cannot fail.
            let _ = escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
