//! Sends messages and waits until each has been taken or refused: for callers without an outbox to keep them in.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::{ChannelError, Sink, Trouble};
use reactor_core::clock::{Clock, Moment};
use reactor_core::event::Message;

/// Calls under way at once, where order does not matter.
const MAX_CALLS: usize = 8;
/// How long a message that cannot be sent is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Backoff = Backoff::doubling(Duration::from_millis(200), Duration::from_secs(5), Jitter::None);

/// What became of messages.
#[derive(Debug, Default)]
pub struct Sent {
    /// Taken.
    pub accepted: u64,
    /// Which others will never be taken, by their places in the list, and why.
    pub refused: Vec<(usize, ChannelError)>,
    /// Why the rest was given up on.
    pub failed: Option<ChannelError>,
}

/// Sends messages, in batches; what fails for now is tried again for half a minute.
pub async fn send(sink: &dyn Sink, messages: &[Message], clock: &dyn Clock) -> Sent {
    let until = clock.now() + PATIENCE;
    let calls = if sink.is_ordered() { 1 } else { MAX_CALLS };
    let size = sink.limits().batch;
    let batches = (0..).step_by(size).zip(messages.chunks(size));
    let batches = batches.map(|(first, batch)| send_batch(sink, first, batch, until, clock));
    let mut answers = stream::iter(batches).buffered(calls);
    let mut sent = Sent::default();
    while let Some(batch) = answers.next().await {
        sent.accepted += batch.accepted;
        sent.refused.extend(batch.refused);
        if batch.failed.is_some() {
            // Nothing more is begun; what has been is lost sight of.
            sent.failed = batch.failed;
            return sent;
        }
    }
    sent
}

async fn send_batch(sink: &dyn Sink, first: usize, batch: &[Message], until: Moment, clock: &dyn Clock) -> Sent {
    let mut sent = Sent::default();
    let (mut left, mut places) = (batch.to_vec(), (first..first + batch.len()).collect::<Vec<_>>());
    let mut failures = 0;
    loop {
        let answers = sink.send(&left).await;
        let (mut again, mut places_again) = (Vec::new(), Vec::new());
        for ((message, place), answer) in left.into_iter().zip(places).zip(answers) {
            match answer {
                Ok(()) => sent.accepted += 1,
                Err(error) if error.trouble == Trouble::Refused => sent.refused.push((place, error)),
                Err(error) => {
                    sent.failed = Some(error);
                    again.push(message);
                    places_again.push(place);
                }
            }
        }
        if again.is_empty() {
            return Sent { failed: None, ..sent };
        }
        let hopeless =
            |error: &ChannelError| matches!(error.trouble, Trouble::Missing | Trouble::Denied | Trouble::Misconfigured);
        failures += 1;
        let again_at = clock.now() + RETRY.after(failures, clock.random());
        if again_at > until || sent.failed.as_ref().is_some_and(hopeless) {
            return sent;
        }
        clock.sleep_until(again_at).await;
        (left, places) = (again, places_again);
    }
}
