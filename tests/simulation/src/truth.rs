//! What really happened, noted outside of the host.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reactor_core::clock::Clock;

use crate::clock::SimClock;

/// See the module.
#[derive(Clone)]
pub struct Truth {
    clock: SimClock,
    noted: Arc<Mutex<Noted>>,
}

/// What is noted.
#[derive(Default)]
pub struct Noted {
    /// Events whose producers were told that they are accepted, in the order of the answers, by the door.
    pub accepted: BTreeMap<&'static str, Vec<u32>>,
    /// The numbers of the attempts that ran, by reactor and event.
    pub attempts: BTreeMap<(String, String), Vec<u32>>,
    /// Deliveries whose dead letters were to be dropped.
    pub dropped: Vec<(String, String)>,
    /// Dead letters that were asked to run again.
    pub redriven: Vec<(String, String)>,
    /// What was found wrong while it happened.
    pub broken: Vec<String>,
    /// Runs of modules that ended.
    pub runs: u64,
    /// Crashes and orderly ends.
    pub restarts: u64,
    /// What happened, a line each.
    pub story: String,
}

impl Truth {
    /// Nothing has happened yet.
    pub fn new(clock: &SimClock) -> Self {
        Self { clock: clock.clone(), noted: Arc::default() }
    }

    /// All that was noted.
    pub fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub fn tell(&self, what: impl AsRef<str>) {
        let at = self.clock.now().since_start();
        let _ = writeln!(self.noted().story, "{:>12.6}  {}", at.as_secs_f64(), what.as_ref());
    }

    /// Something must not have happened.
    pub fn broken(&self, what: String) {
        self.tell(format!("BROKEN: {what}"));
        self.noted().broken.push(what);
    }
}
