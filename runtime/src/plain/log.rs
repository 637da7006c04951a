//! The fields of log lines for people: whatever is in them, an event is one line.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use super::{MARGIN, escape, is_hidden};

/// The field for a text of the program's own that has several lines, which are written below the event's line. It is escaped
/// already, so its backslashes stay.
pub const DIAGNOSTICS: &str = "diagnostics";

/// Formats fields like `tracing-subscriber` does, but escaped by [`super::line`]: its own escape knows ANSI only, and leaves
/// line ends, directions and what is invisible.
#[derive(Clone, Copy, Debug)]
pub struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn field(&mut self, field: &Field, value: &dyn Debug, backslash: bool) -> fmt::Result {
        let name = field.name().trim_start_matches("r#");
        if name == DIAGNOSTICS {
            return write!(Escaping { to: &mut self.writer, backslash: false, margin: true }, "\n{value:?}");
        }
        if !std::mem::replace(&mut self.is_first, false) {
            self.writer.write_char(' ')?;
        }
        match name {
            "message" => {}
            name if self.writer.has_ansi_escapes() => write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            name => write!(self.writer, "{name}=")?,
        }
        write!(Escaping { to: &mut self.writer, backslash, margin: false }, "{value:?}")
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return self.record_debug(field, &format_args!("{value}"));
        }
        if self.result.is_ok() {
            // Quoted, and the quotes' escape has doubled the backslashes already.
            self.result = self.field(field, &value, false);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.result.is_ok() {
            self.result = self.field(field, value, true);
        }
    }
}

/// Escapes what is written through it.
struct Escaping<'w> {
    to: &'w mut dyn Write,
    /// Whether backslashes are doubled.
    backslash: bool,
    /// Whether line ends stay, with a margin behind them.
    margin: bool,
}

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_marked = |c| c == '\\' && self.backslash || is_hidden(c);
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_marked(*c)) {
            self.to.write_str(&rest[..at])?;
            match c {
                '\n' if self.margin => write!(self.to, "\n{MARGIN}")?,
                c => escape(c, self.to)?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.to.write_str(rest)
    }
}
