//! Log lines: on stderr, as text or JSON.
//!
//! In a terminal, a line begins with the local time of day, and each successful delivery gets a line, too, unless they
//! come too fast to read. Elsewhere a line begins with date and time in UTC, since it may be read much later and beside
//! others.

use std::fmt;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use reactor_observe::log::{Fields, Lines};
use reactor_signal::DELIVERIES;

use super::status::{Above, AboveJson};
use super::{Global, LogFormat};

/// The default for operators: information and above. The SDK logs at length where it looked for a region and
/// credentials; the result is reported at first use.
pub(super) const USUAL: &str = "info,aws_config=error,aws_smithy_runtime=error,aws_runtime=error";

/// How many lines per second about successes a terminal gets.
const READABLE: u64 = 20;

/// Starts logging with the filter in `RUST_LOG`, or this one.
pub(super) fn start(global: &Global, filter: &str) {
    let is_terminal = global.log == LogFormat::Text && std::io::stderr().is_terminal();
    let (filter, is_asked_for) = match asked_for() {
        Some(filter) => (filter, true),
        None if is_terminal && filter == USUAL => (EnvFilter::new(format!("{USUAL},{DELIVERIES}=debug")), false),
        None => (EnvFilter::new(filter), false),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(global.colored());
    match global.log {
        LogFormat::Json => lines.with_writer(|| AboveJson).json().flatten_event(true).init(),
        LogFormat::Text => {
            let lines = lines.with_writer(|| Above).fmt_fields(Fields);
            if !is_terminal {
                lines.event_format(Lines(DateAndTime)).init();
            } else if is_asked_for {
                lines.event_format(Lines(TimeOfDay(TimeZone::system()))).init();
            } else {
                lines.event_format(Sparing::new(Lines(TimeOfDay(TimeZone::system())))).init();
            }
        }
    }
}

/// The filter in `RUST_LOG`; an empty value counts as unset.
fn asked_for() -> Option<EnvFilter> {
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty())?;
    EnvFilter::try_new(&wanted)
        .inspect_err(|error| {
            say!("warning: RUST_LOG={wanted} is not understood, and the usual lines are logged: {error}");
        })
        .ok()
}

/// Date and time in UTC.
struct DateAndTime;

impl FormatTime for DateAndTime {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{:.3}", Timestamp::now())
    }
}

/// The time of day in this time zone.
struct TimeOfDay(TimeZone);

impl FormatTime for TimeOfDay {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let time = self.0.to_datetime(Timestamp::now()).time();
        write!(to, "{:02}:{:02}:{:02}.{:03}", time.hour(), time.minute(), time.second(), time.millisecond())
    }
}

/// Writes at most [`READABLE`] lines a second below the level of information, and reports when it omits some.
struct Sparing<F> {
    lines: F,
    start: Instant,
    /// The second since the start, times 2^32, plus the number of lines in it.
    had: AtomicU64,
    said: OnceLock<()>,
}

impl<F> Sparing<F> {
    fn new(lines: F) -> Self {
        Self { lines, start: Instant::now(), had: AtomicU64::new(0), said: OnceLock::new() }
    }

    /// Whether the second `now` has room for another line.
    fn has_room(&self, now: u64) -> bool {
        let next = |had: u64| if had >> 32 == now { had + 1 } else { (now << 32) + 1 };
        let had = self.had.fetch_update(Relaxed, Relaxed, |had| Some(next(had))).map_or(0, next);
        had & u64::from(u32::MAX) <= READABLE
    }
}

impl<F, S, N> FormatEvent<S, N> for Sparing<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let is_spared = *event.metadata().level() > Level::INFO && !self.has_room(self.start.elapsed().as_secs());
        if !is_spared {
            return self.lines.format_event(context, to, event);
        }
        if self.said.set(()).is_ok() {
            writeln!(
                to,
                "(more than {READABLE} deliveries a second: not all that went well are shown; RUST_LOG=debug shows them)"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_room_for_as_many_lines_as_can_be_read() {
        let sparing = Sparing::new(());
        for second in [0, 1, 7] {
            let lines = (0..3 * READABLE).filter(|_| sparing.has_room(second)).count();
            assert_eq!(lines as u64, READABLE, "in second {second}");
        }
    }
}
