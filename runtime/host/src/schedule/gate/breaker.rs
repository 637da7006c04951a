//! `[reactors.NAME.breaker]`: stops a reactor whose attempts keep failing, and probes it with one delivery at a time
//! until one succeeds. A failed probe uses up no attempt.

use reactor_config::model::BreakerPolicy;
use reactor_core::event::{DeliveryId, HostTime};
use reactor_signal::BreakerChange;

use super::Gate;

/// Pauses need no jitter: there is one probe at a time.
const NO_DICE: u64 = 0;

/// See the module.
#[derive(Debug)]
pub(in super::super) struct Breaker {
    policy: BreakerPolicy,
    /// Transient failures since the last success.
    failures: u32,
    /// The delivery that failed first, and whether others have failed too: a single poisoned event opens nothing.
    first: Option<DeliveryId>,
    several: bool,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Pauses so far, including the present one.
    pauses: u32,
    /// No probe before this time; cleared by the timer.
    until: Option<HostTime>,
    probe: Option<DeliveryId>,
}

impl Breaker {
    pub(in super::super) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, failures: 0, first: None, several: false, open: None }
    }

    pub(in super::super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A run has ended with a result. Unless it was a failed probe, it is judged like any other.
    pub(in super::super) fn ran(&mut self, id: DeliveryId, failed: bool, now: HostTime) -> Option<BreakerChange> {
        if !failed {
            let was_open = self.is_open();
            *self = Self::new(self.policy);
            return was_open.then_some(BreakerChange::Closed);
        }
        let first = *self.first.get_or_insert(id);
        self.several |= first != id;
        self.failures = self.failures.saturating_add(1);
        if let Some(open) = &mut self.open {
            // Runs that began before the breaker opened are not probes.
            if open.probe != Some(id) {
                return None;
            }
            open.pauses = open.pauses.saturating_add(1);
            let pause = self.policy.backoff.after(open.pauses, NO_DICE);
            open.until = Some(now.after(pause));
            return Some(BreakerChange::ProbeFailed(pause));
        }
        if self.failures < self.policy.failures || !self.several {
            return None;
        }
        let pause = self.policy.backoff.after(1, NO_DICE);
        self.open = Some(Open { pauses: 1, until: Some(now.after(pause)), probe: None });
        Some(BreakerChange::Opened(pause))
    }
}

impl Gate for Breaker {
    fn lets_through(&self, _: usize) -> bool {
        self.open.as_ref().is_none_or(|open| open.until.is_none() && open.probe.is_none())
    }

    /// A pause may be over.
    fn wake(&mut self, now: HostTime) {
        if let Some(open) = &mut self.open {
            open.until = open.until.filter(|until| *until > now);
        }
    }

    fn started(&mut self, id: DeliveryId) {
        if let Some(open) = &mut self.open {
            open.probe = Some(id);
        }
    }

    fn gave_back(&mut self, id: DeliveryId) {
        if let Some(open) = &mut self.open
            && open.probe == Some(id)
        {
            open.probe = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reactor_core::backoff::{Backoff, Jitter};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy { failures: 3, backoff: Backoff::doubling(SECOND, 3 * SECOND, Jitter::None) })
    }

    fn id(number: u64) -> DeliveryId {
        DeliveryId(number)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not_count() {
        let mut breaker = breaker();
        let now = HostTime(0);
        assert_eq!(breaker.ran(id(1), true, now), None);
        assert_eq!(breaker.ran(id(2), true, now), None);
        assert_eq!(breaker.ran(id(3), false, now), None);
        assert_eq!(breaker.ran(id(1), true, now), None);
        assert_eq!(breaker.ran(id(2), true, now), None);
        assert!(breaker.lets_through(0));
        assert_eq!(breaker.ran(id(4), true, now), Some(BreakerChange::Opened(SECOND)));
        assert!(breaker.is_open() && !breaker.lets_through(0));
    }

    #[test]
    fn one_poisoned_event_alone_opens_nothing() {
        let mut breaker = breaker();
        for _ in 0..10 {
            assert_eq!(breaker.ran(id(1), true, HostTime(0)), None);
        }
        assert_eq!(breaker.ran(id(2), true, HostTime(0)), Some(BreakerChange::Opened(SECOND)));
    }

    #[test]
    fn probes_go_one_at_a_time_with_growing_pauses_until_one_gets_through() {
        let mut breaker = breaker();
        for number in 1..=3 {
            breaker.ran(id(number), true, HostTime(0));
        }
        let mut now = HostTime(0);
        for pause in [SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND] {
            breaker.wake(HostTime(now.0 + 999));
            assert!(!breaker.lets_through(0), "before the pause is over");
            now = now.after(pause);
            breaker.wake(now);
            assert!(breaker.lets_through(0));
            breaker.started(id(7));
            assert!(!breaker.lets_through(0), "one at a time");
            assert_eq!(breaker.ran(id(8), true, now), None, "begun before it opened");
            let next = match breaker.ran(id(7), true, now) {
                Some(BreakerChange::ProbeFailed(next)) => next,
                other => panic!("{other:?}"),
            };
            assert_eq!(next, (pause * 2).min(3 * SECOND));
            breaker.gave_back(id(7));
        }
        breaker.wake(now.after(3 * SECOND));
        breaker.started(id(9));
        breaker.gave_back(id(9));
        assert!(breaker.lets_through(0), "a probe that was given up without a result makes room for the next");
        breaker.started(id(9));
        assert_eq!(breaker.ran(id(9), false, now), Some(BreakerChange::Closed));
        assert!(breaker.lets_through(0) && !breaker.is_open());
    }
}
