//! Step: match an event against every subscription, through one compiled index. No I/O.
//!
//! Types are matched in a tree of their segments, and filters on certain values through a table of those values, so the
//! cost of an event depends on the reactors that want it and not on how many there are. Exception: reactors with the
//! same type pattern whose filters have no field that lists plain strings or numbers are tried one by one.

mod condition;
mod index;

#[cfg(test)]
mod naive;

use reactor_config::model::ReactorConfig;
use reactor_core::event::{Event, Identity, LaneKey, ReactorId};
use reactor_core::json::Value;
use reactor_core::subscription::Condition;

use crate::view::{Slot, View, Wanted};
use index::Index;

/// Every subscription to one channel, compiled.
#[derive(Clone, Debug)]
pub struct Routes {
    index: Index,
    subscribers: Vec<Subscriber>,
    wanted: Wanted,
}

/// A reactor that wants an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The reactor.
    pub reactor: ReactorId,
    /// Its lane, if the reactor orders by a value that the event has (null counts as absent).
    pub lane: Option<LaneKey>,
    /// The dedup key, if the reactor's policy names a value that the event has; otherwise the event's identity is used.
    pub key: Option<Identity>,
    /// Every message counts as an event of its own.
    pub every: bool,
}

impl Match {
    /// The dedup key of an event with this identity, which came as one part of a message with this id.
    pub fn key(&self, identity: Identity, message: Option<&str>, part: u32) -> Identity {
        match message {
            Some(id) if self.every => Identity::of(&[b"every", id.as_bytes(), &part.to_le_bytes()]),
            _ => self.key.unwrap_or(identity),
        }
    }
}

/// A subscriber whose pattern matches, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    subscriber: usize,
    /// A field of its filter that is known to hold.
    decided: Option<usize>,
}

/// What is left of a reactor's config: pointers are slots of [`Routes::wanted`].
#[derive(Clone, Debug)]
struct Subscriber {
    reactor: ReactorId,
    filter: Vec<(Slot, Vec<Condition>)>,
    order_by: Option<Slot>,
    key: Option<Slot>,
    every: bool,
}

impl Routes {
    /// Compiles the subscriptions of those reactors that read from `channel`.
    pub fn compile(channel: &str, reactors: &[(ReactorId, &ReactorConfig)]) -> Self {
        let mut wanted = Wanted::default();
        let mut subscribers = Vec::new();
        let mut patterns = Vec::new();
        for (reactor, config) in reactors {
            if !config.from.iter().any(|from| from == channel) {
                continue;
            }
            patterns.push(config.on.as_slice());
            let fields = config.when.fields.iter();
            subscribers.push(Subscriber {
                reactor: *reactor,
                filter: fields.map(|(pointer, any)| (wanted.insert(pointer), any.clone())).collect(),
                order_by: config.order_by.as_ref().map(|pointer| wanted.insert(pointer)),
                key: config.dedup.key.as_ref().map(|pointer| wanted.insert(pointer)),
                every: config.dedup.off,
            });
        }
        Self { index: Index::compile(&patterns, &subscribers), subscribers, wanted }
    }

    /// Appends every reactor that wants the event, once each, in the order of compilation. The event's data is read at
    /// most once, and only if a reactor of its type needs a value.
    pub fn matching(&self, event: &Event, matches: &mut Vec<Match>) {
        let view = View::new(event, &self.wanted);
        let mut candidates = Vec::new();
        self.index.candidates(event, &view, &mut candidates);
        candidates.sort_unstable();
        candidates.dedup_by_key(|candidate| candidate.subscriber);
        for candidate in candidates {
            let subscriber = &self.subscribers[candidate.subscriber];
            if subscriber.accepts(&view, candidate.decided) {
                matches.push(subscriber.matched(&view));
            }
        }
    }

    /// Whether any reactor has a pattern for this type and version, regardless of its filter.
    pub fn wants(&self, event_type: &str, version: u32) -> bool {
        self.index.wants(event_type, version)
    }
}

impl Subscriber {
    fn accepts(&self, view: &View<'_>, decided: Option<usize>) -> bool {
        self.filter.iter().enumerate().all(|(field, (slot, any))| {
            let holds = |value: Option<Value<'_>>| any.iter().any(|one| condition::holds(one, value.as_ref()));
            decided == Some(field) || holds(view.get(*slot))
        })
    }

    fn matched(&self, view: &View<'_>) -> Match {
        let hash = |slot: Option<Slot>, purpose: &[u8]| {
            let value = view.get(slot?).filter(|value| *value != Value::Null)?;
            Some(value.identity(&[purpose]))
        };
        let (lane, key) = (hash(self.order_by, b"lane"), hash(self.key, b"dedup"));
        Match { reactor: self.reactor, lane, key, every: self.every }
    }
}

#[cfg(test)]
mod tests;
