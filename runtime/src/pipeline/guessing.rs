//! Step: offer guesses to a head that is about to start, and take one over when its turn comes.

use std::sync::Arc;

use crate::event::{DeliveryId, Version};
use crate::store::StoreError;

use super::ahead::Ahead;
use super::guess::{Guess, Guesses};
use super::host::Host;

/// Most guesses behind a head.
const MOST: usize = 32;

impl Host {
    /// What may be guessed behind a head that is about to start; gives the head the number of its commit. Nothing where
    /// runs are long, or where they could be seen from outside, or must not come sooner than they are started.
    pub(super) fn guesses(&mut self, head: DeliveryId) -> Option<Guesses> {
        let active = self.active.get(&head)?;
        let (index, lane) = (active.reactor, active.lane?);
        let reactor = &self.reactors[index];
        let config = &reactor.config;
        let is_seen = !config.allow.http.is_empty() || self.signals.tracer().is_some();
        if is_seen || config.rate.is_some() || config.breaker.is_some() || !reactor.pace.is_short() {
            return None;
        }
        let followers = self.scheduler.next_in_lane(index, lane, MOST);
        if followers.is_empty() {
            return None;
        }
        let world = Arc::new(Ahead::new(Arc::clone(&self.reactors[index].world)));
        let number = self.next_number();
        self.active.get_mut(&head)?.number = Some(number);
        let mut list = Vec::with_capacity(followers.len());
        for delivery in followers {
            let number = self.next_number();
            let (Some(active), reactor) = (self.active.get(&delivery), &self.reactors[index]) else { break };
            let call = active.call(reactor, world.clone());
            list.push(Guess { delivery, guest: Arc::clone(&reactor.guest), call, number });
        }
        Some(Guesses { reactor: self.reactors[index].config.name.clone(), world, head: number, list })
    }

    /// Ends a delivery that was to be started with the guess that was made of it; whether there was one that fits.
    pub(super) fn was_guessed(&mut self, delivery: DeliveryId, after: Option<Version>) -> Result<bool, StoreError> {
        let Some(guessed) = self.guessed.remove(&delivery) else { return Ok(false) };
        let Some(active) = self.active.get_mut(&delivery) else { return Ok(false) };
        let reactor = &mut self.reactors[active.reactor];
        let fits = after == Some(guessed.after)
            && active.attempt() == guessed.attempt
            && Arc::ptr_eq(&reactor.guest, &guessed.guest);
        if !fits {
            return Ok(false);
        }
        active.number = Some(guessed.number);
        active.ran_by = Some(guessed.guest);
        reactor.pace.ran(Some(guessed.took));
        self.finish(delivery, guessed.run)?;
        Ok(true)
    }
}
