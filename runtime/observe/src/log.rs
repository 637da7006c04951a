//! Log lines for people: one short line for each happening, regardless of the text in it.
//!
//! A line says when it happened, how serious it is, what it is about, and what happened:
//!
//! ```text
//! 09:48:21.401  WARN inventory order.placed evt-008: dead letter (rejected, 2 ms): quantity is 0
//! ```
//!
//! The subject is a reactor with the event it works on, or a channel. A line that a module wrote has a `|` where the
//! host's own lines have a `:`. Some fields, such as the correlation id, appear only in the JSON format.

#[cfg(test)]
mod tests;

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use reactor_core::plain::{MARGIN, escape, is_hidden};

/// The field for the program's own multi-line texts, which are written below the event's line. The text is already
/// escaped, so its backslashes stay.
pub const DIAGNOSTICS: &str = "diagnostics";

/// The target of the lines that a module writes.
pub(crate) const LOG_TARGET: &str = "reactor::guest";

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Formats an event as a line that begins with the time.
#[derive(Clone, Copy, Debug)]
pub struct Lines<T>(pub T);

impl<S, T> FormatEvent<S, Fields> for Lines<T>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    T: FormatTime,
{
    fn format_event(&self, context: &FmtContext<'_, S, Fields>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let is_guests = event.metadata().target() == LOG_TARGET;
        painted(&mut to, DIM, |to| self.0.format_time(to))?;
        write_level(&mut to, *event.metadata().level())?;
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        for span in spans {
            if let Some(about) = span.extensions().get::<FormattedFields<Fields>>().filter(|about| !about.is_empty()) {
                write!(to, "{about}{} ", if is_guests { " |" } else { ":" })?;
            }
        }
        for part in [Part::Subject, Part::Happening, Part::Rest] {
            let mut visitor = Visitor { to: to.by_ref(), part, is_first: true, result: Ok(()) };
            event.record(&mut visitor);
            visitor.end()?;
        }
        to.write_char('\n')
    }
}

/// Formats the fields of a span as the subject of the lines within it.
#[derive(Clone, Copy, Debug)]
pub struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, to: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { to, part: Part::Span, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

fn write_level(to: &mut Writer<'_>, level: Level) -> fmt::Result {
    let color = match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    };
    to.write_char(' ')?;
    painted(to, color, |to| write!(to, "{:>5}", level.as_str()))?;
    to.write_char(' ')
}

fn painted<'w>(to: &mut Writer<'w>, style: &str, write: impl FnOnce(&mut Writer<'w>) -> fmt::Result) -> fmt::Result {
    if !to.has_ansi_escapes() {
        return write(to);
    }
    to.write_str(style)?;
    write(to)?;
    to.write_str(PLAIN)
}

/// The fields of an event come in source order; each pass over them writes one part of the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All fields of a span.
    Span,
    /// The reactor and the event, or the channel.
    Subject,
    /// The message, and the other fields in parentheses.
    Happening,
    /// The error, and diagnostics.
    Rest,
}

impl Part {
    fn of(name: &str) -> Self {
        match name {
            "reactor" | "type" | "event" | "channel" | "offset" => Self::Subject,
            "error" | DIAGNOSTICS => Self::Rest,
            _ => Self::Happening,
        }
    }
}

struct Visitor<'w> {
    to: Writer<'w>,
    part: Part,
    /// Whether nothing of the part has been written yet.
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// Writes a field, if it belongs to this part. `text` is its value, if that is a string; `value` shows it in any
    /// case.
    fn field(&mut self, field: &Field, text: Option<&str>, value: &dyn Debug) -> fmt::Result {
        let name = field.name().trim_start_matches("r#");
        if self.part != Part::Span && self.part != Part::of(name) {
            return Ok(());
        }
        match (self.part, name) {
            // The subject of a line.
            (_, "reactor") => {
                self.separate("", " ")?;
                let value = Word(text, value);
                painted(&mut self.to, BOLD, |to| write!(to, "{value}"))
            }
            (_, "type" | "event") => {
                self.separate("", " ")?;
                write!(self.to, "{}", Word(text, value))
            }
            (Part::Subject, "channel") => {
                self.separate("", " ")?;
                write!(self.to, "channel {}", Word(text, value))
            }
            (Part::Subject, _) => write!(self.to, "/{}", Word(text, value)),
            // Redundant with the rest of the line, or the usual case.
            (Part::Span, "correlation") => Ok(()),
            (_, "attempt" | "emitted") if is_usual(name, value) => Ok(()),
            (_, "code") if text == Some("retry") => Ok(()),
            (Part::Span, "attempt") => write!(self.to, " (attempt {value:?})"),
            // What happened.
            (_, "message") => write!(self.escaping(true), "{value:?}"),
            (Part::Rest, DIAGNOSTICS) => {
                write!(Escaping { to: &mut self.to, backslash: false, margin: true }, "\n{value:?}")
            }
            (Part::Rest, _) => match text {
                Some("") => Ok(()),
                Some(text) => write!(self.escaping(true), ": {text}"),
                None => write!(self.escaping(true), ": {value:?}"),
            },
            (part, _) => {
                if part == Part::Span {
                    self.separate("", " ")?;
                } else {
                    self.open()?;
                }
                self.detail(name, text, value)
            }
        }
    }

    /// Writes the separator before a field.
    fn separate(&mut self, first: &str, other: &str) -> fmt::Result {
        let between = if std::mem::replace(&mut self.is_first, false) { first } else { other };
        self.to.write_str(between)
    }

    fn open(&mut self) -> fmt::Result {
        if self.is_first && self.to.has_ansi_escapes() {
            self.to.write_str(DIM)?;
        }
        self.separate(" (", ", ")
    }

    fn detail(&mut self, name: &str, text: Option<&str>, value: &dyn Debug) -> fmt::Result {
        match name {
            "ms" => write!(self.to, "{value:?} ms"),
            "again_in_ms" => write!(self.to, "again in {value:?} ms"),
            "code" | "reason" => write!(self.to, "{}", Word(text, value)),
            "attempt" | "emitted" => write!(self.to, "{name} {value:?}"),
            _ => {
                write!(self.to, "{name}=")?;
                // A string is quoted, and the quoting has already doubled the backslashes.
                write!(self.escaping(text.is_none()), "{value:?}")
            }
        }
    }

    fn escaping(&mut self, backslash: bool) -> Escaping<'_> {
        Escaping { to: &mut self.to, backslash, margin: false }
    }

    /// Writes the end of the part, if anything was written.
    fn end(mut self) -> fmt::Result {
        self.result?;
        match self.part {
            _ if self.is_first => Ok(()),
            Part::Subject => self.to.write_str(": "),
            Part::Happening if self.to.has_ansi_escapes() => write!(self.to, "){PLAIN}"),
            Part::Happening => self.to.write_char(')'),
            Part::Span | Part::Rest => Ok(()),
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return self.record_debug(field, &format_args!("{value}"));
        }
        if self.result.is_ok() {
            self.result = self.field(field, Some(value), &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.result.is_ok() {
            self.result = self.field(field, None, value);
        }
    }
}

/// Whether the number of attempts or of emitted events is not worth showing: a first attempt, and no events.
fn is_usual(name: &str, value: &dyn Debug) -> bool {
    /// Compares what is written to it with a text.
    struct Is(&'static str);

    impl Write for Is {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if text == self.0 { Ok(()) } else { Err(fmt::Error) }
        }
    }

    write!(Is(if name == "attempt" { "1" } else { "0" }), "{value:?}").is_ok()
}

/// A value that is one word of a line: quoted if part of it could be mistaken for another part of the line.
struct Word<'v>(Option<&'v str>, &'v dyn Debug);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may_stand_alone = |c: char| c.is_alphanumeric() || "-_.:/@#+=~%*&!?$".contains(c);
        match self.0 {
            Some(text) if !text.is_empty() && text.chars().all(may_stand_alone) => {
                write!(Escaping { to: f, backslash: true, margin: false }, "{text}")
            }
            Some(_) => write!(Escaping { to: f, backslash: false, margin: false }, "{:?}", self.1),
            None => write!(Escaping { to: f, backslash: true, margin: false }, "{:?}", self.1),
        }
    }
}

/// Escapes the text that is written through it.
struct Escaping<'w> {
    to: &'w mut dyn Write,
    /// Whether backslashes are doubled.
    backslash: bool,
    /// Whether line ends stay, each followed by a margin.
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
