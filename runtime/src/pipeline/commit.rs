//! Step: turn what an attempt did and what the policy made of it into one atomic commit, and send it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::config::model::OnExhausted;
use crate::event::{AttemptRecord, DeliveryId, HostTime, Message, Version};
use crate::store::{AttemptNote, Commit, Committed, DeadLetter, Ending, Store, StoreError, Target};

use super::delivery::{Committing, Delivery};
use super::invoke::Run;
use super::judge::{self, Verdict};
use super::reactor::Reactor;
use super::report::AttemptReport;
use super::room::until_there_is_room;
use super::signal::Signals;
use super::{Input, fed_by, schedule};

/// Longest error text kept per attempt, in bytes.
const MAX_ERROR: usize = 8 * 1024;
/// Most commits in one call to the store.
const MAX_GROUP: usize = 1_024;
/// How many commits a group should have while there is plenty to do, and how long it waits for them at most.
const GATHER: usize = 64;
const GATHER_FOR: Duration = Duration::from_millis(1);

/// When and by what an attempt was judged.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) now: HostTime,
    pub(super) wall: Timestamp,
    /// Deliveries of the lane that must wait if this one does.
    pub(super) followers: Vec<DeliveryId>,
    pub(super) number: Version,
    /// What the run emitted, ready to go.
    pub(super) emits: Vec<(Target, Message)>,
    /// Whether ended attempts are kept.
    pub(super) keeps: bool,
}

/// Builds the commit of an ended attempt. `from` is the channel that the event came through, and `message` reads the original message, and is called for dead letters only.
pub(super) fn build(
    delivery: &Delivery,
    reactor: &Reactor,
    run: Run,
    judged: Judged,
    from: &str,
    message: impl FnOnce() -> Result<Message, StoreError>,
) -> Result<Commit, StoreError> {
    let attempt = delivery.attempt();
    let module = delivery.running().map_or(&reactor.module, |running| &running.module);
    let note = judged.keeps.then(|| AttemptNote {
        event: Arc::clone(&delivery.event),
        origin: delivery.origin,
        code: judge::describe(&run.outcome).0,
        at: judged.wall,
        took: run.usage.wall,
        module: Arc::clone(module),
    });
    let record = || {
        let (code, error) = judge::describe(&run.outcome);
        AttemptRecord {
            number: attempt,
            code: code.to_owned(),
            error: shorten(error),
            at: judged.wall,
            module: (**module).to_owned(),
        }
    };
    let (writes, emits, ending) = match judged.verdict {
        Verdict::Complete => (run.writes, judged.emits, Ending::Done),
        Verdict::Again { delay } => {
            let due = judged.now.after(delay);
            (Vec::new(), Vec::new(), Ending::Wait { due, record: record(), hold: judged.followers })
        }
        Verdict::Dead { reason } => {
            let mut letter = dead_letter(delivery, reactor, record(), reason, message()?, judged.wall);
            let hold = if letter.parks.is_some() { judged.followers } else { Vec::new() };
            let forward = reactor.forward(delivery, &mut letter, from).into_iter().collect();
            (Vec::new(), Vec::new(), Ending::Dead { letter, forward, hold })
        }
    };
    Ok(Commit {
        number: judged.number,
        delivery: delivery.id(),
        reactor: reactor.id,
        attempt,
        after: delivery.running().and_then(|running| running.after),
        reads: run.reads,
        writes,
        emits,
        ending,
        note,
        now: judged.now,
    })
}

/// What an ending means for the lane.
pub(super) fn lane_ending(ending: &Ending) -> schedule::Ending {
    match ending {
        Ending::Wait { .. } => schedule::Ending::Wait,
        Ending::Dead { letter, .. } if letter.parks.is_some() => schedule::Ending::Park,
        Ending::Done | Ending::Dead { .. } => schedule::Ending::Release,
    }
}

/// What will have to be done when a commit has been answered.
pub(super) fn committing(commit: &Commit, report: AttemptReport) -> Committing {
    let due = match commit.ending {
        Ending::Wait { due, .. } => Some(due),
        Ending::Done | Ending::Dead { .. } => None,
    };
    let written = commit.writes.iter().map(|(key, _)| key.clone()).collect();
    Committing { number: commit.number, written, due, fed: fed_by(commit), report }
}

fn dead_letter(
    delivery: &Delivery,
    reactor: &Reactor,
    record: AttemptRecord,
    reason: &str,
    message: Message,
    at: Timestamp,
) -> DeadLetter {
    let detail = record.error.clone();
    let mut history = delivery.history.clone();
    history.push(record);
    DeadLetter {
        reactor: Some(reactor.id),
        origin: delivery.origin,
        message,
        event_id: Some(delivery.event.id.clone()),
        event_type: Some(delivery.event.event_type.clone()),
        correlation_id: Some(delivery.event.correlation_id.clone()),
        reason: reason.to_owned(),
        detail,
        history,
        parks: delivery.lane().filter(|_| reactor.config.dead_letter.on_exhausted == OnExhausted::ParkKey),
        key: delivery.key,
        at,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().find(|(at, _)| *at >= MAX_ERROR) {
        Some((at, _)) => format!("{}... ({} bytes in all)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}

/// Sends commits to the store, in order, as many at a time as there are, and reports what became of them. `in_memory` is
/// how many deliveries are in memory: while there is plenty to do, a group waits a moment for more, since what a group
/// costs is little more than what a commit costs.
///
/// On a full disk it keeps trying: what has run must be able to end. Any other error ends the host.
pub(super) async fn committer(
    store: Arc<dyn Store>,
    mut commits: mpsc::UnboundedReceiver<Commit>,
    inputs: mpsc::UnboundedSender<Input>,
    signals: Arc<Signals>,
    in_memory: Arc<AtomicUsize>,
) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while commits.recv_many(&mut group, MAX_GROUP).await > 0 {
        if group.len() < GATHER && in_memory.load(Relaxed) > 2 * GATHER {
            let until = Instant::now() + GATHER_FOR;
            while group.len() < GATHER
                && let Ok(1..) = timeout_at(until, commits.recv_many(&mut group, MAX_GROUP)).await
            {}
        }
        let sent = std::mem::take(&mut group);
        let answers = match until_there_is_room(&signals, || store.commit(sent.clone())).await {
            Ok(answers) => answers,
            Err(error) => {
                let _ = inputs.send(Input::Fatal(error));
                return;
            }
        };
        let ended = sent.iter().map(|commit| commit.delivery).zip(answers).collect::<Vec<(DeliveryId, Committed)>>();
        if inputs.send(Input::Committed(ended)).is_err() {
            return;
        }
    }
}
