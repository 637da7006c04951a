//! All randomness of a run, from its seed.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

/// Dice that several parts of a run share. What one of them rolls changes what the next one gets, so the order of tasks is
/// part of what a seed decides.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<SmallRng>>);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    fn with<T>(&self, roll: impl FnOnce(&mut SmallRng) -> T) -> T {
        roll(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uniform bits.
    pub fn bits(&self) -> u64 {
        self.with(Rng::next_u64)
    }

    /// A number of a range.
    pub fn of(&self, range: Range<u64>) -> u64 {
        self.with(|dice| dice.random_range(range))
    }

    /// Whether something happens that does so `times` in 1,000.
    pub fn happens(&self, times: u64) -> bool {
        self.of(0..1_000) < times
    }

    /// One of several.
    pub fn pick<'t, T>(&self, of: &'t [T]) -> &'t T {
        &of[usize::try_from(self.of(0..of.len() as u64)).unwrap_or(0)]
    }
}
