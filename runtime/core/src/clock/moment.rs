//! A point in the time of this process.

use std::ops::Add;
use std::time::Duration;

/// A point in the time of this process, which its [`Clock`](super::Clock) counts from some fixed point. It means
/// nothing to another process: the store keeps a [`HostTime`](crate::event::HostTime), and people see a timestamp.
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

    /// How long ago `earlier` was; zero if it is in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This long before, but not before the clock's fixed point.
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
