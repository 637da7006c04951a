//! Faults and when they happen: rules that a test adds and removes while the server runs.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::refusal::Refusal;

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// 400 `RequestThrottled`: the error from SQS itself.
    Throttled,
    /// 400 `ThrottlingException`: the error from the layer in front of SQS.
    ThrottlingException,
    /// 500 with an error in JSON.
    InternalError,
    /// 503 with an HTML page, as a load balancer responds.
    Unavailable,
    /// The connection is closed without a response; the call is not carried out.
    Reset,
    /// The call waits this long before anything is done; a client that gives up earlier leaves no trace.
    Hang(Duration),
    /// 403 `AccessDenied`.
    AccessDenied,
    /// 403 `ExpiredToken`.
    ExpiredToken,
    /// 400 `QueueDoesNotExist`, although it exists.
    QueueDoesNotExist,
    /// The call is carried out, then the connection is closed without a response.
    LoseAnswer,
    /// One in `every` entries of batch calls, counted over all calls, is not carried out and is reported as failed.
    Entries {
        /// 1 for every entry.
        every: usize,
        /// The code of the entry's error.
        code: &'static str,
        /// Whether SQS says that the sender is to blame.
        sender_fault: bool,
    },
    /// The results of a batch are returned in reverse order.
    Reverse,
    /// `ReceiveMessage` on a standard queue also returns messages that another receiver has in flight.
    Duplicate,
    /// Before the call is carried out, every lease of the queue ends, and no receipt is valid any more.
    Stale,
    /// Deletes succeed, and the message comes back later: a replica missed the delete.
    KeepDeleted,
}

/// When a fault happens: on every matching call unless restricted.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    operation: String,
    queue: Option<String>,
    skip: usize,
    times: Option<usize>,
    chance: f64,
}

impl Rule {
    /// On this operation; a `*` at the end matches any suffix, as in `DeleteMessage*`.
    pub fn on(operation: &str, fault: Fault) -> Self {
        Self { fault, operation: operation.to_owned(), queue: None, skip: 0, times: None, chance: 1.0 }
    }

    /// Only calls on this queue.
    pub fn queue(self, name: &str) -> Self {
        Self { queue: Some(name.to_owned()), ..self }
    }

    /// Skips this many matching calls first.
    pub fn skip(self, calls: usize) -> Self {
        Self { skip: calls, ..self }
    }

    /// At most on this many calls.
    pub fn times(self, calls: usize) -> Self {
        Self { times: Some(calls), ..self }
    }

    /// With this probability, from 0 to 1, decided by the server's seed.
    pub fn chance(self, probability: f64) -> Self {
        Self { chance: probability, ..self }
    }

    fn matches(&self, operation: &str, queue: Option<&str>) -> bool {
        let named = match self.operation.strip_suffix('*') {
            Some(start) => operation.starts_with(start),
            None => operation == self.operation,
        };
        named && self.queue.as_deref().is_none_or(|name| queue == Some(name))
    }
}

/// Identifies a rule that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub(super) u64);

/// The effects of the rules on one call.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) hang: Option<Duration>,
    pub(super) refusal: Option<Refusal>,
    pub(super) reset: bool,
    pub(super) lose: bool,
    pub(super) reverse: bool,
    pub(super) twice: bool,
    pub(super) stale: bool,
    pub(super) keep: bool,
    /// By index in the batch: code and sender fault.
    pub(super) entries: BTreeMap<usize, (&'static str, bool)>,
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    fired: usize,
    /// Entries checked, for [`Fault::Entries`].
    entries: usize,
}

/// The rules, in the order in which they were added.
#[derive(Debug)]
pub(super) struct Faults {
    rules: BTreeMap<RuleId, Active>,
    /// Including rules that were removed.
    added: u64,
    random: StdRng,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self { rules: BTreeMap::new(), added: 0, random: StdRng::seed_from_u64(0) }
    }

    pub(super) fn seed(&mut self, seed: u64) {
        self.random = StdRng::seed_from_u64(seed);
    }

    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        self.added += 1;
        self.rules.insert(RuleId(self.added), Active { rule, fired: 0, entries: 0 });
        RuleId(self.added)
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.rules.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn fired(&self, id: RuleId) -> usize {
        self.rules.get(&id).map_or(0, |active| active.fired)
    }

    /// Decides about one call. All matching rules apply, up to the first that ends the call.
    pub(super) fn plan(&mut self, operation: &str, queue: Option<&str>, entries: usize) -> Effects {
        let mut effects = Effects::default();
        for active in self.rules.values_mut() {
            let rule = &mut active.rule;
            if !rule.matches(operation, queue) || rule.times.is_some_and(|times| active.fired >= times) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            // Certain rules draw no random number, so that adding one does not change the meaning of a seed for the
            // others.
            if rule.chance < 1.0 && !self.random.random_bool(rule.chance.max(0.0)) {
                continue;
            }
            let fired = active.apply(&mut effects, entries);
            active.fired += usize::from(fired);
            if effects.reset || effects.refusal.is_some() {
                break;
            }
        }
        effects
    }
}

impl Active {
    fn apply(&mut self, effects: &mut Effects, entries: usize) -> bool {
        match self.rule.fault {
            Fault::Reset => effects.reset = true,
            Fault::Hang(time) => effects.hang = Some(time),
            Fault::LoseAnswer => effects.lose = true,
            Fault::Reverse => effects.reverse = true,
            Fault::Duplicate => effects.twice = true,
            Fault::Stale => effects.stale = true,
            Fault::KeepDeleted => effects.keep = true,
            Fault::Entries { every, code, sender_fault } => {
                let hit = (0..entries).filter(|place| (self.entries + place + 1).is_multiple_of(every));
                let before = effects.entries.len();
                effects.entries.extend(hit.map(|place| (place, (code, sender_fault))));
                self.entries += entries;
                return effects.entries.len() > before;
            }
            Fault::Throttled => effects.refusal = Some(Refusal::THROTTLED),
            Fault::ThrottlingException => effects.refusal = Some(Refusal::THROTTLING_EXCEPTION),
            Fault::InternalError => effects.refusal = Some(Refusal::INTERNAL),
            Fault::Unavailable => effects.refusal = Some(Refusal::UNAVAILABLE),
            Fault::AccessDenied => effects.refusal = Some(Refusal::ACCESS_DENIED),
            Fault::ExpiredToken => effects.refusal = Some(Refusal::EXPIRED_TOKEN),
            Fault::QueueDoesNotExist => effects.refusal = Some(Refusal::NO_QUEUE),
        }
        true
    }
}
