//! The whole flow without a host: sample events in, the README's totals out, for any order of unrelated events.
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod lines;
mod reactors;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reactor_guest::testing::Ending;
use reactor_guest::{Event, Raw};

use reactors::{Reactor, shop};

const README: &str = include_str!("../../../README.md");
const SAMPLES: &str = include_str!("../../../events.jsonl");

/// The outcomes of one reactor's deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Totals {
    delivered: u32,
    done: u32,
    retried: u32,
    duplicates: u32,
    emitted: u32,
    dead: BTreeMap<&'static str, u32>,
}

/// A reactor with its waiting events: one queue per lane, in order of arrival.
struct Consumer {
    reactor: Reactor,
    lanes: BTreeMap<String, VecDeque<Event<Raw>>>,
    seen: BTreeSet<(String, String)>,
    totals: Totals,
}

impl Consumer {
    fn take(&mut self, event: &Event<Raw>) {
        if !(self.reactor.wants)(event) {
            return;
        }
        if !self.seen.insert((event.source.clone(), event.id.clone())) {
            self.totals.duplicates += 1;
            return;
        }
        self.totals.delivered += 1;
        let lane = self.reactor.lane(event).unwrap_or_else(|| format!("event {}", self.totals.delivered));
        self.lanes.entry(lane).or_default().push_back(event.clone());
    }

    /// Runs the first event of a lane until it ends, and returns what it emitted.
    fn run(&mut self, lane: &str) -> Vec<Event<Raw>> {
        let queue = self.lanes.get_mut(lane).unwrap();
        let event = queue.pop_front().unwrap();
        if queue.is_empty() {
            self.lanes.remove(lane);
        }
        for attempt in 1.. {
            let ended = self.reactor.handler.deliver(&event, attempt);
            let last = attempt == self.reactor.max_attempts;
            let dead = match ended.ending {
                Ending::Done => {
                    self.totals.done += 1;
                    self.totals.emitted += u32::try_from(ended.emits.len()).unwrap();
                    // The ids count from 1 for each parent and handler; the source makes them differ.
                    let source = format!("{} on {}", self.reactor.name, event.source);
                    let emits = ended.emits.into_iter().map(|emitted| emitted.into_event());
                    return emits.map(|emitted| Event { source: source.clone(), ..emitted }).collect();
                }
                Ending::Rejected { .. } => "rejected",
                Ending::Retried { .. } if last => "retries-exhausted",
                Ending::Trapped { .. } if last => "trap",
                Ending::Retried { .. } | Ending::Trapped { .. } => {
                    self.totals.retried += 1;
                    continue;
                }
            };
            *self.totals.dead.entry(dead).or_default() += 1;
            break;
        }
        Vec::new()
    }
}

/// Runs everything; `seed` decides which lane with work is next.
fn run(seed: u64) -> Vec<Consumer> {
    let consumer =
        |reactor| Consumer { reactor, lanes: BTreeMap::new(), seen: BTreeSet::new(), totals: Totals::default() };
    let mut consumers: Vec<Consumer> = shop().into_iter().map(consumer).collect();
    let mut arriving: VecDeque<Event<Raw>> = SAMPLES.lines().filter_map(lines::decode).collect();
    let mut random = seed;
    loop {
        let mut next: Vec<Option<(usize, String)>> = Vec::new();
        for (index, consumer) in consumers.iter().enumerate() {
            next.extend(consumer.lanes.keys().map(|lane| Some((index, lane.clone()))));
        }
        // `None` stands for the next sample, so that samples and emitted events interleave.
        next.extend((!arriving.is_empty()).then_some(None));
        if next.is_empty() {
            return consumers;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = usize::try_from(random >> 33).unwrap() % next.len();
        let events = match next.swap_remove(choice) {
            Some((index, lane)) => consumers[index].run(&lane),
            None => arriving.pop_front().into_iter().collect(),
        };
        for event in &events {
            consumers.iter_mut().for_each(|consumer| consumer.take(event));
        }
    }
}

/// The cells of a reactor's row in the README's table of totals, without its name.
fn row(name: &str) -> Vec<&'static str> {
    let (_, section) = README.split_once("## What comes of it").unwrap();
    let start = format!("| {name} |");
    let row = section.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
    row.trim_end_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn totals_are_those_of_the_readme_in_any_order() {
    for seed in 0..50 {
        for consumer in run(seed) {
            let (name, totals) = (consumer.reactor.name, &consumer.totals);
            let Totals { delivered, done, retried, duplicates, emitted, dead } = totals;
            assert_eq!(*delivered, done + dead.values().sum::<u32>(), "{name}, seed {seed}: {totals:?}");
            let row = row(name);
            let counts = [delivered, done, retried, duplicates, emitted].map(u32::to_string);
            assert_eq!(counts.each_ref(), [&row[0], &row[1], &row[2], &row[3], &row[5]], "{name}, seed {seed}");
            // For example "1 rejected (`o-108`), 1 retries-exhausted (`o-113-down`)", or "0".
            let told: BTreeMap<&str, u32> = row[4].split(", ").filter_map(dead_cell).collect();
            assert_eq!(*dead, told, "{name}, seed {seed}");
        }
    }
}

fn dead_cell(cell: &str) -> Option<(&str, u32)> {
    let mut words = cell.split(' ');
    let count = words.next()?.parse().ok()?;
    Some((words.next()?, count))
}

#[test]
fn what_the_consumers_keep_is_the_same_in_any_order() {
    let kept = |seed| run(seed).iter().map(|consumer| consumer.reactor.handler.numbers()).collect::<Vec<_>>();
    let first = kept(0);
    assert!(first.iter().all(|numbers| !numbers.is_empty()), "{first:?}");
    for seed in 1..50 {
        assert_eq!(kept(seed), first, "seed {seed}");
    }
}

#[test]
fn the_samples_are_what_the_readme_says() {
    let (events, invalid): (Vec<_>, Vec<_>) = SAMPLES.lines().map(lines::decode).partition(Option::is_some);
    let once: BTreeSet<_> = events.iter().flatten().map(|event| (&event.source, &event.id)).collect();
    let (lines, twice) = (SAMPLES.lines().count(), events.len() - once.len());
    let told = format!(
        "{lines} messages: {} events, {twice} of them published twice, and {} messages that cannot be decoded",
        once.len(),
        invalid.len()
    );
    assert!(README.contains(&told), "not in the README: {told}");
}
