//! The gates that guard the starts of one reactor; each has one reason to hold them back.

mod alone;
mod breaker;
mod concurrency;
mod rate;

use std::fmt::Debug;

use reactor_core::event::{DeliveryId, HostTime};

use super::ReactorSpec;
pub(super) use alone::Alone;
pub(super) use breaker::Breaker;
use concurrency::Concurrency;
use rate::RateLimit;

/// A reason to hold back starts. A start passes every gate, or none of them counts it.
trait Gate: Debug {
    /// Whether one more delivery may start in addition to the running ones.
    fn lets_through(&self, running: usize) -> bool;

    /// Pays for a start that all gates allow. An error: not before this time.
    fn pay(&mut self, _now: HostTime) -> Result<(), HostTime> {
        Ok(())
    }

    /// A delivery has been started.
    fn started(&mut self, _delivery: DeliveryId) {}

    /// A delivery has returned its permit, with or without a result.
    fn gave_back(&mut self, _delivery: DeliveryId) {}

    /// A time that was waited for may have come.
    fn wake(&mut self, _now: HostTime) {}
}

/// The gates of a reactor.
#[derive(Debug)]
pub(super) struct Gates {
    concurrency: Concurrency,
    pub(super) alone: Alone,
    rate: Option<RateLimit>,
    pub(super) breaker: Option<Breaker>,
}

impl Gates {
    pub(super) fn new(spec: &ReactorSpec) -> Self {
        Self {
            concurrency: Concurrency::new(spec.concurrency),
            alone: Alone::default(),
            rate: spec.rate.map(RateLimit::new),
            breaker: spec.breaker.map(Breaker::new),
        }
    }

    /// Adopts a new policy; gates whose settings are unchanged keep their state.
    pub(super) fn adopt(&mut self, spec: &ReactorSpec) {
        self.concurrency.adopt(spec.concurrency);
        if self.rate.as_ref().map(RateLimit::rate) != spec.rate {
            self.rate = spec.rate.map(RateLimit::new);
        }
        // After a deployment, earlier failures may no longer be relevant.
        self.breaker = spec.breaker.map(Breaker::new);
        self.set_ahead(self.concurrency.ahead);
    }

    /// Lets this many be started at once, although not all of them can run at once. Has no effect with a breaker: when
    /// one opens, little should be started.
    pub(super) fn set_ahead(&mut self, ahead: usize) {
        self.concurrency.ahead = if self.breaker.is_some() { 0 } else { ahead };
    }

    /// Whether one more delivery may start in addition to the running ones.
    pub(super) fn let_through(&self, running: usize) -> bool {
        self.list().all(|gate| gate.lets_through(running))
    }

    /// Whether concurrency alone would allow a start, and nothing has to run alone.
    pub(super) fn has_room_for_more(&self, running: usize) -> bool {
        self.alone.wanted().is_none() && self.concurrency.lets_through(running)
    }

    /// Whether the rate holds starts back.
    pub(super) fn is_throttled(&self) -> bool {
        self.rate.as_ref().is_some_and(|rate| !rate.lets_through(0))
    }

    pub(super) fn pay(&mut self, now: HostTime) -> Result<(), HostTime> {
        self.each().try_for_each(|gate| gate.pay(now))
    }

    pub(super) fn started(&mut self, delivery: DeliveryId) {
        self.each().for_each(|gate| gate.started(delivery));
    }

    pub(super) fn gave_back(&mut self, delivery: DeliveryId) {
        self.each().for_each(|gate| gate.gave_back(delivery));
    }

    pub(super) fn wake(&mut self, now: HostTime) {
        self.each().for_each(|gate| gate.wake(now));
    }

    /// All gates; a new gate must be added to both lists.
    fn list(&self) -> impl Iterator<Item = &dyn Gate> {
        let always: [&dyn Gate; 2] = [&self.concurrency, &self.alone];
        let rate = self.rate.as_ref().map(|gate| gate as &dyn Gate);
        let breaker = self.breaker.as_ref().map(|gate| gate as &dyn Gate);
        always.into_iter().chain(rate).chain(breaker)
    }

    fn each(&mut self) -> impl Iterator<Item = &mut dyn Gate> {
        let always: [&mut dyn Gate; 2] = [&mut self.concurrency, &mut self.alone];
        let rate = self.rate.as_mut().map(|gate| gate as &mut dyn Gate);
        let breaker = self.breaker.as_mut().map(|gate| gate as &mut dyn Gate);
        always.into_iter().chain(rate).chain(breaker)
    }
}
