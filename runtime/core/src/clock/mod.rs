//! Seam: time and randomness, so that tests can drive both.

mod alarm;
mod moment;
mod system;

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use alarm::Alarm;
pub use moment::Moment;
pub use system::SystemClock;

/// Ends at the moment that it was made for.
pub type Sleep = BoxFuture<'static, ()>;

/// Where the host gets the time and random numbers from, and what it sleeps by.
///
/// [`Clock::now`] decides (time-outs, back-off, windows); [`Clock::wall`] is only ever shown or handed to guests.
pub trait Clock: Send + Sync + 'static {
    /// The time of this process; never goes back.
    fn now(&self) -> Moment;
    /// The wall clock, which may jump.
    fn wall(&self) -> Timestamp;
    /// Uniform random bits.
    fn random(&self) -> u64;
    /// Ends when that moment has come, at once if it has passed. To be called within a runtime.
    fn sleep_until(&self, at: Moment) -> Sleep;

    /// Ends after this time.
    fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now() + time)
    }
}

/// What the future answers, unless the sleep ends first.
pub async fn within<F: Future>(sleep: impl Future<Output = ()>, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        answer = future => Some(answer),
        () = sleep => None,
    }
}
