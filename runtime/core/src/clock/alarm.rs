//! A sleep whose deadline changes repeatedly.

use std::sync::Arc;

use super::{Clock, Moment, Sleep};

/// Wakes a loop that recomputes its deadline before every sleep. A timer is kept as long as it rings no later than the
/// new deadline, so a loop that turns often does not create a timer each time, and is sometimes woken with nothing to
/// do.
pub struct Alarm {
    clock: Arc<dyn Clock>,
    set: Option<(Moment, Sleep)>,
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarm").field("at", &self.set.as_ref().map(|(at, _)| at)).finish_non_exhaustive()
    }
}

impl Alarm {
    /// An unset alarm on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, set: None }
    }

    /// Completes at this moment at the latest, perhaps earlier. May be cancelled and called again.
    pub async fn until(&mut self, at: Moment) {
        let (_, sleep) = match &mut self.set {
            Some(set) if set.0 <= at => set,
            set => set.insert((at, self.clock.sleep_until(at))),
        };
        sleep.await;
        self.set = None;
    }
}
