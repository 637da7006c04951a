//! Time, which passes only when every task waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reactor_core::clock::driven::DrivenTime;
use reactor_core::clock::{Clock, Moment, Sleep};

use crate::dice::Dice;

/// Seconds of Unix time at which runs begin.
const BEGINNING: i64 = 1_772_000_000;

/// See the module.
#[derive(Clone)]
pub struct SimClock {
    time: DrivenTime,
    dice: Dice,
    /// Time must not pass beyond this.
    end: Moment,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// How far the wall clock is ahead of that.
    ahead: SignedDuration,
    /// The wall clock stands still at this time.
    frozen: Option<Timestamp>,
    /// Told when nothing can happen any more.
    stuck: Option<Waker>,
    is_stuck: bool,
}

impl SimClock {
    /// A clock at its beginning; a run may last until `end`.
    pub fn new(dice: Dice, end: Duration) -> Self {
        Self { time: DrivenTime::default(), dice, end: Moment::after_start(end), inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every task waits: goes on to when the first sleeper wakes. If there is none, or the run has lasted too long,
    /// [`Self::stuck`] ends.
    pub fn advance(&self) {
        if self.time.advance(Some(self.end)) {
            return;
        }
        let mut inner = self.inner();
        inner.is_stuck = true;
        let stuck = inner.stuck.take();
        drop(inner);
        stuck.into_iter().for_each(Waker::wake);
    }

    /// Ends when nothing can happen any more.
    pub fn stuck(&self) -> impl Future<Output = ()> + use<> {
        let clock = self.clone();
        std::future::poll_fn(move |context| {
            let mut inner = clock.inner();
            if inner.is_stuck {
                return Poll::Ready(());
            }
            inner.stuck = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// A process has ended: nothing of it sleeps any more, and time has passed until the next one starts.
    pub fn restart(&self, down: Duration) {
        self.time.forget_sleepers();
        self.time.pass(down);
        self.inner().is_stuck = false;
    }

    /// The wall clock jumps.
    pub fn jump(&self, by: SignedDuration) {
        let mut inner = self.inner();
        inner.ahead = inner.ahead.saturating_add(by);
    }

    /// The wall clock stands still, or goes on.
    pub fn freeze(&self, is_frozen: bool) {
        let now = self.wall();
        self.inner().frozen = is_frozen.then_some(now);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        self.time.now()
    }

    fn wall(&self) -> Timestamp {
        let inner = self.inner();
        if let Some(frozen) = inner.frozen {
            return frozen;
        }
        let since = SignedDuration::try_from(self.now().since_start()).unwrap_or(SignedDuration::MAX);
        let beginning = Timestamp::from_second(BEGINNING).unwrap_or(Timestamp::UNIX_EPOCH);
        beginning.checked_add(since.saturating_add(inner.ahead)).unwrap_or(Timestamp::MAX)
    }

    fn random(&self) -> u64 {
        self.dice.bits()
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        // Those that wake at the same moment do so in the order of the dice.
        self.time.sleep_until(at, self.dice.bits())
    }
}
