//! What must always hold, judged by what really happened.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reactor_core::event::{ChannelId, Message, Offset};
use reactor_core::store::{DeadFilter, StoreClient, StoreOwner, StoredDead};
use reactor_store::memory::MemoryStore;
use serde::Deserialize;
use serde_json::Value;

use crate::guest::{Behaviour, COUNT, Data, list_of};
use crate::queue::SimQueue;
use crate::run::{World, reactor_name};
use crate::truth::Truth;

/// A message is deleted from the remote queue: everything that it is for must have ended durably, or a copy of it must be
/// in the store.
pub fn deleted(synced: &MemoryStore, out: &SimQueue, truth: &Truth, message: &Message, stored: bool) {
    let letters = synced.dead_letters(&DeadFilter::default()).unwrap_or_default();
    let has_copy = stored && in_log(synced, "queue", message);
    let is_dead = letters.iter().any(|dead| dead.letter.message.body == message.body);
    let Ok(event) = serde_json::from_slice::<Event>(&message.body) else {
        if !is_dead && !in_log(synced, "queue", message) && truth.noted().dropped.is_empty() {
            truth.broken("a message that cannot be decoded was deleted, and is not a dead letter".into());
        }
        return;
    };
    let id = format!("e{}", event.data.n);
    let was_dropped = truth.noted().dropped.iter().any(|(whose, event)| whose == "b" && *event == id);
    if !has_copy && !is_dead && !was_dropped && !is_done(synced, out, "b", &event.data) {
        truth.broken(format!("{id} was deleted from the queue before what `b` did with it was durable"));
    }
}

/// As much of an event as is judged by.
#[derive(Deserialize)]
struct Event {
    data: Data,
}

/// Whether a reactor has done an event, by what that has left.
fn is_done(store: &MemoryStore, out: &SimQueue, reactor: &str, data: &Data) -> bool {
    match data.does {
        Behaviour::Emit(_) => emissions(store, out, reactor).contains_key(&data.n),
        _ => seen(store, reactor, &data.key).contains(&format!("e{}", data.n)),
    }
}

/// The ids of what a reactor has emitted, by the number of the event that it emitted them on.
fn emissions(store: &MemoryStore, out: &SimQueue, reactor: &str) -> BTreeMap<u32, Vec<String>> {
    let mut bodies: Vec<Bytes> = Vec::new();
    if reactor == "a" {
        bodies.extend(store.channel_id("derived").map(|channel| log(store, channel)).unwrap_or_default());
    } else {
        bodies.extend(out.bodies());
        let waiting = store.channel_id("out").and_then(|channel| store.outbox(channel, 0, usize::MAX, usize::MAX));
        bodies.extend(waiting.unwrap_or_default().into_iter().map(|record| record.message.body));
    }
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for body in bodies {
        let Ok(event) = serde_json::from_slice::<Value>(&body) else { continue };
        let text =
            |names: [&str; 2]| names.iter().find_map(|name| event[*name].as_str()).unwrap_or_default().to_owned();
        let n = event["data"]["n"].as_u64().and_then(|n| u32::try_from(n).ok());
        // The copy of a dead letter has the source of who emitted it.
        let is_its = event["source"].as_str().is_some_and(|source| source.ends_with(reactor));
        if let (Some(n), "derived", true) = (n, &*text(["eventType", "type"]), is_its) {
            found.entry(n).or_default().push(text(["eventId", "id"]));
        }
    }
    found
}

fn in_log(store: &MemoryStore, channel: &str, message: &Message) -> bool {
    let Ok(channel) = store.channel_id(channel) else { return false };
    log(store, channel).contains(&message.body)
}

fn log(store: &MemoryStore, channel: ChannelId) -> Vec<Bytes> {
    let records = store.read_log(channel, Offset(0), usize::MAX, usize::MAX).unwrap_or_default();
    records.into_iter().map(|record| record.message.body).collect()
}

/// The events of a key that a reactor has worked on, in order, by its own state.
fn seen(store: &MemoryStore, reactor: &str, key: &str) -> Vec<String> {
    let Ok(reactor) = store.reactor_id(reactor) else { return Vec::new() };
    let value = store.state(reactor, &list_of(key)).ok().flatten().map(|(value, _)| value).unwrap_or_default();
    let text = String::from_utf8_lossy(&value).into_owned();
    text.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// Judges a run that is over: everything has happened, nothing goes wrong any more, and the host was idle.
pub fn check(world: &World) {
    let store = world.disk.open();
    let events = world.events();
    let accepted = world.truth.noted().accepted.clone();
    for (door, reactor) in [("in", "a"), ("queue", "b")] {
        let numbers: BTreeSet<u32> = accepted.get(door).into_iter().flatten().copied().collect();
        numbers.iter().for_each(|n| ended_once(world, &store, reactor, &events[n]));
        emitted(world, &store, reactor, numbers.iter().map(|n| &events[n]));
    }
    if world.plan.ordered {
        in_order(world, &store, accepted.get("in").map_or(&[][..], Vec::as_slice), &events);
    }
    counts(world, &store);
    attempts(world);
    let left = world.queue.bodies();
    if !left.is_empty() {
        world.truth.broken(format!("{} messages are left in the queue: {left:?}", left.len()));
    }
    if world.truth.noted().attempts.is_empty() && !events.is_empty() {
        world.truth.broken("nothing ran".into());
    }
}

/// Each delivery has ended, in one way and once.
fn ended_once(world: &World, store: &MemoryStore, reactor: &str, data: &Data) {
    let id = format!("e{}", data.n);
    let done = match data.does {
        Behaviour::Emit(_) => usize::from(is_done(store, &world.out, reactor, data)),
        _ => seen(store, reactor, &data.key).iter().filter(|seen| **seen == id).count(),
    };
    let letters = store.dead_letters(&DeadFilter::default()).unwrap_or_default();
    let is_its = |dead: &&StoredDead| {
        dead.letter.event_id.as_ref() == Some(&id)
            && dead.letter.reactor.is_some_and(|whose| reactor_name(store, whose) == reactor)
    };
    let dead = letters.iter().filter(is_its).count();
    let dropped = world.truth.noted().dropped.iter().filter(|(whose, event)| whose == reactor && *event == id).count();
    let is_ok = match (done, dead) {
        (1, 0) | (0, 1) => true,
        (0, 0) => dropped > 0,
        _ => false,
    };
    if !is_ok {
        world
            .truth
            .broken(format!("{id} for `{reactor}`: done {done} times, dead {dead} times, dropped {dropped} times"));
    }
}

/// What was emitted on an event is there once, and nothing was emitted on what does not emit.
fn emitted<'d>(world: &World, store: &MemoryStore, reactor: &str, events: impl Iterator<Item = &'d Data>) {
    let mut found = emissions(store, &world.out, reactor);
    for data in events {
        let ids = found.remove(&data.n).unwrap_or_default();
        let different: BTreeSet<_> = ids.iter().collect();
        let wanted = match data.does {
            Behaviour::Emit(times) if !ids.is_empty() => times as usize,
            _ => 0,
        };
        // To a remote channel a message may be sent more than once, with one id.
        let is_ok = different.len() == wanted && (reactor == "b" || ids.len() == wanted);
        if !is_ok {
            world.truth.broken(format!("e{} of `{reactor}` emitted {ids:?}, and {wanted} were to be", data.n));
        }
    }
    // A producer that was not told may still have been heard.
    let was_sent = |n: u32| world.events().contains_key(&n);
    if let Some((n, ids)) = found.into_iter().find(|(n, _)| !was_sent(*n)) {
        world.truth.broken(format!("{ids:?} were emitted on e{n}, which does not exist"));
    }
}

/// Events of a key are done in the order in which they were accepted, but for those that were redriven.
fn in_order(world: &World, store: &MemoryStore, accepted: &[u32], events: &BTreeMap<u32, Data>) {
    let redriven: BTreeSet<String> =
        world.truth.noted().redriven.iter().filter(|(whose, _)| whose == "a").map(|(_, id)| id.clone()).collect();
    let Ok(channel) = store.channel_id("in") else { return };
    let mut order: Vec<String> = Vec::new();
    for body in log(store, channel) {
        let id =
            serde_json::from_slice::<Value>(&body).ok().and_then(|event| event["eventId"].as_str().map(str::to_owned));
        order.extend(id.filter(|id| !order.contains(id)));
    }
    let keys: BTreeSet<&str> = accepted.iter().map(|n| events[n].key.as_str()).collect();
    for key in keys {
        let seen: Vec<String> = seen(store, "a", key).into_iter().filter(|id| !redriven.contains(id)).collect();
        let expected: Vec<&String> = order.iter().filter(|id| seen.contains(id)).collect();
        if !seen.iter().eq(expected.iter().copied()) {
            world.truth.broken(format!("key {key} of `a` was worked on in the order {seen:?}, and not {expected:?}"));
        }
    }
}

/// The host's own counts add up, and agree with what modules counted.
fn counts(world: &World, store: &MemoryStore) {
    let stats = store.stats().unwrap_or_default();
    for counts in &stats.reactors {
        if counts.delivered != counts.done + counts.dead + counts.dropped + counts.active {
            world.truth.broken(format!("counts do not add up: {counts:?}"));
        }
        if counts.active != 0 {
            world.truth.broken(format!("an idle host has deliveries that have not ended: {counts:?}"));
        }
        if world.plan.counts
            && let Ok(reactor) = store.reactor_id(&counts.name)
        {
            let value = store.state(reactor, COUNT).ok().flatten().map(|(value, _)| value).unwrap_or_default();
            let counted: u64 = String::from_utf8_lossy(&value).parse().unwrap_or(0);
            // Runs that emit count nothing.
            let counted = counted + emissions(store, &world.out, &counts.name).len() as u64;
            if counted != counts.done && counts.name != "c" {
                world.truth.broken(format!("modules counted {counted} events that are done, and the host {counts:?}"));
            }
        }
    }
    if let Some((channel, count)) = stats.backlog.iter().chain(&stats.outbox).find(|(_, count)| *count > 0) {
        world.truth.broken(format!("an idle host has {count} messages of `{channel}` left"));
    }
}

/// No event was tried more often than its policy says, and one that a person redrove was tried again.
fn attempts(world: &World) {
    let noted = world.truth.noted();
    let redriven: BTreeSet<&(String, String)> = noted.redriven.iter().collect();
    let mut broken = Vec::new();
    for (what, numbers) in &noted.attempts {
        let most = numbers.iter().copied().max().unwrap_or(0);
        if most > world.plan.max_attempts {
            broken.push(format!("{what:?} was tried {most} times, and {} are allowed", world.plan.max_attempts));
        }
    }
    for what in redriven.into_iter().filter(|(whose, _)| !whose.is_empty()) {
        let first = noted.attempts.get(what).map_or(0, |numbers| numbers.iter().filter(|number| **number == 1).count());
        let was_dropped = noted.dropped.contains(what);
        if first < 2 && !was_dropped {
            broken.push(format!("{what:?} was redriven, and not tried again"));
        }
    }
    drop(noted);
    broken.into_iter().for_each(|what| world.truth.broken(what));
}
