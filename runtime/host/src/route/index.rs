//! The tree of type segments, with a table of wanted values where a pattern ends.

use std::collections::{BTreeMap, HashMap};

use reactor_core::event::Event;
use reactor_core::json::{Decimal, Value, elements};
use reactor_core::subscription::{Condition, Scalar, Segment, TypePattern, VersionBound};

use super::{Candidate, Subscriber};
use crate::view::{Slot, View};

/// All patterns of a channel's subscribers.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    root: Node,
}

/// What may follow after the segments that lead here.
#[derive(Clone, Debug, Default)]
struct Node {
    exact: HashMap<String, Node>,
    any: Option<Box<Node>>,
    /// Patterns that end with `**` here.
    rest: Ending,
    /// Patterns that end here.
    end: Ending,
}

/// The subscribers whose pattern ends at one place.
#[derive(Clone, Debug, Default)]
struct Ending {
    /// To be tried one by one.
    open: Vec<Entry>,
    /// Subscribers that require certain values of a field, by field.
    tables: Vec<(Slot, Table)>,
}

/// The subscribers that require certain values of one field.
#[derive(Clone, Debug, Default)]
struct Table {
    strings: HashMap<String, Vec<Entry>>,
    numbers: HashMap<Decimal<'static>, Vec<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// The subscriber's place.
    subscriber: usize,
    versions: Vec<VersionBound>,
    /// The field of the filter that holds if the entry was found in a table.
    decided: Option<usize>,
}

impl Index {
    /// Compiles the patterns of each subscriber; both lists run in step.
    pub(super) fn compile(patterns: &[&[TypePattern]], subscribers: &[Subscriber]) -> Self {
        let mut root = Node::default();
        for (place, patterns) in patterns.iter().enumerate() {
            for (index, pattern) in patterns.iter().enumerate() {
                let twin = |other: &TypePattern| other.segments == pattern.segments && other.covers(pattern);
                if patterns[..index].iter().any(twin) {
                    continue;
                }
                let entry = Entry { subscriber: place, versions: pattern.versions.clone(), decided: None };
                root.ending(&pattern.segments).open.push(entry);
            }
        }
        root.build_tables(subscribers);
        Self { root }
    }

    /// Appends the subscribers that may want the event, some perhaps twice: the type and version match, and so does the
    /// field of the filter that was put in a table, if any.
    pub(super) fn candidates(&self, event: &Event, view: &View<'_>, out: &mut Vec<Candidate>) {
        self.root.walk(Some(&event.event_type), &mut |ending| ending.candidates(event.version, view, out));
    }

    /// Whether any pattern has this type and version.
    pub(super) fn wants(&self, event_type: &str, version: u32) -> bool {
        let mut wanted = false;
        self.root.walk(Some(event_type), &mut |ending| wanted |= ending.has(version));
        wanted
    }
}

impl Node {
    fn ending(&mut self, segments: &[Segment]) -> &mut Ending {
        match segments.split_first() {
            None => &mut self.end,
            Some((Segment::Rest, _)) => &mut self.rest,
            Some((Segment::Any, tail)) => self.any.get_or_insert_default().ending(tail),
            Some((Segment::Exact(word), tail)) => self.exact.entry(word.clone()).or_default().ending(tail),
        }
    }

    /// Visits the endings of all patterns that match the remaining type; `None` when it is used up.
    fn walk<'n>(&'n self, event_type: Option<&str>, visit: &mut impl FnMut(&'n Ending)) {
        let Some(event_type) = event_type else {
            visit(&self.end);
            return;
        };
        visit(&self.rest);
        let (word, tail) = match event_type.split_once('.') {
            Some((word, tail)) => (word, Some(tail)),
            None => (event_type, None),
        };
        if let Some(node) = self.exact.get(word) {
            node.walk(tail, visit);
        }
        if let Some(node) = &self.any {
            node.walk(tail, visit);
        }
    }

    fn build_tables(&mut self, subscribers: &[Subscriber]) {
        self.rest.build_tables(subscribers);
        self.end.build_tables(subscribers);
        for node in self.exact.values_mut().chain(self.any.as_deref_mut()) {
            node.build_tables(subscribers);
        }
    }
}

impl Ending {
    /// Moves every entry that can be found by a value into the table of a field, the commonest field first, so that
    /// there are few tables.
    fn build_tables(&mut self, subscribers: &[Subscriber]) {
        let mut counts: BTreeMap<Slot, usize> = BTreeMap::new();
        for entry in &self.open {
            for (_, slot, _) in listed_fields(&subscribers[entry.subscriber]) {
                *counts.entry(slot).or_default() += 1;
            }
        }
        let mut tables: BTreeMap<Slot, Table> = BTreeMap::new();
        for entry in std::mem::take(&mut self.open) {
            let fields = listed_fields(&subscribers[entry.subscriber]);
            match fields.max_by_key(|(_, slot, _)| counts.get(slot).copied()) {
                Some((field, slot, conditions)) => {
                    let entry = Entry { decided: Some(field), ..entry };
                    tables.entry(slot).or_default().insert(conditions, &entry);
                }
                None => self.open.push(entry),
            }
        }
        self.tables = tables.into_iter().collect();
    }

    fn candidates(&self, version: u32, view: &View<'_>, out: &mut Vec<Candidate>) {
        push_all(&self.open, version, out);
        for (slot, table) in &self.tables {
            match view.get(*slot) {
                None => {}
                Some(Value::Array(text)) => {
                    elements(text).into_iter().for_each(|element| table.look_up(&Value::of(element), version, out));
                }
                Some(value) => table.look_up(&value, version, out),
            }
        }
    }

    fn has(&self, version: u32) -> bool {
        let holds = |entry: &Entry| entry.wants(version);
        let tables = self.tables.iter().map(|(_, table)| table);
        let listed = tables.flat_map(|table| table.strings.values().chain(table.numbers.values()));
        self.open.iter().any(holds) || listed.flatten().any(holds)
    }
}

impl Table {
    fn insert(&mut self, conditions: &[Condition], entry: &Entry) {
        for condition in conditions {
            let entries = match condition {
                Condition::Equals(Scalar::String(text)) => self.strings.entry(text.clone()).or_default(),
                Condition::Equals(Scalar::Number(number)) => self.numbers.entry(number.clone()).or_default(),
                _ => continue,
            };
            entries.push(entry.clone());
        }
    }

    fn look_up(&self, value: &Value<'_>, version: u32, out: &mut Vec<Candidate>) {
        let entries = match value {
            Value::String(text) => self.strings.get(text.as_ref()),
            Value::Number(digits) => {
                // A shorter lifetime for the keys is enough for a lookup.
                let numbers: &HashMap<Decimal<'_>, Vec<Entry>> = &self.numbers;
                numbers.get(&Decimal::of(digits))
            }
            _ => None,
        };
        push_all(entries.map(Vec::as_slice).unwrap_or_default(), version, out);
    }
}

impl Entry {
    fn wants(&self, version: u32) -> bool {
        self.versions.iter().all(|bound| bound.holds(version))
    }
}

fn push_all(entries: &[Entry], version: u32, out: &mut Vec<Candidate>) {
    let wanting = entries.iter().filter(|entry| entry.wants(version));
    out.extend(wanting.map(|entry| Candidate { subscriber: entry.subscriber, decided: entry.decided }));
}

/// The fields of a filter that list nothing but strings and numbers, with their places.
fn listed_fields(subscriber: &Subscriber) -> impl Iterator<Item = (usize, Slot, &[Condition])> {
    let plain = |condition: &Condition| matches!(condition, Condition::Equals(Scalar::String(_) | Scalar::Number(_)));
    let fields = subscriber.filter.iter().enumerate();
    let listed = fields.filter(move |(_, (_, any))| any.iter().all(plain));
    listed.map(|(field, (slot, any))| (field, *slot, any.as_slice()))
}
