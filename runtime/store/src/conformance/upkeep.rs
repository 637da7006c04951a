//! Housekeeping and counts.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use std::time::Duration;

use reactor_core::event::{HostTime, Offset, Origin};
use reactor_core::store::{Admitted, Batch, Committed, NewDelivery, Place, Upkeep};

use super::fixture::*;

fn upkeep(f: &Fixture<'_>, now: HostTime) {
    let retention = vec![(f.channel, Duration::from_secs(60))];
    f.store.maintain(&Upkeep { now, ledger_window: DAY, retention, away: 15 * DAY, history: DAY }).unwrap();
}

/// Appends and admits records with nothing left to do.
fn publish_and_skip(f: &Fixture<'_>, bodies: &[&str], now: HostTime) {
    upkeep(f, now);
    let first = f.publish(bodies);
    let cursor = Offset(first.0 + bodies.len() as u64);
    wait(f.store.enter(Batch { cursor: Some(cursor), ..f.batch(Vec::new(), now) })).unwrap();
}

pub fn counts_are_conserved(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<_> = (0..10).map(|n| f.admit_one(f.in_lane(n, n % 3, Place::Memory))).collect();
    assert_eq!(f.counts().active, 10);
    let commits = vec![
        f.done(1, ids[0]),
        f.failed(2, ids[1], 1, at(10)),
        f.died(3, ids[2], f.letter(2)),
        f.done(4, ids[0]),
        f.failed(5, ids[3], 1, at(20)),
    ];
    let stale = f.commit_all(commits)[3];
    assert_eq!(stale, Committed::Stale);
    wait(f.store.hold(vec![ids[3], ids[4]])).unwrap();
    f.admit(vec![f.new_delivery(0, Place::Memory)], at(1));
    harness.crash();
    let f = fixture(harness);
    f.recover(&[]);
    let counts = f.counts();
    let seen = (counts.delivered, counts.done, counts.dead, counts.active, counts.waiting);
    assert_eq!(seen, (10, 1, 1, 8, 1));
    assert_eq!((counts.retried, counts.duplicates), (2, 1));
}

pub fn the_clock_is_kept(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let start = f.store.host_time().unwrap();
    let wall = jiff::Timestamp::now().as_millisecond();
    assert!(start.0.abs_diff(wall.unsigned_abs()) < 60_000, "a new store starts at the wall clock");
    upkeep(&f, at(5));
    assert_eq!(f.store.host_time().unwrap(), at(5));
    let id = f.in_memory(1);
    f.commit(reactor_core::store::Commit { now: at(7), ..f.done(1, id) });
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.store.host_time().unwrap(), at(7));
    upkeep(&f, at(6));
    assert_eq!(f.store.host_time().unwrap(), at(7), "it never goes back");
}

pub fn the_ledger_expires(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let many = |now| f.admit((0..300).map(|n| f.new_delivery(n, Place::Memory)).collect(), now);
    many(at(0));
    upkeep(&f, at(1_000));
    assert!(many(at(1_000)).iter().all(|answer| *answer == Admitted::Duplicate), "still within the window");
    for _ in 0..5 {
        upkeep(&f, at(86_400_000));
    }
    assert!(many(at(86_400_000)).iter().all(|answer| matches!(answer, Admitted::New(_))));
    harness.crash();
    let f = fixture(harness);
    let again = f.admit((0..300).map(|n| f.new_delivery(n, Place::Memory)).collect(), at(86_400_001));
    assert!(again.iter().all(|answer| *answer == Admitted::Duplicate));
    assert_eq!(f.counts().active, 600, "deliveries do not expire with it");
}

pub fn logs_expire_by_the_hosts_clock(harness: &mut dyn Harness) {
    let f = fixture(harness);
    publish_and_skip(&f, &["a", "b"], at(0));
    publish_and_skip(&f, &["c"], at(30_000));
    upkeep(&f, at(60_000));
    assert_eq!(f.bodies(), ["a", "b", "c"]);
    upkeep(&f, at(60_001));
    assert_eq!(f.bodies(), ["c"]);
    upkeep(&f, at(1_000_000));
    assert!(f.bodies().is_empty());
    assert_eq!(f.publish(&["d"]), Offset(4), "offsets go on");
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.publish(&["e"]), Offset(5));
}

pub fn what_is_needed_is_kept(harness: &mut dyn Harness) {
    let f = fixture(harness);
    publish_and_skip(&f, &["a", "b", "c", "d"], at(0));
    f.publish(&["not admitted"]);
    let origin = Origin { channel: f.channel, offset: Offset(3), part: 0 };
    let id = f.admit_one(NewDelivery { origin, ..f.new_delivery(1, Place::Spilled) });
    upkeep(&f, at(1_000_000));
    assert_eq!(f.bodies(), ["c", "d", "not admitted"]);
    f.commit(f.done(1, id));
    upkeep(&f, at(1_000_000));
    assert_eq!(f.bodies(), ["not admitted"]);
}

pub fn ids_do_not_start_over(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let last = (0..300).map(|n| f.in_memory(n)).max().unwrap();
    for (number, id) in (1..).zip(1..=last.0) {
        f.commit(f.done(number, reactor_core::event::DeliveryId(id)));
    }
    for _ in 0..5 {
        upkeep(&f, at(900_000_000));
    }
    harness.crash();
    let f = fixture(harness);
    let next = f.in_memory(1_000);
    assert!(next > last, "{next} was used before");
}
