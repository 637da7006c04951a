//! Times a call that is too short to be timed alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;

/// Nanoseconds per call, of the median round; `--smoke` makes the rounds short.
pub(crate) fn nanos_per_call<T>(mut call: impl FnMut() -> T) -> f64 {
    let per_round = if std::env::args().any(|arg| arg == "--smoke") { 50 } else { 5_000 };
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..per_round {
                black_box(call());
            }
            start.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(per_round)
}
