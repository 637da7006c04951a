//! What follows a run: it is judged, and its commit is sent.

use crate::event::{DeliveryId, Fault, Outcome};
use crate::store::{Commit, StoreError};

use super::Committing;
use super::claim::Ran;
use super::commit::{self, Judged, News};
use super::host::Host;
use super::invoke::{Run, vanished};
use super::judge::{self, Ended, judge};
use super::schedule::Effect;

impl Host {
    pub(super) fn run_ended(&mut self, ran: Ran) -> Result<(), StoreError> {
        let Ran { delivery: id, slot, run, took, guessed } = ran;
        self.slots.ended(slot);
        self.ended += 1;
        self.guessed.extend(guessed);
        let Some(active) = self.active.get_mut(&id) else { return Ok(()) };
        self.reactors[active.reactor].signals.stopped();
        if run.is_none() {
            active.span.take().into_iter().for_each(|span| span.end("cancelled", ""));
        }
        let Some(active) = self.active.get(&id) else { return Ok(()) };
        if !self.holds_lease(id, active) {
            // Somebody else may be working on it, so what this run did is void.
            self.withdraw(id);
            return Ok(());
        }
        let (reactor, lane) = (active.reactor, active.lane);
        let pace = &mut self.reactors[reactor].pace;
        pace.ran(took);
        self.scheduler.set_ahead(reactor, pace.ahead(self.slots.threads()));
        match run {
            Some(run) => self.finish(id, run),
            None if self.draining.is_some() || active.cancelled => {
                self.scheduler.run_cancelled(reactor, id, lane);
                Ok(())
            }
            // The task ended by a panic of the host's own code: the attempt counts, the host goes on.
            None => self.finish(id, vanished()),
        }
    }

    /// Judges a run and sends its commit.
    pub(super) fn finish(&mut self, id: DeliveryId, mut run: Run) -> Result<(), StoreError> {
        let Some(active) = self.active.get_mut(&id) else { return Ok(()) };
        let (index, lane) = (active.reactor, active.lane);
        if !self.reactors[index].state.is_current(&run.reads) {
            self.conflicts += 1;
            self.reactors[index].signals.repeated();
            self.reactors[index].pace.repeated();
            active.span.take().into_iter().for_each(|span| span.end("repeated", ""));
            self.scheduler.run_outdated(index, id, lane, active.must_run_alone());
            return Ok(());
        }
        let number = match active.number.take() {
            Some(number) => number,
            None => self.next_number(),
        };
        let (now, wall) = (self.now(), self.clock.wall());
        let Some(active) = self.active.get(&id) else { return Ok(()) };
        let reactor = &self.reactors[index];
        let emits = reactor.messages(active, &run.emits, wall).unwrap_or_else(|detail| {
            run.outcome = Outcome::Fault { fault: Fault::EmitInvalid, detail };
            Vec::new()
        });
        let (code, error) = judge::describe(&run.outcome);
        let effect = self.scheduler.ran(index, id, judge::is_transient(&run.outcome), now);
        reactor.signals.breaker(effect, error.lines().next().unwrap_or_default());
        if let Some(span) = self.active.get_mut(&id).and_then(|active| active.span.take()) {
            span.end(code, error);
        }
        let Some(active) = self.active.get(&id) else { return Ok(()) };
        // A probe that failed uses up no attempt, but the event's time goes on.
        if matches!(effect, Effect::ProbeFailed(_)) && now.since(active.since) < reactor.config.retry.max_age {
            self.scheduler.probe_failed(index, id, lane);
            return Ok(());
        }
        let verdict = judge(
            &reactor.config.retry,
            Ended {
                outcome: &run.outcome,
                attempt: active.attempt(),
                age: now.since(active.since),
                dice: self.clock.random(),
            },
        );
        let news = News::of(&verdict, &run);
        let judged = Judged { verdict, now, wall, followers: self.scheduler.followers(index, lane), number, emits };
        let from = self.channel_name(active.origin.channel);
        let built = commit::build(id, active, reactor, run, judged, from, || self.original(active))?;
        reactor.state.publish(&built.writes, number);
        let ending = commit::lane_ending(&built.ending);
        let committing = Committing::of(&built, news);
        if let Some(active) = self.active.get_mut(&id) {
            active.committing = Some(committing);
        }
        self.scheduler.run_ended(index, id, lane, number, ending);
        self.send(built);
        Ok(())
    }

    /// Hands a commit to the committer, which only ever ends by reporting a fatal error.
    pub(super) fn send(&self, commit: Commit) {
        let _ = self.commits.send(commit);
    }
}
