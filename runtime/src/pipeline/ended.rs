//! What follows a run: it is judged, and its commit is sent.

use crate::event::{DeliveryId, Fault, Outcome};
use crate::store::{Commit, StoreError};

use super::claim::Ran;
use super::commit::{self, Judged};
use super::host::Host;
use super::invoke::{Run, vanished};
use super::judge::{self, Ended, judge};
use super::report::AttemptReport;
use super::schedule::{Effect, Return};

impl Host {
    pub(super) fn run_ended(&mut self, ran: Ran) -> Result<(), StoreError> {
        let Ran { delivery: id, slot, run, took, guessed } = ran;
        self.slots.ended(slot);
        self.ended += 1;
        self.guessed.extend(guessed);
        let Some(delivery) = self.deliveries.get_mut(id) else { return Ok(()) };
        let reactor = &mut self.reactors[delivery.reactor()];
        reactor.signals.stopped();
        if run.is_none() {
            delivery.end_span("cancelled", "");
        }
        let is_given_up = delivery.running().is_some_and(|running| running.is_given_up);
        let (index, leased) = (delivery.reactor(), delivery.leased);
        if !self.deliveries.may_run(id, leased, self.clock.elapsed()) {
            // Somebody else may be working on it, so what this run did is void.
            self.withdraw(id);
            return Ok(());
        }
        reactor.pace.ran(took);
        self.deliveries.set_ahead(index, reactor.pace.ahead(self.slots.threads()));
        match run {
            Some(run) => self.finish(id, run),
            None if self.life.is_draining() || is_given_up => {
                self.deliveries.runs_again(id, Return::GivenUp);
                Ok(())
            }
            // The task ended by a panic of the host's own code: the attempt counts, the host goes on.
            None => self.finish(id, vanished()),
        }
    }

    /// Judges a run and sends its commit.
    pub(super) fn finish(&mut self, id: DeliveryId, mut run: Run) -> Result<(), StoreError> {
        let Some(delivery) = self.deliveries.get_mut(id) else { return Ok(()) };
        let index = delivery.reactor();
        let reactor = &mut self.reactors[index];
        if !reactor.state.is_current(&run.reads) {
            self.conflicts += 1;
            reactor.signals.repeated();
            reactor.pace.repeated();
            delivery.end_span("repeated", "");
            let again = delivery.ran_in_vain();
            self.deliveries.runs_again(id, Return::Outdated(again));
            return Ok(());
        }
        let number = delivery.running_mut().and_then(|running| running.number.take());
        let number = number.unwrap_or_else(|| self.next_number());
        let (now, wall) = (self.now(), self.clock.wall());
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        let reactor = &self.reactors[index];
        let emits = reactor.messages(delivery, &run.emits, wall).unwrap_or_else(|detail| {
            run.outcome = Outcome::Fault { fault: Fault::EmitInvalid, detail };
            Vec::new()
        });
        let (code, error) = judge::describe(&run.outcome);
        let effect = self.deliveries.ran(id, judge::is_transient(&run.outcome), now);
        reactor.signals.breaker(effect, error.lines().next().unwrap_or_default());
        let Some(delivery) = self.deliveries.get_mut(id) else { return Ok(()) };
        delivery.end_span(code, error);
        // A probe that failed uses up no attempt, but the event's time goes on.
        if matches!(effect, Effect::ProbeFailed(_)) && now.since(delivery.since) < reactor.config.retry.max_age {
            self.deliveries.runs_again(id, Return::ProbeFailed);
            return Ok(());
        }
        let verdict = judge(
            &reactor.config.retry,
            Ended {
                outcome: &run.outcome,
                attempt: delivery.attempt(),
                age: now.since(delivery.since),
                dice: self.clock.random(),
            },
        );
        let report = AttemptReport::of(&verdict, &run);
        let lane = delivery.lane();
        let (followers, keeps) = (self.deliveries.followers(index, lane), self.config.runtime.keeps_attempts());
        let judged = Judged { verdict, now, wall, followers, number, emits, keeps };
        let Some(delivery) = self.deliveries.get(id) else { return Ok(()) };
        let from = self.channel_name(delivery.origin.channel);
        let built = commit::build(delivery, reactor, run, judged, from, || self.original(delivery))?;
        reactor.state.publish(&built.writes, number);
        let ending = commit::lane_ending(&built.ending);
        self.deliveries.commits(id, commit::committing(&built, report), ending);
        self.send(built);
        Ok(())
    }

    /// Hands a commit to the committer, which only ever ends by reporting a fatal error.
    pub(super) fn send(&self, commit: Commit) {
        let _ = self.commits.send(commit);
    }
}
