//! What follows a run: it is judged, and its commit is sent.

use reactor_core::event::DeliveryId;
use reactor_core::guest::Run;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{Ending, StoreError};
use reactor_signal::BreakerChange;

use crate::host::Host;
use crate::judge;
use crate::outcome::conclude::{Circumstances, Conclusion, conclude};
use crate::run::claim::Ran;
use crate::run::span::panicked;
use crate::schedule::Return;

impl Host {
    pub(crate) fn run_ended(&mut self, ran: Ran) -> Result<(), StoreError> {
        let Ran { delivery: id, slot, run, took, speculative } = ran;
        self.runs.slots.ended(slot);
        self.runs.ended += 1;
        self.runs.speculative.extend(speculative);
        let Some(delivery) = self.deliveries.get_mut(id) else { return Ok(()) };
        let reactor = &mut self.topology.reactors[delivery.reactor()];
        reactor.signals.stopped();
        if run.is_none() {
            delivery.end_span("cancelled", "");
        }
        let is_given_up = delivery.running().is_some_and(|running| running.is_given_up);
        let (index, leased) = (delivery.reactor(), delivery.leased);
        if !self.deliveries.may_run(id, leased, self.ports.clock.now()) {
            // Somebody else may be working on it, so what this run did is void.
            self.withdraw(id);
            return Ok(());
        }
        reactor.pace.ran(took);
        self.deliveries.set_ahead(index, reactor.pace.ahead(self.runs.slots.threads()));
        match run {
            Some(run) => self.finish(id, run),
            None if self.life.is_draining() || is_given_up => {
                self.deliveries.runs_again(id, Return::GivenUp);
                Ok(())
            }
            // The task ended by a panic of the host's own code: the attempt counts, the host goes on.
            None => self.finish(id, panicked()),
        }
    }

    /// Judges a run and sends its commit.
    pub(crate) fn finish(&mut self, id: DeliveryId, run: Run) -> Result<(), StoreError> {
        let Some(delivery) = self.deliveries.get_mut(id) else { return Ok(()) };
        let index = delivery.reactor();
        let reactor = &mut self.topology.reactors[index];
        if !reactor.world.state.is_current(&run.reads) {
            self.runs.repeated += 1;
            reactor.signals.repeated();
            reactor.pace.repeated();
            delivery.end_span("repeated", "");
            let again = delivery.ran_in_vain();
            self.deliveries.runs_again(id, Return::Outdated(again));
            return Ok(());
        }
        let number = delivery.running_mut().and_then(|running| running.number.take());
        let number = number.unwrap_or_else(|| self.next_number());
        let (now, wall) = (self.ports.now(), self.ports.clock.wall());
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        let reactor = &self.topology.reactors[index];
        let run = reactor.resolve(delivery, run, wall);
        let (code, error) = judge::describe(&run.outcome);
        let change = self.deliveries.ran(id, judge::is_transient(&run.outcome), now);
        if let Some(change) = change {
            reactor.signals.breaker(change, error.lines().next().unwrap_or_default());
        }
        let Some(delivery) = self.deliveries.get_mut(id) else { return Ok(()) };
        delivery.end_span(code, error);
        // A probe that failed uses up no attempt, but the event's time goes on.
        if matches!(change, Some(BreakerChange::ProbeFailed(_)))
            && now.since(delivery.since) < reactor.config.retry.max_age
        {
            self.deliveries.runs_again(id, Return::ProbeFailed);
            return Ok(());
        }
        let lane = delivery.lane();
        let (dice, followers) = (self.ports.clock.random(), self.deliveries.followers(index, lane));
        let keeps = self.topology.config.runtime.keeps_attempts();
        let at = Circumstances { number, now, wall, dice, followers, keeps };
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        let from = self.topology.channel_name(delivery.origin.channel);
        let Conclusion { commit, committing, lane } =
            conclude(delivery, reactor, from, run, at, || self.original(delivery))?;
        reactor.world.state.publish(&commit.effects, number);
        if is_planted(Bug::DeleteBeforeCommit) && matches!(commit.ending, Ending::Dead { .. }) {
            self.acknowledge_messages(id);
        }
        self.deliveries.commits(id, committing, lane);
        self.runs.commit(commit);
        Ok(())
    }
}
