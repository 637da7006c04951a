//! A point in the time of this process.

use std::ops::Add;
use std::time::Duration;

/// A point in the time of this process, as its [`Clock`](super::Clock) counts it from some fixed point. Means nothing to
/// another process: what is stored is a [`HostTime`](crate::event::HostTime), and what is shown a timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment this long after the clock's fixed point.
    pub const fn after_start(time: Duration) -> Self {
        Self(time)
    }

    /// Time since the clock's fixed point.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This long before, but no earlier than the clock's fixed point.
    pub const fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}
