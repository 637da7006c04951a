//! Commits are atomic and ordered, and touch only their own reactor's state.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use reactor_core::event::{ReactorId, Version};
use reactor_core::store::{Commit, Committed, Place, Target};

use super::fixture::*;

fn writing(f: &Fixture<'_>, number: u64, delivery: u64, pairs: &[(&str, Option<&str>)]) -> Commit {
    let id = f.in_memory(delivery);
    let effects = pairs.iter().map(|(key, value)| write(key, *value)).collect();
    Commit { effects, ..f.done(number, id) }
}

fn reading(commit: Commit, key: &str, version: u64) -> Commit {
    Commit { reads: vec![(key.to_owned(), Version(version))], ..commit }
}

pub fn done_removes_the_delivery(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = f.admit_one(f.new_delivery(1, Place::Spilled));
    assert_eq!(f.spilled(), [id]);
    assert_eq!(f.commit(f.done(1, id)), Committed::Applied);
    assert!(f.spilled().is_empty());
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.done, counts.active), (1, 1, 0));
}

pub fn state_is_written_with_its_version(harness: &mut dyn Harness) {
    let f = fixture(harness);
    assert_eq!(f.value("a"), None);
    assert_eq!(f.commit(writing(&f, 5, 1, &[("a", Some("1")), ("b", Some(""))])), Committed::Applied);
    assert_eq!(f.value("a"), Some(("1".into(), 5)));
    assert_eq!(f.value("b"), Some((String::new(), 5)));
    assert_eq!(f.commit(writing(&f, 6, 2, &[("a", Some("2")), ("b", None)])), Committed::Applied);
    assert_eq!(f.value("a"), Some(("2".into(), 6)));
    assert_eq!(f.value("b"), None);
    assert_eq!(f.commit(reading(writing(&f, 7, 3, &[]), "b", 0)), Committed::Applied, "deleted is absent");
}

pub fn state_is_per_reactor(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.commit(writing(&f, 1, 1, &[("a", Some("1"))]));
    let other: ReactorId = f.store.reactor_id("billing").unwrap();
    assert_eq!(f.store.state(other, "a").unwrap(), None);
}

pub fn conflicts_are_detected(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.commit(writing(&f, 1, 1, &[("a", Some("1"))]));
    assert_eq!(f.commit(reading(writing(&f, 2, 2, &[]), "a", 0)), Committed::Conflict, "it was absent then");
    assert_eq!(f.commit(reading(writing(&f, 3, 3, &[("a", Some("2"))]), "a", 1)), Committed::Applied);
    assert_eq!(f.commit(reading(writing(&f, 4, 4, &[]), "a", 1)), Committed::Conflict, "it is older");
    assert_eq!(f.commit(reading(writing(&f, 5, 5, &[]), "a", 3)), Committed::Applied);
    assert_eq!(f.commit(reading(writing(&f, 6, 6, &[]), "never", 3)), Committed::Conflict);
}

pub fn conflicts_leave_nothing(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.commit(writing(&f, 1, 1, &[("a", Some("1"))]));
    let mut late = reading(writing(&f, 2, 2, &[("a", Some("x")), ("b", Some("x"))]), "a", 0);
    late.effects.push(put(Target::Log(f.channel), "emitted"));
    assert_eq!(f.commit(late.clone()), Committed::Conflict);
    assert_eq!((f.value("a"), f.value("b")), (Some(("1".into(), 1)), None));
    assert!(f.bodies().is_empty());
    assert_eq!(f.counts().active, 1);
    let again = reading(Commit { number: Version(3), ..late }, "a", 1);
    assert_eq!(f.commit(again), Committed::Applied, "a conflict is no attempt");
    assert_eq!(f.value("b"), Some(("x".into(), 3)));
}

pub fn a_batch_sees_its_own_writes(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let first = reading(writing(&f, 1, 1, &[("n", Some("1"))]), "n", 0);
    let second = reading(writing(&f, 2, 2, &[("n", Some("2"))]), "n", 1);
    let third = reading(writing(&f, 3, 3, &[("n", Some("x"))]), "n", 1);
    let fourth = reading(writing(&f, 4, 4, &[("n", Some("3"))]), "n", 2);
    let answers = f.commit_all(vec![first, second, third, fourth]);
    assert_eq!(answers, [Committed::Applied, Committed::Applied, Committed::Conflict, Committed::Applied]);
    assert_eq!(f.value("n"), Some(("3".into(), 4)));
}

pub fn a_commit_falls_with_the_one_it_was_built_on(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let on = |commit: Commit, number| Commit { after: Some(Version(number)), ..commit };
    f.commit(writing(&f, 1, 1, &[("a", Some("1"))]));
    let lost = reading(writing(&f, 2, 2, &[]), "a", 0);
    let chain = vec![lost, on(writing(&f, 3, 3, &[]), 2), on(writing(&f, 4, 4, &[]), 3)];
    assert_eq!(f.commit_all(chain), [Committed::Conflict; 3]);
    assert_eq!(f.commit(on(writing(&f, 5, 5, &[]), 4)), Committed::Conflict, "in a later call, too");
    assert_eq!(f.commit(on(writing(&f, 6, 6, &[]), 1)), Committed::Applied);
    let (last, next) = (writing(&f, 7, 7, &[]), on(writing(&f, 8, 8, &[]), 7));
    assert_eq!(f.commit_all(vec![last, next]), [Committed::Applied; 2]);
    assert_eq!(f.commit(on(writing(&f, 9, 9, &[]), 100)), Committed::Conflict, "never seen");
}

pub fn stale_attempts_are_void(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = f.in_memory(1);
    assert_eq!(f.commit(Commit { attempt: 2, ..f.done(1, id) }), Committed::Stale);
    assert_eq!(f.commit(f.failed(2, id, 1, at(10))), Committed::Applied);
    assert_eq!(f.commit(f.done(3, id)), Committed::Stale, "the first attempt has ended");
    let mut second = writing(&f, 4, 2, &[("a", Some("1"))]);
    (second.delivery, second.attempt) = (id, 2);
    assert_eq!(f.commit(second.clone()), Committed::Applied);
    second.number = Version(5);
    assert_eq!(f.commit(second), Committed::Stale, "it is done");
    assert_eq!(f.value("a"), Some(("1".into(), 4)));
    let billing = f.store.reactor_id("billing").unwrap();
    let foreign = f.in_memory(3);
    assert_eq!(f.commit(Commit { reactor: billing, ..f.done(6, foreign) }), Committed::Stale, "somebody else's");
}

pub fn emits_are_appended_with_the_commit(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let other = f.store.channel_id("other").unwrap();
    let id = f.in_memory(1);
    let effects = vec![
        put(Target::Log(f.channel), "1"),
        write("a", Some("1")),
        put(Target::Log(other), "2"),
        write("b", None),
        put(Target::Log(f.channel), "3"),
    ];
    assert_eq!(f.commit(Commit { effects, ..f.done(1, id) }), Committed::Applied);
    assert_eq!(f.value("a"), Some(("1".into(), 1)));
    assert_eq!(f.bodies(), ["1", "3"]);
    assert_eq!(f.counts().emitted, 3);
    assert_eq!(f.publish(&["4"]).0, 3);
}

pub fn commits_survive_a_crash(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let mut commit = writing(&f, 1, 1, &[("a", Some("1"))]);
    commit.effects.push(put(Target::Log(f.channel), "e"));
    f.commit(commit);
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.value("a"), Some(("1".into(), 1)));
    assert_eq!(f.bodies(), ["e"]);
    let counts = f.counts();
    assert_eq!((counts.done, counts.active, counts.emitted), (1, 0, 1));
}

pub fn commit_numbers_ascend_across_restarts(harness: &mut dyn Harness) {
    let f = fixture(harness);
    assert_eq!((f.store.next_commit(), f.store.next_commit()), (Version(1), Version(2)), "each is handed out once");
    f.commit(writing(&f, 41, 1, &[]));
    assert_eq!(f.store.next_commit(), Version(42));
    let stale = Commit { attempt: 9, ..writing(&f, 50, 2, &[]) };
    assert_eq!(f.commit(stale), Committed::Stale);
    assert_eq!(f.store.next_commit(), Version(51), "used, if in vain");
    harness.crash();
    assert_eq!(fixture(harness).store.next_commit(), Version(51), "the same, and not used");
    harness.reopen();
    assert_eq!(fixture(harness).store.next_commit(), Version(51));
}

/// Several runs increment counters at once, each from the value it read before: the sum shows whether an update was
/// lost.
pub fn lost_updates_do_not_happen(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let (mut number, mut applied, mut seed) = (0, 0_u64, 7_u64);
    for round in 0..60 {
        let seen: Vec<(String, Option<(String, u64)>)> =
            (0..3).map(|k| (format!("k{k}"), f.value(&format!("k{k}")))).collect();
        let mut batch = Vec::new();
        for run in 0..4 {
            number += 1;
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (key, before) = &seen[(seed >> 33) as usize % 3];
            let value: u64 = before.as_ref().map_or(0, |(text, _)| text.parse().unwrap());
            let text = (value + 1).to_string();
            let version = before.as_ref().map_or(0, |(_, version)| *version);
            batch.push(reading(writing(&f, number, 1_000 + round * 4 + run, &[(key, Some(&text))]), key, version));
        }
        applied += f.commit_all(batch).iter().filter(|answer| **answer == Committed::Applied).count() as u64;
    }
    let sum: u64 = (0..3).filter_map(|k| f.value(&format!("k{k}"))).map(|(text, _)| text.parse::<u64>().unwrap()).sum();
    assert_eq!(sum, applied);
    assert!(applied < 240, "some must have collided");
    assert!(applied >= 60, "one of each round must have succeeded");
}
