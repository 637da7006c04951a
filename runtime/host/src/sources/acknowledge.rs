//! Acknowledges messages and sets leases, many at a time, retrying until it succeeds or the lease has expired.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::{ChannelError, Lease, Leasing, Receipt, Result, Source, Trouble};
use reactor_core::clock::{Alarm, Clock, Moment};

/// Calls under way at once.
const MAX_CALLS: usize = 16;
/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(5);
/// Delays after failures.
const RETRY: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(10), Jitter::Equal);
/// While every call fails, one is made at least this often: a lease that can be renewed again must not wait.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Something to be done with a received message.
#[derive(Clone, Debug)]
pub(crate) struct Ack<T> {
    /// Which message.
    pub receipt: Receipt,
    /// What happens to its lease; ignored when it is acknowledged.
    pub lease: Lease,
    /// Retries end at this time.
    pub until: Moment,
    /// The caller's label for it.
    pub tag: T,
}

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

struct Entry<T> {
    ack: Ack<T>,
    tries: u32,
    /// Not before then.
    at: Moment,
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
    let (mut queue, mut later) = (VecDeque::new(), Vec::<Entry<T>>::new());
    let mut calls = FuturesUnordered::<Call<T>>::new();
    let (mut open, mut buffer) = (true, Vec::new());
    // Whole calls that failed in a row, and when to resume: one call at a time then, instead of thousands.
    let (mut failures, mut resume) = (0_u32, clock.now());
    while open || !queue.is_empty() || !later.is_empty() || !calls.is_empty() {
        let now = clock.now();
        for entry in later.extract_if(.., |entry| entry.at <= now) {
            queue.push_back(entry);
        }
        let ripe = |queue: &VecDeque<Entry<T>>| {
            queue.len() >= size || queue.front().is_some_and(|first| !open || first.at + LINGER <= now)
        };
        // Waiting in line does not extend what is left of a lease.
        while queue.front().is_some_and(|first: &Entry<T>| first.ack.until <= now)
            && let Some(late) = queue.pop_front()
        {
            report((late.ack.tag, now, Err(too_late())));
        }
        let most = if failures == 0 { MAX_CALLS } else { 1 };
        while calls.len() < most && resume <= now && ripe(&queue) {
            let batch: Vec<_> = queue.drain(..queue.len().min(size)).collect();
            calls.push(call(what.clone(), batch, Arc::clone(&clock)));
        }
        let ripens = queue.front().filter(|_| calls.len() < most).map(|first| (first.at + LINGER).max(resume));
        let wake = later.iter().map(|entry| entry.at).chain(ripens).min();
        tokio::select! {
            received = acks.recv_many(&mut buffer, 256), if open => {
                open = received > 0;
                let at = clock.now();
                queue.extend(buffer.drain(..).map(|ack| Entry { ack, tries: 0, at }));
            }
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
                    match again(entry, answer, at) {
                        Ok(entry) => later.push(entry),
                        Err((tag, answer)) => report((tag, sent, answer)),
                    }
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

/// The entry, if it is to be tried again; else what to report.
fn again<T>(mut entry: Entry<T>, answer: Result<()>, at: Moment) -> std::result::Result<Entry<T>, (T, Result<()>)> {
    entry.at = at;
    entry.tries += 1;
    match answer {
        Err(error) if !is_final(error.trouble) && entry.at < entry.ack.until => Ok(entry),
        answer => Err((entry.ack.tag, answer)),
    }
}

fn too_late() -> ChannelError {
    ChannelError { trouble: Trouble::StaleReceipt, detail: "the lease ended before the channel could be told".into() }
}

fn is_final(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::StaleReceipt | Trouble::Missing | Trouble::Refused)
}
