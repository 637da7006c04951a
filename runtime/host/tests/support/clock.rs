//! A clock on which time passes only when a test says so.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use reactor_core::clock::{Clock, Moment, Sleep};

/// See the module. Each reading is a nanosecond later than the one before, as on a real clock.
#[derive(Clone, Default)]
pub(crate) struct DrivenClock(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: Moment,
    /// Who sleeps until when; numbered, since several may sleep until the same moment.
    sleepers: BTreeMap<(Moment, u64), Waker>,
    slept: u64,
    dice: u64,
}

impl DrivenClock {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances to when the first sleeper wakes. Returns whether there was a sleeper; without one, nothing happens.
    pub(crate) fn advance(&self) -> bool {
        let mut inner = self.inner();
        let Some(((at, _), first)) = inner.sleepers.pop_first() else { return false };
        inner.now = inner.now.max(at);
        drop(inner);
        first.wake();
        true
    }
}

impl Clock for DrivenClock {
    fn now(&self) -> Moment {
        let mut inner = self.inner();
        inner.now = inner.now + Duration::from_nanos(1);
        inner.now
    }

    fn wall(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.now().since_start()).expect("not so long");
        Timestamp::from_second(1_772_000_000).expect("a time of day") + since
    }

    /// `SplitMix64`, always with the same seed.
    fn random(&self) -> u64 {
        let mut inner = self.inner();
        inner.dice = inner.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = inner.dice;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        Box::pin(Sleeper { clock: self.clone(), at, number: None })
    }
}

struct Sleeper {
    clock: DrivenClock,
    at: Moment,
    /// Once it sleeps.
    number: Option<u64>,
}

impl Future for Sleeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut inner = clock.inner();
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            inner.slept += 1;
            inner.slept
        });
        inner.sleepers.insert((self.at, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.inner().sleepers.remove(&(self.at, number));
        }
    }
}
