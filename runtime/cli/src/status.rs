//! The status line of `up` in a terminal, and log lines that do not interfere with it.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};

use reactor_core::plain;
use reactor_core::store::{Stats, StoreClient};
use reactor_signal::{Signals, Totals};

/// How often the line is redrawn.
const EVERY: Duration = Duration::from_millis(500);

/// The status line, if one is shown.
static LINE: OnceLock<ProgressBar> = OnceLock::new();

/// Writes log lines to stderr, above the status line if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above;

/// The same for lines of JSON, with hidden characters as JSON escapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct AboveJson;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let hidden = super::hidden::hide_bytes(bytes);
        let write = || io::stderr().write_all(&hidden);
        match LINE.get() {
            Some(line) => line.suspend(write)?,
            None => write()?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Write for AboveJson {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Each write is a whole line.
        Above.write_all(plain::json(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Above.flush()
    }
}

/// Whether a status line makes sense: stderr is a terminal, and the log lines are for people.
pub(super) fn wanted(plain_log: bool) -> bool {
    plain_log && io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Shows the line until the task is dropped.
pub(super) async fn show(signals: Arc<Signals>, store: Arc<dyn StoreClient>) {
    let line = LINE.get_or_init(ProgressBar::new_spinner);
    line.set_style(
        ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut since) = (Totals::default(), Instant::now());
    loop {
        let now = ticks.tick().await;
        let store = Arc::clone(&store);
        let Ok(Ok(stats)) = tokio::task::spawn_blocking(move || store.stats()).await else { continue };
        let totals = signals.totals(stats.reactors.iter().map(|reactor| &reactor.name));
        let seconds = now.duration_since(since).as_secs_f64().max(0.001);
        line.set_message(text(&totals, totals.done.saturating_sub(before.done) as f64 / seconds, &stats));
        line.tick();
        (before, since) = (totals, now);
    }
}

/// Removes the line.
pub(super) fn clear() {
    LINE.get().into_iter().for_each(ProgressBar::finish_and_clear);
}

fn text(totals: &Totals, rate: f64, stats: &Stats) -> String {
    let waiting: u64 = stats.reactors.iter().map(|reactor| reactor.waiting).sum();
    let behind: u64 = stats.backlog.iter().map(|(_, backlog)| backlog).sum();
    let outbox: u64 = stats.outbox.iter().map(|(_, messages)| messages).sum();
    let Totals { done, failed, dead, running, queued, broken, throttled } = totals;
    let mut text = format!("{rate:.0}/s · {done} done · {running} running · {queued} queued · {waiting} waiting");
    for (count, what) in [(failed, "failed"), (dead, "dead")] {
        if *count > 0 {
            text += &format!(" · {count} {what}");
        }
    }
    for (count, what) in [(behind, "unread"), (outbox, "to send")] {
        if count > 0 {
            text += &format!(" · {count} {what}");
        }
    }
    for (count, what) in [(throttled, "at their rate"), (broken, "breaker open")] {
        if *count > 0 {
            text += &format!(" · {count} {what}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_there_is_and_no_more() {
        let quiet = text(&Totals::default(), 0.0, &Stats::default());
        assert_eq!(quiet, "0/s · 0 done · 0 running · 0 queued · 0 waiting");
        let totals = Totals { done: 10, failed: 2, dead: 1, running: 3, queued: 7, broken: 1, throttled: 2 };
        let stats = Stats { backlog: vec![("shop".into(), 5), ("b".into(), 1)], ..Stats::default() };
        let busy = text(&totals, 12.4, &stats);
        assert_eq!(
            busy,
            "12/s · 10 done · 3 running · 7 queued · 0 waiting · 2 failed · 1 dead · 6 unread · 2 at their rate · 1 breaker open"
        );
    }
}
