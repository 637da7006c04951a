//! Step: offer speculative runs to a head that is about to start, and take one over when its turn comes.

use std::sync::Arc;

use reactor_core::event::{DeliveryId, Version};

use crate::host::Host;
use crate::run::ahead::Ahead;
use crate::run::speculation::{Planned, Speculation, SpeculativeRun};

/// Most speculative runs behind a head.
const MOST: usize = 32;

impl Host {
    /// What may be run ahead behind a head that is about to start; gives the head the number of its commit. Nothing where
    /// runs are long, or where they could be seen from outside, or must not come sooner than they are started.
    pub(crate) fn speculation(&mut self, head: DeliveryId) -> Option<Speculation> {
        let delivery = self.deliveries.get(head)?;
        let (index, lane) = (delivery.reactor(), delivery.lane()?);
        let reactor = &self.topology.reactors[index];
        let config = &reactor.config;
        let is_seen = !config.allow.http.is_empty() || self.ports.signals.tracer().is_some();
        if is_seen || config.rate.is_some() || config.breaker.is_some() || !reactor.pace.is_short() {
            return None;
        }
        let followers = self.deliveries.next_in_lane(index, lane, MOST);
        if followers.is_empty() {
            return None;
        }
        let world = Arc::new(Ahead::new(Arc::clone(&self.topology.reactors[index].world)));
        let number = self.next_number();
        self.deliveries.get_mut(head)?.running_mut()?.number = Some(number);
        let mut list = Vec::with_capacity(followers.len());
        for id in followers {
            let number = self.next_number();
            let (Some(delivery), reactor) = (self.deliveries.get(id), &self.topology.reactors[index]) else { break };
            let call = delivery.call(reactor.config.retry.max_attempts, world.clone());
            list.push(Planned { delivery: id, guest: Arc::clone(&reactor.guest), call, number });
        }
        Some(Speculation { reactor: self.topology.reactors[index].config.name.clone(), world, head: number, list })
    }

    /// The speculative run of a delivery that has just been started, if it was made of this attempt, on this commit, by
    /// this module.
    pub(crate) fn take_speculative(&mut self, id: DeliveryId, after: Option<Version>) -> Option<SpeculativeRun> {
        let speculative = self.runs.speculative.remove(&id)?;
        let delivery = self.deliveries.get(id)?;
        let fits = after == Some(speculative.after)
            && delivery.attempt() == speculative.attempt
            && Arc::ptr_eq(&self.topology.reactors[delivery.reactor()].guest, &speculative.guest);
        fits.then_some(speculative)
    }
}
