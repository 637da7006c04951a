//! `rate = "100/s"`: a token bucket over the host's own time.

use std::time::Duration;

use reactor_core::event::HostTime;
use reactor_core::subscription::Rate;

use super::Gate;

/// The gate: a bucket, and the time until which it is empty.
#[derive(Debug)]
pub(super) struct RateLimit {
    rate: Rate,
    bucket: Bucket,
    empty_until: Option<HostTime>,
}

impl RateLimit {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, bucket: Bucket::new(rate), empty_until: None }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }
}

impl Gate for RateLimit {
    fn lets_through(&self, _: usize) -> bool {
        self.empty_until.is_none()
    }

    fn pay(&mut self, now: HostTime) -> Result<(), HostTime> {
        self.bucket.take(now).inspect_err(|at| self.empty_until = Some(*at))
    }

    fn wake(&mut self, now: HostTime) {
        self.empty_until = self.empty_until.filter(|at| *at > now);
    }
}

/// Holds at most a tenth of a second's worth of starts, and never less than one.
#[derive(Debug)]
struct Bucket {
    per_ms: f64,
    depth: f64,
    tokens: f64,
    at: HostTime,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let per_ms = f64::from(rate.count) / rate.per.as_millis().max(1) as f64;
        let depth = (per_ms * 100.0).max(1.0);
        Self { per_ms, depth, tokens: depth, at: HostTime(0) }
    }

    /// Takes a start, or returns when there will be one.
    fn take(&mut self, now: HostTime) -> Result<(), HostTime> {
        let elapsed = now.since(self.at).as_millis() as f64;
        self.tokens = (self.tokens + elapsed * self.per_ms).min(self.depth);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - self.tokens) / self.per_ms).ceil().max(1.0);
        Err(now.after(Duration::from_millis(wait as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_rate_over_any_second() {
        let mut bucket = Bucket::new(Rate { count: 50, per: Duration::from_secs(1) });
        let mut starts = Vec::new();
        for now in 1_000..6_000 {
            while bucket.take(HostTime(now)).is_ok() {
                starts.push(now);
            }
        }
        for from in 1_000..5_000 {
            let within = starts.iter().filter(|at| (from..from + 1_000).contains(*at)).count();
            assert!(within <= 55, "{within} starts in the second from {from}");
        }
        assert!((250..=256).contains(&starts.len()), "{}", starts.len());
    }

    #[test]
    fn says_when_the_next_start_may_be() {
        let mut bucket = Bucket::new(Rate { count: 6, per: Duration::from_secs(60) });
        assert!(bucket.take(HostTime(5)).is_ok());
        let at = bucket.take(HostTime(5)).expect_err("the bucket holds one");
        assert!(bucket.take(HostTime(at.0 - 1)).is_err());
        assert!(bucket.take(at).is_ok());
    }
}
