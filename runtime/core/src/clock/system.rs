//! The clocks of the machine.

#![allow(clippy::disallowed_methods, reason = "this is where time and randomness come from")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Clock, Moment, Sleep};

/// Used for sleeps longer than the machine's clock can represent.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

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
    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> u64 {
        rand::random()
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        let at = self.start.checked_add(at.since_start()).unwrap_or_else(|| Instant::now() + FAR);
        Box::pin(tokio::time::sleep_until(at.into()))
    }
}
