//! How long to wait before retrying something that failed.

use std::time::Duration;

/// Delays that grow by a factor up to a maximum, with jitter so that what failed together is not retried together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    factor: f64,
    jitter: Jitter,
}

/// How jitter spreads delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Jitter {
    /// Uniform between zero and the delay.
    #[default]
    Full,
    /// Half the delay plus a uniform share of the other half.
    Equal,
    /// The delay itself.
    None,
}

/// Why the requested delays are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// The first delay is zero; use [`Backoff::NONE`] for no delay at all.
    #[error("the first delay is zero")]
    Zero,
    /// The first delay is above the longest.
    #[error("the first delay is above the longest")]
    Inverted,
    /// The factor is below 1 or not a number.
    #[error("the delays do not grow: the factor is below 1, or no finite number")]
    Factor,
}

impl Backoff {
    /// No delay at all.
    pub const NONE: Self = Self { first: Duration::ZERO, longest: Duration::ZERO, factor: 1.0, jitter: Jitter::None };

    /// Delays from the first to the longest, growing by the factor.
    ///
    /// # Errors
    /// If the bounds or the factor are invalid.
    pub const fn try_new(
        first: Duration,
        longest: Duration,
        factor: f64,
        jitter: Jitter,
    ) -> Result<Self, InvalidBackoff> {
        if first.is_zero() {
            return Err(InvalidBackoff::Zero);
        }
        if first.as_nanos() > longest.as_nanos() {
            return Err(InvalidBackoff::Inverted);
        }
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(InvalidBackoff::Factor);
        }
        Ok(Self { first, longest, factor, jitter })
    }

    /// Delays that double, for constants: the compiler rejects what [`Backoff::try_new`] rejects.
    ///
    /// # Panics
    /// If the first delay is zero or above the longest.
    pub const fn doubling(first: Duration, longest: Duration, jitter: Jitter) -> Self {
        match Self::try_new(first, longest, 2.0, jitter) {
            Ok(backoff) => backoff,
            Err(_) => panic!("a first delay above zero, and no longer than the longest"),
        }
    }

    /// The delay after `failures` failures in a row (at least one). `dice` holds uniform random bits.
    pub fn after(&self, failures: u32, dice: u64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let full = (self.first.as_secs_f64() * self.factor.powi(exponent)).min(self.longest.as_secs_f64());
        // The upper 53 bits make a uniform fraction in [0, 1).
        let fraction = (dice >> 11) as f64 / (1u64 << 53) as f64;
        let spread = match self.jitter {
            Jitter::Full => full * fraction,
            Jitter::Equal => full / 2.0 + full / 2.0 * fraction,
            Jitter::None => full,
        };
        Duration::try_from_secs_f64(spread).unwrap_or(self.longest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bounds_that_make_no_sense_are_refused() {
        let of = |first, longest, factor| Backoff::try_new(first, longest, factor, Jitter::None).err();
        assert_eq!(of(Duration::ZERO, SECOND, 2.0), Some(InvalidBackoff::Zero));
        assert_eq!(of(2 * SECOND, SECOND, 2.0), Some(InvalidBackoff::Inverted));
        for factor in [0.5, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of(SECOND, SECOND, factor), Some(InvalidBackoff::Factor), "{factor}");
        }
        assert_eq!(of(SECOND, SECOND, 1.0), None);
    }

    #[test]
    fn delays_grow_by_the_factor_up_to_the_longest() {
        let seconds = |backoff: Backoff| (1..=8).map(|n| backoff.after(n, 7).as_secs()).collect::<Vec<_>>();
        assert_eq!(seconds(Backoff::doubling(SECOND, 100 * SECOND, Jitter::None)), [1, 2, 4, 8, 16, 32, 64, 100]);
        let three = Backoff::try_new(SECOND, 30 * SECOND, 3.0, Jitter::None).expect("a valid one");
        assert_eq!(seconds(three), [1, 3, 9, 27, 30, 30, 30, 30]);
        assert_eq!(seconds(Backoff::NONE), [0; 8]);
        let long = Backoff::try_new(SECOND, 30 * SECOND, 100.0, Jitter::None).expect("a valid one");
        assert_eq!((long.after(u32::MAX, 0), Backoff::NONE.after(u32::MAX, 0)), (30 * SECOND, Duration::ZERO));
    }

    #[test]
    fn jitter_covers_its_whole_range() {
        let range = |jitter| {
            let backoff = Backoff::doubling(SECOND, SECOND, jitter);
            (backoff.after(1, 0).as_millis(), backoff.after(1, 1 << 63).as_millis(), backoff.after(1, u64::MAX))
        };
        assert_eq!((range(Jitter::Full).0, range(Jitter::Full).1), (0, 500));
        assert_eq!((range(Jitter::Equal).0, range(Jitter::Equal).1), (500, 750));
        assert_eq!((range(Jitter::None).0, range(Jitter::None).1), (1_000, 1_000));
        assert!([Jitter::Full, Jitter::Equal].map(range).iter().all(|(.., most)| *most > Duration::from_millis(999)));
    }

    proptest! {
        #[test]
        fn no_delay_is_above_the_longest(
            first in 1u64..100_000, more in 0u64..200_000, factor in 1.0f64..100.0, failures: u32, dice: u64,
        ) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(first + more));
            for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
                let delay = Backoff::try_new(first, longest, factor, jitter).expect("valid bounds").after(failures, dice);
                let least = match jitter { Jitter::Full => Duration::ZERO, Jitter::Equal => first / 2, Jitter::None => first };
                prop_assert!(delay <= longest && delay + Duration::from_nanos(1) >= least, "{:?}: {:?}", jitter, delay);
            }
        }
    }
}
