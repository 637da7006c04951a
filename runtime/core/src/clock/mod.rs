//! Seam: time and randomness, so that tests can drive both.

mod alarm;
#[doc(hidden)]
pub mod driven;
mod moment;
mod system;

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use alarm::Alarm;
pub use moment::Moment;
pub use system::SystemClock;

/// Completes at the moment it was created for.
pub type Sleep = BoxFuture<'static, ()>;

/// The host's source of time, random numbers and sleep.
///
/// Decisions (time-outs, back-off, windows) use [`Clock::now`]; [`Clock::wall`] is only displayed or handed to guests.
pub trait Clock: Send + Sync + 'static {
    /// The time of this process; never goes back.
    fn now(&self) -> Moment;
    /// The wall clock, which may jump.
    fn wall(&self) -> Timestamp;
    /// Uniform random bits.
    fn random(&self) -> u64;
    /// Completes at that moment, or at once if it has passed. Must be called within a runtime.
    fn sleep_until(&self, at: Moment) -> Sleep;

    /// Completes after this time.
    fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now() + time)
    }
}

/// The output of the future, or `None` if the sleep completes first.
pub async fn within<F: Future>(sleep: impl Future<Output = ()>, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        answer = future => Some(answer),
        () = sleep => None,
    }
}
