//! Seam: time and randomness, so that tests can drive both.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Where the host gets the time and random numbers from.
///
/// `elapsed` decides (time-outs, back-off, windows); `wall` is only ever shown or handed to guests.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed point of this process; never goes back.
    fn elapsed(&self) -> Duration;
    /// The wall clock, which may jump.
    fn wall(&self) -> Timestamp;
    /// Uniform random bits.
    fn random(&self) -> u64;
}

/// The machine's own clocks and the operating system's randomness.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}
