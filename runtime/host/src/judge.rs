//! Step: what the policy makes of an outcome. Pure: no clock, no I/O; the caller brings the time and the dice.

use std::time::Duration;

use reactor_config::model::RetryPolicy;
use reactor_core::event::{Fault, Outcome};

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Commit the effects; the delivery is done.
    Complete,
    /// Nothing is kept of the run; try again after this delay.
    Again {
        /// From now.
        delay: Duration,
    },
    /// Nothing is kept of the run; the delivery ends here.
    Dead {
        /// Reason code for people and filters.
        reason: &'static str,
    },
}

/// An ended attempt, as the policy needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Time since the delivery was admitted.
    pub age: Duration,
    /// Uniform random bits, for jitter.
    pub dice: u64,
}

/// Judges an ended attempt.
pub fn judge(policy: &RetryPolicy, ended: Ended<'_>) -> Verdict {
    let (asked, exhausted) = match ended.outcome {
        Outcome::Done => return Verdict::Complete,
        Outcome::Reject { .. } => return Verdict::Dead { reason: "rejected" },
        Outcome::Fault { fault, .. } if fault.is_permanent() => return Verdict::Dead { reason: fault.code() },
        Outcome::Fault { fault, .. } => (None, fault.code()),
        Outcome::Retry { after, .. } => (*after, "retries-exhausted"),
    };
    if ended.attempt >= policy.max_attempts {
        return Verdict::Dead { reason: exhausted };
    }
    // A guest may extend the policy's longest delay, but not the event's remaining age.
    let delay = policy.backoff.after(ended.attempt, ended.dice).max(asked.unwrap_or_default());
    if ended.age.saturating_add(delay) > policy.max_age {
        return Verdict::Dead { reason: "too-old" };
    }
    Verdict::Again { delay }
}

/// Whether a rerun may succeed without any change by a person.
pub fn is_transient(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done | Outcome::Reject { .. } => false,
        Outcome::Retry { .. } => true,
        Outcome::Fault { fault, .. } => !fault.is_permanent(),
    }
}

/// The code and the words of an outcome that is not success, as kept in the history.
pub fn describe(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Done => ("done", ""),
        Outcome::Retry { reason, .. } => ("retry", reason),
        Outcome::Reject { reason } => ("reject", reason),
        Outcome::Fault { fault, detail } => (fault.code(), detail),
    }
}

/// The outcome of an attempt during which the host died.
pub fn interrupted() -> Outcome {
    Outcome::Fault { fault: Fault::Host, detail: "the host stopped while this attempt was running".into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use reactor_core::backoff::{Backoff, Jitter};

    use super::*;

    fn policy() -> impl Strategy<Value = (RetryPolicy, Duration)> {
        let jitter = prop_oneof![Just(Jitter::Full), Just(Jitter::Equal), Just(Jitter::None)];
        let backoff = (1u64..10_000, 0u64..200_000, 1.0f64..5.0, jitter).prop_map(|(first, more, factor, jitter)| {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(first + more));
            (Backoff::try_new(first, longest, factor, jitter).expect("valid bounds"), longest)
        });
        let backoff = prop_oneof![backoff, Just((Backoff::NONE, Duration::ZERO))];
        (1u32..20, backoff, 0u64..200_000).prop_map(|(max_attempts, (backoff, longest), max_age)| {
            (RetryPolicy { max_attempts, backoff, max_age: Duration::from_millis(max_age) }, longest)
        })
    }

    fn failure() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            proptest::option::of(0u64..100_000)
                .prop_map(|after| Outcome::Retry { reason: "r".into(), after: after.map(Duration::from_millis) }),
            Just(Outcome::Reject { reason: "no".into() }),
            prop_oneof![Just(Fault::Trap), Just(Fault::Timeout), Just(Fault::EmitDenied), Just(Fault::Host)]
                .prop_map(|fault| Outcome::Fault { fault, detail: String::new() }),
        ]
    }

    proptest! {
        #[test]
        fn a_failure_never_completes_and_retries_are_finite((p, _) in policy(), outcome in failure(), dice: u64) {
            for attempt in 1..=p.max_attempts {
                let verdict = judge(&p, Ended { outcome: &outcome, attempt, age: Duration::ZERO, dice });
                prop_assert_ne!(&verdict, &Verdict::Complete);
                if attempt == p.max_attempts {
                    prop_assert!(matches!(verdict, Verdict::Dead { .. }), "{:?}", verdict);
                }
            }
        }

        #[test]
        fn a_delay_stays_below_the_ceiling_unless_the_guest_asks_for_more(
            (p, longest) in policy(), outcome in failure(), attempt in 1u32..40, age in 0u64..300_000, dice: u64,
        ) {
            let age = Duration::from_millis(age);
            if let Verdict::Again { delay } = judge(&p, Ended { outcome: &outcome, attempt, age, dice }) {
                let asked = match outcome { Outcome::Retry { after, .. } => after.unwrap_or_default(), _ => Duration::ZERO };
                prop_assert!(delay <= longest.max(asked) && delay >= asked);
                prop_assert!(age + delay <= p.max_age);
                prop_assert!(attempt < p.max_attempts);
            }
        }
    }

    #[test]
    fn reasons() {
        let p = RetryPolicy {
            max_attempts: 2,
            backoff: Backoff::doubling(Duration::from_secs(1), Duration::from_secs(10), Jitter::None),
            max_age: Duration::from_secs(60),
        };
        let judged = |outcome: Outcome, attempt, age| {
            judge(&p, Ended { outcome: &outcome, attempt, age: Duration::from_secs(age), dice: 0 })
        };
        let retry = |after| Outcome::Retry { reason: String::new(), after };
        let fault = |fault| Outcome::Fault { fault, detail: String::new() };
        assert_eq!(judged(Outcome::Done, 9, 900), Verdict::Complete);
        assert_eq!(judged(Outcome::Reject { reason: String::new() }, 1, 0), Verdict::Dead { reason: "rejected" });
        assert_eq!(judged(fault(Fault::EmitDenied), 1, 0), Verdict::Dead { reason: "emit-denied" });
        assert_eq!(judged(fault(Fault::Trap), 1, 0), Verdict::Again { delay: Duration::from_secs(1) });
        assert_eq!(judged(fault(Fault::Trap), 2, 0), Verdict::Dead { reason: "trap" });
        assert_eq!(judged(retry(None), 2, 0), Verdict::Dead { reason: "retries-exhausted" });
        assert_eq!(judged(retry(None), 1, 60), Verdict::Dead { reason: "too-old" });
        let patient = Some(Duration::from_secs(30));
        assert_eq!(judged(retry(patient), 1, 0), Verdict::Again { delay: Duration::from_secs(30) });
    }
}
