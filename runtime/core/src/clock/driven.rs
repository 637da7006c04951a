//! Time that passes only when it is told to, for the clocks of tests and simulations.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Moment, Sleep};

/// See the module. Copies share the time.
#[derive(Clone, Debug, Default)]
pub struct DrivenTime(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: Moment,
    /// Who sleeps until when. Those that wake at the same moment do so in the order of their ranks.
    sleepers: BTreeMap<(Moment, u64), Waker>,
}

impl DrivenTime {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.inner().now
    }

    /// This much time passes, and no sleeper wakes of it. Returns the present moment.
    pub fn pass(&self, time: Duration) -> Moment {
        let mut inner = self.inner();
        inner.now = inner.now + time;
        inner.now
    }

    /// Advances to when the first sleeper wakes, if that is not after `end`. Returns whether there was one; without one,
    /// nothing happens.
    pub fn advance(&self, end: Option<Moment>) -> bool {
        let mut inner = self.inner();
        let Some(first) = inner.sleepers.first_entry() else { return false };
        let at = first.key().0;
        if end.is_some_and(|end| at > end) {
            return false;
        }
        let waker = first.remove();
        inner.now = inner.now.max(at);
        drop(inner);
        waker.wake();
        true
    }

    /// Nothing sleeps any more: what did is gone.
    pub fn forget_sleepers(&self) {
        self.inner().sleepers.clear();
    }

    /// Ends at that moment, at once if it has passed. No two sleepers of a moment may have one rank.
    pub fn sleep_until(&self, at: Moment, rank: u64) -> Sleep {
        Box::pin(Sleeper { time: self.clone(), place: (at, rank) })
    }
}

struct Sleeper {
    time: DrivenTime,
    place: (Moment, u64),
}

impl Future for Sleeper {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.time.inner();
        if inner.now >= self.place.0 {
            return Poll::Ready(());
        }
        inner.sleepers.insert(self.place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.time.inner().sleepers.remove(&self.place);
    }
}
