//! Deliveries that are only in the store, and recovery.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use reactor_core::event::{DeliveryId, HostTime};
use reactor_core::store::{Commit, Committed, DeadFilter, DeadLetter, Ending, LaneState, Place, Recovered};

use super::dead::redrive;
use super::fixture::*;

pub fn spilled_in_order(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..5).map(|n| f.admit_one(f.new_delivery(n, Place::Spilled))).collect();
    f.in_memory(9);
    assert_eq!(f.spilled(), ids);
    let some = f.store.spilled(f.reactor, ids[1], 2).unwrap();
    assert_eq!(some.iter().map(|d| d.id).collect::<Vec<_>>(), ids[2..4]);
    let new = f.new_delivery(2, Place::Spilled);
    let (d, n) = (&some[0], &new);
    assert_eq!((d.reactor, d.origin, d.key, d.lane, d.place), (n.reactor, n.origin, n.key, n.lane, n.place));
    assert_eq!((d.since, d.redrive_of, d.history.len()), (at(0), None, 0));
    let other = f.store.reactor_id("billing").unwrap();
    assert!(f.store.spilled(other, DeliveryId(0), 10).unwrap().is_empty());
}

pub fn waiting_in_order_of_due_time(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..4).map(|n| f.in_memory(n)).collect();
    for (number, (id, due)) in (1..).zip(ids.iter().zip([30, 10, 20, 20])) {
        assert_eq!(f.commit(f.failed(number, *id, 1, at(due))), Committed::Applied);
    }
    let due = |after: (HostTime, DeliveryId), now, limit| -> Vec<DeliveryId> {
        f.store.due(f.reactor, after, at(now), limit).unwrap().iter().map(|d| d.id).collect()
    };
    let start = (HostTime(0), DeliveryId(0));
    assert_eq!(due(start, 100, 10), [ids[1], ids[2], ids[3], ids[0]]);
    assert_eq!(due(start, 20, 10), [ids[1], ids[2], ids[3]]);
    assert_eq!(due(start, 9, 10), []);
    assert_eq!(due(start, 100, 2), [ids[1], ids[2]]);
    assert_eq!(due((at(20), ids[2]), 100, 10), [ids[3], ids[0]]);
    assert_eq!(f.store.next_due(f.reactor, start).unwrap(), Some(at(10)));
    assert_eq!(f.store.next_due(f.reactor, (at(20), ids[3])).unwrap(), Some(at(30)));
    assert_eq!(f.store.next_due(f.reactor, (at(30), ids[0])).unwrap(), None);
    let counts = f.counts();
    assert_eq!((counts.waiting, counts.retried, counts.active), (4, 4, 4));
    f.commit(Commit { attempt: 2, ..f.done(9, ids[0]) });
    assert_eq!(f.counts().waiting, 3);
}

pub fn held_in_order(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..6).map(|n| f.admit_one(f.in_lane(n, n % 2, Place::Held))).collect();
    assert_eq!(f.held(0), [ids[0], ids[2], ids[4]]);
    let some = f.store.held(f.reactor, key(1), ids[1], 1).unwrap();
    assert_eq!(some.iter().map(|d| (d.id, d.lane)).collect::<Vec<_>>(), [(ids[3], Some(key(1)))]);
}

pub fn hold_keeps_order_behind_a_waiting_head(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..4).map(|n| f.admit_one(f.in_lane(n, 7, Place::Memory))).collect();
    let hold = vec![ids[1], ids[2], DeliveryId(9_999)];
    let ending = Ending::Wait { due: at(50), record: record(1), hold };
    assert_eq!(f.commit(Commit { ending, ..f.done(1, ids[0]) }), Committed::Applied);
    wait(f.store.hold(vec![ids[3]])).unwrap();
    assert_eq!(f.held(7), ids[1..]);
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.held(7), ids[1..]);
    let recovered = f.recover(&[]);
    assert_eq!(recovered.lanes, [(f.reactor, key(7), LaneState::Waiting)]);
    assert!(f.spilled().is_empty());
    assert_eq!(f.counts().active, 4);
}

pub fn memory_becomes_spilled_on_recovery(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let first = f.in_memory(1);
    let second = f.admit_one(f.new_delivery(2, Place::Spilled));
    let third = f.in_memory(3);
    assert_eq!(f.spilled(), [second]);
    harness.reopen();
    let f = fixture(harness);
    assert_eq!(f.recover(&[]), reactor_core::store::Recovered::default());
    assert_eq!(f.spilled(), [first, second, third]);
    assert_eq!(f.commit(f.done(1, third)), Committed::Applied);
}

pub fn memory_stays_before_what_is_held(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let older = f.admit_one(f.in_lane(1, 7, Place::Memory));
    let held = f.admit_one(f.in_lane(2, 7, Place::Held));
    let elsewhere = f.admit_one(f.in_lane(3, 8, Place::Memory));
    harness.crash();
    let f = fixture(harness);
    f.recover(&[]);
    let lane = f.store.held(f.reactor, key(7), DeliveryId(0), 10).unwrap();
    assert_eq!(lane.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [older, held]);
    assert_eq!(f.spilled(), [elsewhere]);
}

pub fn interrupted_attempts_are_counted(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..3).map(|n| f.in_memory(n)).collect();
    f.commit(f.failed(1, ids[1], 1, at(10)));
    f.store.mark(&[(0, Some((ids[0], 1))), (1, Some((ids[1], 2)))]).unwrap();
    f.store.mark(&[(2, Some((ids[2], 1)))]).unwrap();
    f.store.mark(&[(2, None)]).unwrap();
    assert!(f.store.mark(&[(1_000_000, Some((ids[2], 1)))]).is_err(), "there is no such slot");
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[]);
    let found: Vec<_> = recovered.interrupted.iter().map(|(d, attempt)| (d.id, *attempt, d.history.len())).collect();
    assert_eq!(found, [(ids[0], 1, 0), (ids[1], 2, 1)]);
}

pub fn interrupted_until_accounted_for(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..2).map(|n| f.in_memory(n)).collect();
    f.store.mark(&[(0, Some((ids[0], 1))), (1, Some((ids[1], 1)))]).unwrap();
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.recover(&[]).interrupted.len(), 2);
    f.commit(f.failed(1, ids[0], 1, at(10)));
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[]);
    assert_eq!(recovered.interrupted.iter().map(|(d, n)| (d.id, *n)).collect::<Vec<_>>(), [(ids[1], 1)]);
    f.commit(f.died(2, ids[1], f.letter(1)));
    harness.crash();
    assert!(fixture(harness).recover(&[]).interrupted.is_empty());
}

pub fn ended_attempts_are_not_interrupted(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = f.in_memory(1);
    f.store.mark(&[(0, Some((id, 1)))]).unwrap();
    f.commit(f.failed(1, id, 1, at(10)));
    harness.crash();
    assert!(fixture(harness).recover(&[]).interrupted.is_empty(), "the commit came first");
}

/// The claims found after a crash: the delivery and the attempt.
fn interrupted(recovered: &Recovered) -> Vec<(DeliveryId, u32)> {
    recovered.interrupted.iter().map(|(delivery, attempt)| (delivery.id, *attempt)).collect()
}

pub fn a_claim_behind_the_head_is_void(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..4).map(|n| f.admit_one(f.in_lane(n, 7, Place::Memory))).collect();
    let elsewhere = f.admit_one(f.in_lane(9, 8, Place::Memory));
    let claim = |slot: usize, delivery| (slot, Some((delivery, 1)));
    f.store.mark(&[claim(0, ids[1]), claim(1, ids[2]), claim(2, elsewhere)]).unwrap();
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[]);
    assert_eq!(interrupted(&recovered), [(elsewhere, 1)], "the only one that was next in its lane");
    assert_eq!(recovered.ahead, [(f.reactor, key(7), ids[1]), (f.reactor, key(7), ids[2])]);
    assert_eq!(f.spilled(), [&ids[..], &[elsewhere]].concat());
    f.commit(f.done(1, ids[0]));
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[]);
    assert_eq!((interrupted(&recovered), recovered.ahead), (vec![(elsewhere, 1)], Vec::new()), "void for good");
}

pub fn a_claim_of_the_head_counts_and_the_others_stay_behind_it(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> =
        (0..4).map(|n| f.admit_one(f.in_lane(n, 7, if n == 2 { Place::Spilled } else { Place::Memory }))).collect();
    f.store.mark(&[(0, Some((ids[0], 1))), (1, Some((ids[2], 1)))]).unwrap();
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[]);
    assert_eq!(interrupted(&recovered), [(ids[0], 1)]);
    assert_eq!(recovered.ahead, [(f.reactor, key(7), ids[2])]);
    assert_eq!(recovered.lanes, [(f.reactor, key(7), LaneState::Free)]);
    assert_eq!((f.spilled(), f.held(7)), (vec![ids[0]], ids[1..].to_vec()));
}

pub fn a_waiting_head_is_the_head(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..3).map(|n| f.admit_one(f.in_lane(n, 7, Place::Memory))).collect();
    let ending = Ending::Wait { due: at(5), record: record(1), hold: vec![ids[1]] };
    f.commit(Commit { ending, ..f.done(1, ids[0]) });
    f.store.mark(&[(0, Some((ids[0], 2))), (1, Some((ids[1], 1)))]).unwrap();
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[]);
    assert_eq!(interrupted(&recovered), [(ids[0], 2)]);
    assert_eq!(recovered.ahead, [(f.reactor, key(7), ids[1])]);
    assert_eq!((f.spilled(), f.held(7)), (Vec::new(), ids[1..].to_vec()), "what was in memory is behind it, too");
}

pub fn what_was_loaded_stays_before_what_is_held(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let places = [Place::Spilled, Place::Memory, Place::Held, Place::Spilled];
    let ids: Vec<DeliveryId> = (0..).zip(places).map(|(n, at)| f.admit_one(f.in_lane(n, 7, at))).collect();
    let elsewhere = f.admit_one(f.in_lane(9, 8, Place::Spilled));
    harness.crash();
    let f = fixture(harness);
    f.recover(&[]);
    assert_eq!((f.held(7), f.spilled()), (ids, vec![elsewhere]), "a lane is in one place, and in its order");
}

pub fn a_parked_lane_waits_for_the_letter_that_runs_again(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<DeliveryId> = (0..3).map(|n| f.admit_one(f.in_lane(n, 7, Place::Memory))).collect();
    let letter = DeadLetter { parks: Some(key(7)), ..f.letter(0) };
    let ending = Ending::Dead { letter, hold: ids[1..].to_vec() };
    f.commit(Commit { ending, ..f.done(1, ids[0]) });
    let letter = f.store.dead_letters(&DeadFilter::default()).unwrap()[0].id;
    let again = redrive(&f, letter).unwrap().id;
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.recover(&[]).lanes, [(f.reactor, key(7), LaneState::Parked)]);
    assert_eq!((f.spilled(), f.held(7)), (vec![again], ids[1..].to_vec()), "it can be loaded, and goes first");
    f.store.mark(&[(0, Some((again, 1))), (1, Some((ids[1], 1)))]).unwrap();
    harness.crash();
    let recovered = fixture(harness).recover(&[]);
    assert_eq!(interrupted(&recovered), [(again, 1)], "its number is higher, and it is the head");
    assert_eq!(recovered.ahead.iter().map(|(.., delivery)| *delivery).collect::<Vec<_>>(), [ids[1]]);
}

pub fn lanes_are_recovered(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.admit_one(f.in_lane(1, 1, Place::Held));
    let head = f.admit_one(f.in_lane(2, 2, Place::Memory));
    f.commit(f.failed(1, head, 1, at(10)));
    let dead = f.admit_one(f.in_lane(3, 3, Place::Memory));
    f.admit_one(f.in_lane(4, 3, Place::Held));
    f.commit(f.died(2, dead, DeadLetter { parks: Some(key(3)), ..f.letter(3) }));
    f.admit_one(f.in_lane(5, 5, Place::Memory));
    harness.crash();
    let f = fixture(harness);
    let mut lanes = f.recover(&[]).lanes;
    lanes.sort_by_key(|(_, lane, _)| *lane);
    let mut expected = vec![
        (f.reactor, key(1), LaneState::Free),
        (f.reactor, key(2), LaneState::Waiting),
        (f.reactor, key(3), LaneState::Parked),
    ];
    expected.sort_by_key(|(_, lane, _)| *lane);
    assert_eq!(lanes, expected);
}

pub fn history_survives(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = f.in_memory(1);
    for attempt in 1..=3 {
        assert_eq!(f.commit(f.failed(u64::from(attempt), id, attempt, at(10))), Committed::Applied);
    }
    harness.crash();
    let f = fixture(harness);
    let due = f.store.due(f.reactor, (HostTime(0), DeliveryId(0)), at(10), 10).unwrap();
    assert_eq!(due[0].history, [record(1), record(2), record(3)]);
    assert_eq!((due[0].due, due[0].since, due[0].place), (at(10), at(0), Place::Waiting));
}
