//! What is told of an attempt: counted, logged and traced.

use std::time::Duration;

use reactor_core::event::{Event, Outcome};
use reactor_signal::{Ended, ReactorSignals};

use crate::judge::{self, Verdict};

/// What to tell of an attempt once its commit is durable; until then it may have to be repeated.
pub(crate) struct AttemptReport {
    pub(crate) verdict: Verdict,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// How many events it emitted.
    pub(crate) emitted: usize,
}

impl AttemptReport {
    /// Tells it, of this attempt at this event; `age` is the time since the delivery was admitted.
    pub(crate) fn announce(&self, event: &Event, attempt: u32, signals: &ReactorSignals, age: Duration) {
        let (code, error) = judge::describe(&self.outcome);
        let error = error.lines().next().unwrap_or_default();
        let ended = Ended { event: &event.id, event_type: &event.event_type, attempt, code, error, took: self.took };
        match &self.verdict {
            Verdict::Complete => signals.done(&ended, self.emitted, age),
            Verdict::Again { delay } => signals.retry(&ended, *delay),
            Verdict::Dead { reason } => signals.dead(&ended, reason),
        }
    }
}
