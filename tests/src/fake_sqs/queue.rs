//! One queue: messages, leases, receipts, groups and deduplication. Has no HTTP, no JSON and no clock: every method
//! gets the time, so that a test can advance the clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::refusal::Refusal;

/// How long a FIFO queue remembers a deduplication id.
const DEDUP: Duration = Duration::from_secs(300);

/// The current time, twice: for time-outs and for display.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Milliseconds since 1970.
    pub(super) millis: u64,
}

/// A message that is or was in a queue.
#[derive(Clone, Debug)]
pub struct Message {
    /// Assigned by the queue.
    pub id: String,
    /// The text that was sent.
    pub body: String,
    /// In the form of the protocol: `{"DataType": "String", "StringValue": ...}`.
    pub attributes: BTreeMap<String, Value>,
    /// Its group, if it was sent with one.
    pub group: Option<String>,
    /// Its deduplication id, if it was sent with one.
    pub dedup: Option<String>,
    /// Its position among all messages ever sent to this server.
    pub sequence: u64,
    /// When it was sent, in milliseconds since 1970.
    pub sent: u64,
    /// How often it was received.
    pub receives: u32,
    /// Every receipt returned for it by this queue, the newest last.
    pub receipts: Vec<String>,
    pub(super) first_received: u64,
    /// The queue that it was moved from, as an ARN.
    pub(super) source: Option<String>,
    /// The only valid receipt.
    current: Option<String>,
    visible_at: Instant,
}

impl Message {
    fn is_visible(&self, now: Now) -> bool {
        self.visible_at <= now.at
    }

    fn is_in_flight(&self, now: Now) -> bool {
        !self.is_visible(now) && !self.receipts.is_empty()
    }
}

/// A message from a sender.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, Value>,
    pub(super) group: Option<String>,
    pub(super) dedup: Option<String>,
    pub(super) delay: Option<u64>,
}

/// The current and past numbers of messages in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Available to receive, ignoring FIFO locks.
    pub visible: usize,
    /// Received, with a lease that has not ended.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
    /// Deleted permanently.
    pub deleted: usize,
    /// Accepted, without duplicates; messages moved here from another queue do not count.
    pub sent: usize,
}

/// A receive request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receive {
    pub(super) max: usize,
    pub(super) lease: Duration,
    /// Also return messages that another receiver has in flight.
    pub(super) twice: bool,
    /// Maximum receives before a message goes to the dead letter queue.
    pub(super) limit: Option<u32>,
}

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) live: BTreeMap<u64, Message>,
    pub(super) deleted: Vec<Message>,
    /// By deduplication id: until when, and the response.
    dedup: HashMap<String, (Instant, String, u64)>,
    sent: usize,
}

impl Queue {
    pub(super) fn new(name: &str, attributes: BTreeMap<String, String>) -> Self {
        let (live, deleted, dedup) = Default::default();
        Self { name: name.to_owned(), attributes, live, deleted, dedup, sent: 0 }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    /// A numeric attribute.
    pub(super) fn number(&self, attribute: &str, default: u64) -> u64 {
        self.attributes.get(attribute).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    pub(super) fn counts(&self, now: Now) -> Counts {
        let mut counts = Counts { deleted: self.deleted.len(), sent: self.sent, ..Counts::default() };
        for message in self.live.values() {
            if message.is_visible(now) {
                counts.visible += 1;
            } else if message.is_in_flight(now) {
                counts.in_flight += 1;
            } else {
                counts.delayed += 1;
            }
        }
        counts
    }

    /// Accepts a message; returns its id and sequence number, which for a duplicate are those of the first one.
    pub(super) fn send(&mut self, new: Outgoing, id: String, sequence: u64, now: Now) -> (String, u64) {
        let key = match &new.dedup {
            Some(dedup) => Some(dedup.clone()),
            None if self.is_fifo() => Some(format!("content: {}", new.body)),
            None => None,
        };
        if let Some(key) = key {
            if let Some((until, id, sequence)) = self.dedup.get(&key)
                && *until > now.at
            {
                return (id.clone(), *sequence);
            }
            self.dedup.insert(key, (now.at + DEDUP, id.clone(), sequence));
        }
        let delay = Duration::from_secs(new.delay.unwrap_or_else(|| self.number("DelaySeconds", 0)));
        let message = Message {
            id: id.clone(),
            body: new.body,
            attributes: new.attributes,
            group: new.group,
            dedup: new.dedup,
            sequence,
            sent: now.millis,
            receives: 0,
            receipts: Vec::new(),
            first_received: 0,
            source: None,
            current: None,
            visible_at: now.at + delay,
        };
        self.live.insert(sequence, message);
        self.sent += 1;
        (id, sequence)
    }

    /// Takes over a message from another queue; receipts of the other queue become invalid.
    pub(super) fn adopt(&mut self, mut message: Message, source: String, now: Now) {
        message.receipts.clear();
        (message.current, message.source, message.visible_at) = (None, Some(source), now.at);
        self.live.insert(message.sequence, message);
    }

    /// Leases messages, and removes those that were received too often.
    pub(super) fn receive(&mut self, wanted: Receive, now: Now, tickets: &mut u64) -> (Vec<Message>, Vec<Message>) {
        let fifo = self.is_fifo();
        // A group is blocked while one of its messages is in flight; a single call may return several.
        let away = self.live.values().filter(|message| fifo && !message.is_visible(now));
        let closed: HashSet<_> = away.filter_map(|message| message.group.clone()).collect();
        let (mut taken, mut dead) = (Vec::new(), Vec::new());
        for message in self.live.values_mut() {
            if taken.len() == wanted.max {
                break;
            }
            let is_open = !message.group.as_ref().is_some_and(|group| closed.contains(group));
            let again = wanted.twice && !fifo && message.is_in_flight(now);
            if !(message.is_visible(now) && is_open || again) {
                continue;
            }
            if wanted.limit.is_some_and(|limit| message.receives >= limit) {
                dead.push(message.sequence);
                continue;
            }
            *tickets += 1;
            let receipt = format!("AQEB-{}-{}-{tickets}", self.name, message.sequence);
            message.receives += 1;
            if message.receives == 1 {
                message.first_received = now.millis;
            }
            message.visible_at = now.at + wanted.lease;
            message.receipts.push(receipt.clone());
            message.current = Some(receipt);
            taken.push(message.clone());
        }
        (taken, dead.into_iter().filter_map(|sequence| self.live.remove(&sequence)).collect())
    }

    /// The message for which a receipt was returned.
    fn sequence(&self, receipt: &str) -> Result<u64, Refusal> {
        let (rest, ticket) = receipt.rsplit_once('-').unwrap_or_default();
        let (queue, sequence) = rest.rsplit_once('-').unwrap_or_default();
        let ours = queue.strip_prefix("AQEB-") == Some(&self.name) && ticket.parse::<u64>().is_ok();
        sequence.parse().ok().filter(|_| ours).ok_or(Refusal::INVALID_RECEIPT)
    }

    /// Deletes permanently. A stale receipt is an error on a FIFO queue only: a standard queue reports success and
    /// keeps the message, unless it is `strict`.
    pub(super) fn delete(&mut self, receipt: &str, strict: bool, now: Now) -> Result<(), Refusal> {
        let sequence = self.sequence(receipt)?;
        let Some(message) = self.live.get(&sequence) else { return Ok(()) };
        let fifo = self.is_fifo();
        if message.current.as_deref() == Some(receipt) && (!fifo || message.is_in_flight(now)) {
            self.deleted.extend(self.live.remove(&sequence));
            return Ok(());
        }
        match (fifo, strict) {
            (true, _) => Err(Refusal::receipt(receipt, "The receipt handle has expired.")),
            (false, true) => Err(Refusal::INVALID_RECEIPT),
            (false, false) => Ok(()),
        }
    }

    /// Sets how long a message stays leased from now on. Once the lease has ended, this succeeds without effect, unless
    /// the queue is `strict`.
    pub(super) fn lease(&mut self, receipt: &str, lease: Duration, strict: bool, now: Now) -> Result<(), Refusal> {
        let sequence = self.sequence(receipt)?;
        let message = self.live.get_mut(&sequence).filter(|message| message.current.as_deref() == Some(receipt));
        let Some(message) = message else {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            return Err(Refusal::receipt(receipt, reason));
        };
        if message.is_in_flight(now) {
            message.visible_at = now.at + lease;
        } else if strict {
            return Err(Refusal::NOT_IN_FLIGHT);
        }
        Ok(())
    }

    /// Ends every lease; no receipt returned so far is valid any more.
    pub(super) fn make_stale(&mut self, now: Now) {
        for message in self.live.values_mut() {
            if message.current.take().is_some() {
                message.visible_at = message.visible_at.min(now.at);
            }
        }
    }

    /// When the next message becomes visible on its own.
    pub(super) fn next_visible(&self, now: Now) -> Option<Instant> {
        self.live.values().map(|message| message.visible_at).filter(|at| *at > now.at).min()
    }
}
