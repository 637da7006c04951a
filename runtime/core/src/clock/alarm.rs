//! A sleep that is put off again and again.

use std::sync::Arc;

use super::{Clock, Moment, Sleep};

/// Wakes a loop that asks before each sleep again how long it may sleep. What is set stays set while it rings no later than
/// is asked for: a loop that turns often makes no timer at each turn, and is sometimes woken with nothing to do.
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
    /// An alarm by this clock, which is not set.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, set: None }
    }

    /// Ends at this moment at the latest, perhaps before. May be given up and asked for again.
    pub async fn until(&mut self, at: Moment) {
        let (_, sleep) = match &mut self.set {
            Some(set) if set.0 <= at => set,
            set => set.insert((at, self.clock.sleep_until(at))),
        };
        sleep.await;
        self.set = None;
    }
}
