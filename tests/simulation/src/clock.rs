//! Time, which passes only when every task waits.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reactor_core::clock::{Clock, Moment, Sleep};

use crate::dice::Dice;

/// Seconds of Unix time at which runs begin.
const BEGINNING: i64 = 1_772_000_000;

/// See the module.
#[derive(Clone)]
pub struct SimClock(Arc<Mutex<Inner>>);

struct Inner {
    now: Moment,
    /// How far the wall clock is ahead of that.
    ahead: SignedDuration,
    /// The wall clock stands still at this time.
    frozen: Option<Timestamp>,
    /// Who sleeps until when. Those that wake at the same moment do so in the order of the dice.
    sleepers: BTreeMap<(Moment, u64), Waker>,
    /// Time must not pass beyond this.
    end: Moment,
    /// Told when nothing can happen any more.
    stuck: Option<Waker>,
    is_stuck: bool,
    dice: Dice,
}

impl SimClock {
    /// A clock at its beginning; a run may last until `end`.
    pub fn new(dice: Dice, end: Duration) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now: Moment::default(),
            ahead: SignedDuration::ZERO,
            frozen: None,
            sleepers: BTreeMap::new(),
            end: Moment::after_start(end),
            stuck: None,
            is_stuck: false,
            dice,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every task waits: goes on to when the first sleeper wakes. If there is none, or the run has lasted too long, whoever
    /// waits for [`Self::stuck`] is told.
    pub fn advance(&self) {
        let mut inner = self.inner();
        let first = inner.sleepers.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= inner.end);
        let woken = match first {
            Some(at) => {
                inner.now = inner.now.max(at);
                inner.sleepers.pop_first().map(|(_, sleeper)| sleeper)
            }
            None => {
                inner.is_stuck = true;
                inner.stuck.take()
            }
        };
        drop(inner);
        if let Some(woken) = woken {
            woken.wake();
        }
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
        let mut inner = self.inner();
        inner.sleepers.clear();
        inner.now = inner.now + down;
        inner.is_stuck = false;
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
        self.inner().now
    }

    fn wall(&self) -> Timestamp {
        let inner = self.inner();
        if let Some(frozen) = inner.frozen {
            return frozen;
        }
        let since = SignedDuration::try_from(inner.now.since_start()).unwrap_or(SignedDuration::MAX);
        let beginning = Timestamp::from_second(BEGINNING).unwrap_or(Timestamp::UNIX_EPOCH);
        beginning.checked_add(since.saturating_add(inner.ahead)).unwrap_or(Timestamp::MAX)
    }

    fn random(&self) -> u64 {
        let dice = self.inner().dice.clone();
        dice.bits()
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        Box::pin(Sleeper { clock: self.clone(), at, place: None })
    }
}

struct Sleeper {
    clock: SimClock,
    at: Moment,
    /// Its place among the sleepers, once it sleeps.
    place: Option<(Moment, u64)>,
}

impl Future for Sleeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut inner = clock.inner();
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        let place = match self.place {
            Some(place) => place,
            None => (self.at, inner.dice.bits()),
        };
        self.place = Some(place);
        inner.sleepers.insert(place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.clock.inner().sleepers.remove(&place);
        }
    }
}
