//! What guards the starts of one reactor: each gate has one reason to hold them back.

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

/// A reason to hold back starts. A start passes every gate, or none of them hears of it.
trait Gate: Debug {
    /// Whether one more delivery may be started beside those that run.
    fn lets_through(&self, running: usize) -> bool;

    /// Pays for a start that all gates let through. An error: not before this time.
    fn pay(&mut self, _now: HostTime) -> Result<(), HostTime> {
        Ok(())
    }

    /// A delivery has been started.
    fn started(&mut self, _delivery: DeliveryId) {}

    /// A delivery has given its permit back, with a result or without.
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

    /// Takes over a new policy: what is unchanged goes on as it was.
    pub(super) fn adopt(&mut self, spec: &ReactorSpec) {
        self.concurrency.adopt(spec.concurrency);
        if self.rate.as_ref().map(RateLimit::rate) != spec.rate {
            self.rate = spec.rate.map(RateLimit::new);
        }
        // What failed until now need not fail any more.
        self.breaker = spec.breaker.map(Breaker::new);
        self.set_ahead(self.concurrency.ahead);
    }

    /// Lets this many be started at once, although not all of them can run at once. Not with a breaker: one that opens
    /// should find little started.
    pub(super) fn set_ahead(&mut self, ahead: usize) {
        self.concurrency.ahead = if self.breaker.is_some() { 0 } else { ahead };
    }

    /// Whether one more delivery may be started beside those that run.
    pub(super) fn let_through(&self, running: usize) -> bool {
        self.list().all(|gate| gate.lets_through(running))
    }

    /// Whether concurrency alone would let a start through, and nothing asks for the reactor alone.
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

    /// All of them; a gate that is added is listed in both.
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
