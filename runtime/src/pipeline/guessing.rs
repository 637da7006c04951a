//! Step: offer guesses to a head that is about to start, and take one over when its turn comes.

use std::sync::Arc;

use crate::event::{DeliveryId, Version};

use super::ahead::Ahead;
use super::guess::{Guess, Guessed, Guesses};
use super::host::Host;

/// Most guesses behind a head.
const MOST: usize = 32;

impl Host {
    /// What may be guessed behind a head that is about to start; gives the head the number of its commit. Nothing where
    /// runs are long, or where they could be seen from outside, or must not come sooner than they are started.
    pub(super) fn guesses(&mut self, head: DeliveryId) -> Option<Guesses> {
        let delivery = self.deliveries.get(head)?;
        let (index, lane) = (delivery.reactor(), delivery.lane()?);
        let reactor = &self.reactors[index];
        let config = &reactor.config;
        let is_seen = !config.allow.http.is_empty() || self.signals.tracer().is_some();
        if is_seen || config.rate.is_some() || config.breaker.is_some() || !reactor.pace.is_short() {
            return None;
        }
        let followers = self.deliveries.next_in_lane(index, lane, MOST);
        if followers.is_empty() {
            return None;
        }
        let world = Arc::new(Ahead::new(Arc::clone(&self.reactors[index].world)));
        let number = self.next_number();
        self.deliveries.get_mut(head)?.running_mut()?.number = Some(number);
        let mut list = Vec::with_capacity(followers.len());
        for id in followers {
            let number = self.next_number();
            let (Some(delivery), reactor) = (self.deliveries.get(id), &self.reactors[index]) else { break };
            let call = delivery.call(reactor.config.retry.max_attempts, world.clone());
            list.push(Guess { delivery: id, guest: Arc::clone(&reactor.guest), call, number });
        }
        Some(Guesses { reactor: self.reactors[index].config.name.clone(), world, head: number, list })
    }

    /// The speculative run of a delivery that has just been started, if it was made of this attempt, on this commit, by
    /// this module.
    pub(super) fn take_guess(&mut self, id: DeliveryId, after: Option<Version>) -> Option<Guessed> {
        let guessed = self.guessed.remove(&id)?;
        let delivery = self.deliveries.get(id)?;
        let fits = after == Some(guessed.after)
            && delivery.attempt() == guessed.attempt
            && Arc::ptr_eq(&self.reactors[delivery.reactor()].guest, &guessed.guest);
        fits.then_some(guessed)
    }
}
