//! A clock on which time passes only when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use reactor_core::clock::driven::DrivenTime;
use reactor_core::clock::{Clock, Moment, Sleep};

/// See the module. Each reading is a nanosecond later than the one before, as on a real clock.
#[derive(Clone, Default)]
pub(crate) struct DrivenClock {
    time: DrivenTime,
    /// How many have slept: those that sleep until the same moment wake in this order.
    slept: Arc<AtomicU64>,
    rolled: Arc<AtomicU64>,
}

impl DrivenClock {
    /// Advances to when the first sleeper wakes. Returns whether there was a sleeper; without one, nothing happens.
    pub(crate) fn advance(&self) -> bool {
        self.time.advance(None)
    }
}

impl Clock for DrivenClock {
    fn now(&self) -> Moment {
        self.time.pass(Duration::from_nanos(1))
    }

    fn wall(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.now().since_start()).expect("not so long");
        Timestamp::from_second(1_772_000_000).expect("a time of day") + since
    }

    /// `SplitMix64`, always with the same seed.
    fn random(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut bits = self.rolled.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        self.time.sleep_until(at, self.slept.fetch_add(1, Ordering::SeqCst))
    }
}
