//! Step: turns an ended attempt into one atomic commit, its effect on the lane, and what to do once it is answered.
//! Pure: the caller supplies the time, the dice, and the message that a dead letter keeps.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use reactor_config::model::OnExhausted;
use reactor_core::event::{AttemptRecord, DeliveryId, HostTime, Message, Outcome, Version};
use reactor_core::store::{AttemptNote, Commit, DeadLetter, Effect, Ending};

use super::resolve::Resolved;
use crate::delivery::report::AttemptReport;
use crate::delivery::{Committing, Delivery};
use crate::judge::{self, Ended, Verdict, judge};
use crate::reactor::Reactor;
use crate::schedule;

#[cfg(test)]
mod tests;

/// Longest error text kept per attempt, in bytes.
const MAX_ERROR: usize = 8 * 1024;

/// Where and when an attempt has ended.
pub(crate) struct Circumstances {
    /// The number of its commit.
    pub(crate) number: Version,
    pub(crate) now: HostTime,
    pub(crate) wall: Timestamp,
    /// Uniform random bits, for jitter.
    pub(crate) dice: u64,
    /// Deliveries of the lane that must wait if this one does.
    pub(crate) followers: Vec<DeliveryId>,
    /// Whether ended attempts are kept.
    pub(crate) keeps: bool,
}

/// What follows from an ended attempt.
pub(crate) struct Conclusion {
    pub(crate) commit: Commit,
    /// What to do once the commit has been answered.
    pub(crate) committing: Committing,
    /// What the commit does to the lane.
    pub(crate) lane: schedule::Ending,
}

/// Judges a run by its reactor's policy and says what follows. `from` is the name of the channel that the event came
/// through. `original` reads its message, and is called for dead letters only.
pub(crate) fn conclude<E>(
    delivery: &Delivery,
    reactor: &Reactor,
    from: &str,
    run: Resolved,
    at: Circumstances,
    original: impl FnOnce() -> Result<Message, E>,
) -> Result<Conclusion, E> {
    let Circumstances { number, now, wall, dice, followers, keeps } = at;
    let Resolved { outcome, reads, effects, took } = run;
    let (attempt, age) = (delivery.attempt(), now.since(delivery.since));
    let verdict = judge(&reactor.config.retry, Ended { outcome: &outcome, attempt, age, dice });
    let (effects, ending) = match &verdict {
        Verdict::Complete => (effects, Ending::Done),
        Verdict::Again { delay } => {
            let record = record(delivery, reactor, &outcome, wall);
            (Vec::new(), Ending::Wait { due: now.after(*delay), record, hold: followers })
        }
        Verdict::Dead { reason } => {
            let last = record(delivery, reactor, &outcome, wall);
            let mut letter = letter(delivery, reactor, last, reason, original()?);
            let hold = if letter.parks.is_some() { followers } else { Vec::new() };
            let copy = reactor.forward(delivery, &mut letter, from);
            (copy.into_iter().collect(), Ending::Dead { letter, hold })
        }
    };
    let (lane, due) = match &ending {
        Ending::Wait { due, .. } => (schedule::Ending::Wait, Some(*due)),
        Ending::Dead { letter, .. } if letter.parks.is_some() => (schedule::Ending::Park, None),
        Ending::Done | Ending::Dead { .. } => (schedule::Ending::Release, None),
    };
    let commit = Commit {
        number,
        delivery: delivery.id(),
        reactor: reactor.id,
        attempt,
        after: delivery.running().and_then(|running| running.after),
        reads,
        effects,
        ending,
        note: keeps.then(|| note(delivery, reactor, &outcome, wall, took)),
        now,
    };
    let written = commit.effects.iter().filter_map(Effect::write).map(|(key, _)| key.clone()).collect();
    let fed = commit.effects.iter().filter_map(Effect::put).map(|(to, message)| (*to, message.body.len())).collect();
    let report = AttemptReport { verdict, outcome, took, emitted: commit.emitted() };
    Ok(Conclusion { commit, committing: Committing { number, written, due, fed, report }, lane })
}

/// What is kept of every attempt.
fn note(delivery: &Delivery, reactor: &Reactor, outcome: &Outcome, at: Timestamp, took: Duration) -> AttemptNote {
    AttemptNote {
        event: Arc::clone(&delivery.event),
        origin: delivery.origin,
        code: judge::describe(outcome).0,
        at,
        took,
        module: Arc::clone(module(delivery, reactor)),
    }
}

/// The digest of the module that ran.
fn module<'m>(delivery: &'m Delivery, reactor: &'m Reactor) -> &'m Arc<str> {
    delivery.running().map_or(&reactor.module, |running| &running.module)
}

/// What is kept of an attempt that failed.
fn record(delivery: &Delivery, reactor: &Reactor, outcome: &Outcome, at: Timestamp) -> AttemptRecord {
    let (code, error) = judge::describe(outcome);
    AttemptRecord {
        number: delivery.attempt(),
        code: code.to_owned(),
        error: shorten(error),
        at,
        module: (**module(delivery, reactor)).to_owned(),
    }
}

fn letter(delivery: &Delivery, reactor: &Reactor, last: AttemptRecord, reason: &str, message: Message) -> DeadLetter {
    let came_as = (delivery.origin, message, &*delivery.event);
    let letter = DeadLetter::of_run((reactor.id, delivery.key), came_as, reason, delivery.history.clone(), last);
    let parks = delivery.lane().filter(|_| reactor.config.dead_letter.on_exhausted == OnExhausted::ParkKey);
    DeadLetter { parks, ..letter }
}

fn shorten(text: &str) -> String {
    match text.char_indices().find(|(at, _)| *at >= MAX_ERROR) {
        Some((at, _)) => format!("{}... ({} bytes in all)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
