//! The server's whole state, behind one lock: the protocol and the test both work on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::faults::Faults;
use super::queue::{Now, Queue};

/// A call that was received.
#[derive(Clone, Debug)]
pub struct Request {
    /// For example `ReceiveMessage`.
    pub operation: String,
    /// The queue's name, if the call names one.
    pub queue: Option<String>,
    /// When it arrived, by the real clock.
    pub at: Instant,
    /// How long it took; `None` while it is waiting, or if the client gave up.
    pub took: Option<Duration>,
    /// Entries of a batch, or 1.
    pub entries: usize,
    /// Messages returned.
    pub messages: usize,
    /// `ok`, the name of the error, `reset`, or `lost`; empty while there is none.
    pub outcome: &'static str,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) endpoint: String,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) faults: Faults,
    pub(super) requests: Vec<Request>,
    /// How far this clock is ahead of the real one.
    pub(super) ahead: Duration,
    /// Whether standard queues reject stale receipts and ended leases.
    pub(super) strict: bool,
    /// Counts messages and receipts.
    pub(super) counter: u64,
    /// Makes the message ids of two servers differ.
    pub(super) nonce: u32,
    changed: Arc<Notify>,
}

impl State {
    pub(super) fn new(endpoint: String, changed: Arc<Notify>) -> Self {
        Self {
            endpoint,
            queues: BTreeMap::new(),
            faults: Faults::new(),
            requests: Vec::new(),
            ahead: Duration::ZERO,
            strict: false,
            counter: 0,
            nonce: rand::random(),
            changed,
        }
    }

    pub(super) fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead;
        Now { at: Instant::now() + self.ahead, millis: since.as_millis() as u64 }
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.endpoint)
    }

    /// Makes all waiting calls check again.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }
}
