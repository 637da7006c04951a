//! How long the runs of a reactor take, and what follows from it for handing them over.

use std::time::Duration;

/// What the runs of one turn should take together, at most; a longer run has a turn of its own.
pub(crate) const TURN: Duration = Duration::from_micros(500);
/// Most short runs of a reactor handed over at a time.
const AHEAD: usize = 64;

/// How long a reactor's runs take, a moving average.
#[derive(Debug, Default)]
pub(crate) struct Pace(Option<Duration>);

impl Pace {
    /// Learns from a run; one without a result was given up, probably because it took too long.
    pub(crate) fn ran(&mut self, took: Option<Duration>) {
        let took = took.unwrap_or(TURN);
        self.0 = Some(self.0.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// A run has to be repeated, because it ran beside another one: fewer at a time will do better.
    pub(crate) fn repeated(&mut self) {
        self.0 = Some(TURN);
    }

    /// Whether several fit in a turn.
    pub(crate) fn is_short(&self) -> bool {
        self.expected() * 4 <= TURN
    }

    /// How many runs to hand over at a time: what keeps the threads busy until the host has had its turn.
    pub(crate) fn ahead(&self, threads: usize) -> usize {
        let time = 2 * TURN * u32::try_from(threads).unwrap_or(u32::MAX);
        let runs = time.as_nanos() / self.expected().as_nanos().max(1);
        usize::try_from(runs).unwrap_or(AHEAD).min(AHEAD)
    }

    /// What the next run will probably take. The first one has a turn of its own.
    pub(crate) fn expected(&self) -> Duration {
        self.0.unwrap_or(TURN)
    }
}
