//! Acknowledges messages and sets leases, many at a time, retrying until it succeeds or the lease has expired.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::{ChannelError, Leasing, Result, Source, Trouble};
use reactor_core::clock::{Alarm, Clock, Moment};

use super::waiting::{Ack, Entry, Waiting};

/// Calls under way at once.
const MAX_CALLS: usize = 16;
/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(5);
/// Delays after failures.
const RETRY: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(10), Jitter::Equal);
/// While every call fails, one is made at least this often: a lease that can be renewed again must not wait.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The result: when the last call was made, and how it ended.
pub(crate) type Report<T> = (T, Moment, Result<()>);

/// Which of the two operations a task performs, and on what.
#[derive(Clone)]
pub(crate) enum What {
    /// [`Source::acknowledge`]
    Acknowledge(Arc<dyn Source>),
    /// [`Leasing::lease`]
    Lease(Arc<dyn Leasing>),
}

/// A call under way: what it is about, when it was made, and the answers.
type Call<T> = BoxFuture<'static, (Vec<Entry<T>>, Moment, Vec<Result<()>>)>;

/// Works until the sender is gone and everything is done, with up to `size` entries per call. Every acknowledgement is
/// reported once.
pub(crate) async fn acknowledge<T: Send + Clone + 'static>(
    what: What,
    size: usize,
    mut acks: mpsc::UnboundedReceiver<Ack<T>>,
    report: impl Fn(Report<T>) + Send,
    clock: Arc<dyn Clock>,
) {
    let mut alarm = Alarm::new(Arc::clone(&clock));
    // A message is deleted once; its lease may be given back while it is being renewed.
    let mut waiting = Waiting::new(matches!(what, What::Lease(_)));
    let mut calls = FuturesUnordered::<Call<T>>::new();
    let (mut open, mut buffer) = (true, Vec::new());
    // Whole calls that failed in a row, and when to resume: one call at a time then, instead of thousands.
    let (mut failures, mut resume) = (0_u32, clock.now());
    while open || !waiting.is_empty() || !calls.is_empty() {
        let now = clock.now();
        waiting.wake(now);
        // Waiting in line does not extend what is left of a lease.
        while let Some(late) = waiting.late(now) {
            report((late.ack.tag, now, Err(void("the lease ended before the channel could be told"))));
        }
        let most = if failures == 0 { MAX_CALLS } else { 1 };
        let is_ripe = |waiting: &Waiting<T>| {
            waiting.queued() >= size || waiting.first().is_some_and(|first| !open || first + LINGER <= now)
        };
        while calls.len() < most && resume <= now && is_ripe(&waiting) {
            let (batch, replaced) = waiting.take(size);
            replaced.into_iter().for_each(|entry| report((entry.ack.tag, now, Err(replaced_by_newer()))));
            calls.push(call(what.clone(), batch, Arc::clone(&clock)));
        }
        let ripens = waiting.first().filter(|_| calls.len() < most).map(|first| (first + LINGER).max(resume));
        let wake = waiting.again_at().into_iter().chain(ripens).min();
        tokio::select! {
            // In this order, so that the same input gives the same calls.
            biased;
            Some((batch, sent, answers)) = calls.next(), if !calls.is_empty() => {
                let failed = answers.iter().all(|answer| answer.as_ref().is_err_and(|error| !is_final(error.trouble)));
                failures = if failed { failures.saturating_add(1) } else { 0 };
                // The entries of a call are tried again together.
                let tries = batch.iter().map(|entry| entry.tries).max().unwrap_or(0);
                let answered = clock.now();
                let at = answered + RETRY.after(tries + 1, clock.random());
                if failed {
                    resume = answered + RETRY.after(failures, clock.random()).min(PROBE_EVERY);
                }
                for (entry, answer) in batch.into_iter().zip(answers) {
                    if let Some((tag, answer)) = settle(&mut waiting, entry, answer, at) {
                        report((tag, sent, answer));
                    }
                }
            }
            received = acks.recv_many(&mut buffer, 256), if open => {
                open = received > 0;
                let at = clock.now();
                for replaced in buffer.drain(..).filter_map(|ack| waiting.put(ack, at)) {
                    report((replaced.ack.tag, at, Err(replaced_by_newer())));
                }
            }
            () = alarm.until(wake.unwrap_or(now)), if wake.is_some() => {}
        }
    }
}

fn call<T: Send + 'static>(what: What, batch: Vec<Entry<T>>, clock: Arc<dyn Clock>) -> Call<T> {
    Box::pin(async move {
        let sent = clock.now();
        let mut answers = match what {
            What::Acknowledge(source) => {
                let receipts: Vec<_> = batch.iter().map(|entry| entry.ack.receipt.clone()).collect();
                source.acknowledge(&receipts).await
            }
            What::Lease(source) => {
                let leases: Vec<_> = batch.iter().map(|entry| (entry.ack.receipt.clone(), entry.ack.lease)).collect();
                source.lease(&leases).await
            }
        };
        // If a source returns too few results, the rest are unknown.
        answers.resize_with(batch.len(), || {
            Err(ChannelError { trouble: Trouble::Unreachable, detail: "no answer for this message".into() })
        });
        (batch, sent, answers)
    })
}

/// Keeps the entry if it is to be tried again; else answers with what to report.
fn settle<T>(waiting: &mut Waiting<T>, mut entry: Entry<T>, answer: Result<()>, at: Moment) -> Option<(T, Result<()>)> {
    entry.at = at;
    entry.tries += 1;
    let may_come_right = answer.as_ref().is_err_and(|error| !is_final(error.trouble)) && at < entry.ack.until;
    if may_come_right && !waiting.has_newer(&entry.ack.receipt) {
        waiting.put_back(entry);
        return None;
    }
    waiting.over(&entry.ack.receipt);
    Some((entry.ack.tag, answer))
}

/// What has not been said of a lease, and never will be.
fn void(why: &str) -> ChannelError {
    ChannelError { trouble: Trouble::StaleReceipt, detail: why.into() }
}

fn replaced_by_newer() -> ChannelError {
    void("a newer change of the lease took its place")
}

fn is_final(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::StaleReceipt | Trouble::Missing | Trouble::Refused)
}
