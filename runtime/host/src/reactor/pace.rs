//! How long the runs of a reactor take, and how many to hand over at a time.

use std::time::Duration;

/// The maximum duration of the runs of one turn together; a longer run has its own turn.
pub(crate) const TURN: Duration = Duration::from_micros(500);
/// Most short runs of a reactor handed over at a time.
const AHEAD: usize = 64;

/// How long a reactor's runs take, a moving average.
#[derive(Debug, Default)]
pub(crate) struct Pace(Option<Duration>);

impl Pace {
    /// Records a run; one without a result was cancelled, probably because it took too long.
    pub(crate) fn ran(&mut self, took: Option<Duration>) {
        let took = took.unwrap_or(TURN);
        self.0 = Some(self.0.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// A run must be repeated because of a concurrent one: start fewer at a time.
    pub(crate) fn repeated(&mut self) {
        self.0 = Some(TURN);
    }

    /// Whether several fit in a turn.
    pub(crate) fn is_short(&self) -> bool {
        self.expected() * 4 <= TURN
    }

    /// How many runs to hand over at a time: enough to keep the threads busy until the host's next turn.
    pub(crate) fn ahead(&self, threads: usize) -> usize {
        let time = 2 * TURN * u32::try_from(threads).unwrap_or(u32::MAX);
        let runs = time.as_nanos() / self.expected().as_nanos().max(1);
        usize::try_from(runs).unwrap_or(AHEAD).min(AHEAD)
    }

    /// The expected duration of the next run. The first run has its own turn.
    pub(crate) fn expected(&self) -> Duration {
        self.0.unwrap_or(TURN)
    }
}
