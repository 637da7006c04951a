//! The fates of deliveries.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use reactor_core::event::{DeliveryId, Offset, Origin};
use reactor_core::store::{
    Admitted, Asked, Batch, Behind, Blocked, Commit, Committed, DeadFilter, DeadLetter, Ending, Fate, NewDelivery,
    Place, Request, StoredDead, Upkeep,
};

use super::dead::redrive;
use super::fixture::*;

/// The delivery of a record that has a key.
fn of(f: &Fixture<'_>, offset: u64, number: u64) -> NewDelivery {
    let origin = Origin { channel: f.channel, offset: Offset(offset), part: 0 };
    NewDelivery { origin, ..f.new_delivery(number, Place::Memory) }
}

fn asked(f: &Fixture<'_>, offset: u64, number: u64) -> Asked {
    let NewDelivery { reactor, key, origin, .. } = of(f, offset, number);
    Asked { reactor, key, origin }
}

fn fate(f: &Fixture<'_>, offset: u64, number: u64) -> Option<Fate> {
    f.store.fates((f.channel, Offset(offset)), &[asked(f, offset, number)]).unwrap().remove(0)
}

fn duplicate(f: &Fixture<'_>, offset: u64, fate: Fate) -> Option<Fate> {
    let first = Some(Origin { channel: f.channel, offset: Offset(offset), part: 0 });
    Some(Fate::Duplicate { first, fate: Box::new(fate) })
}

fn letters(f: &Fixture<'_>) -> Vec<StoredDead> {
    f.store.dead_letters(&DeadFilter::default()).unwrap()
}

/// Commits the delivery of a record as dead, with its own dead letter.
fn dies(f: &Fixture<'_>, number: u64, delivery: DeliveryId, offset: u64, key: u64) -> u64 {
    let letter = DeadLetter { origin: of(f, offset, key).origin, ..f.letter(key) };
    assert_eq!(f.commit(f.died(number, delivery, letter)), Committed::Applied);
    letters(f)[0].id
}

fn drop_it(f: &Fixture<'_>, letter: u64) {
    f.request(Request::Drop(letter));
    let (request, _) = f.store.requests(0).unwrap()[0];
    f.drop_dead(request, letter);
}

/// A fate is reported for each delivery (in progress, waiting, done, dead), and none for what was never admitted.
pub fn fates_are_told(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"]);
    let ids: Vec<DeliveryId> = (1..=4).map(|number| f.in_memory(number)).collect();
    f.commit_all(vec![f.done(1, ids[1]), f.failed(2, ids[2], 1, at(5_000)), f.died(3, ids[3], f.letter(4))]);
    let asked: Vec<_> = (1..=5).map(|number| asked(&f, 1, number)).collect();
    let fates = f.store.fates((f.channel, Offset(1)), &asked).unwrap();
    assert!(matches!(&fates[0], Some(Fate::Active(stored)) if stored.id == ids[0] && stored.history.is_empty()));
    assert_eq!(fates[1], Some(Fate::Done));
    let Some(Fate::Active(waiting)) = &fates[2] else { panic!("{:?}", fates[2]) };
    assert_eq!((waiting.place, waiting.due, waiting.history.len()), (Place::Waiting, at(5_000), 1));
    assert_eq!(fates[3], Some(Fate::Dead(letters(&f)[0].id)));
    assert_eq!(fates[4], None);
}

/// A delivery that did not run because of its key is a duplicate of the one with that key, in any state of that one.
pub fn duplicates_name_the_first(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 4]);
    let admitted = f.admit(vec![of(&f, 1, 1), of(&f, 2, 1)], at(0));
    let [Admitted::New(id), Admitted::Duplicate] = admitted[..] else { panic!("{admitted:?}") };
    assert!(matches!(fate(&f, 2, 1), Some(Fate::Duplicate { fate, .. }) if matches!(*fate, Fate::Active(_))));
    f.commit(f.done(1, id));
    assert_eq!(f.admit(vec![of(&f, 3, 1)], at(2)), [Admitted::Duplicate]);
    harness.reopen();
    let f = fixture(harness);
    assert_eq!(fate(&f, 1, 1), Some(Fate::Done));
    for offset in [2, 3] {
        assert_eq!(fate(&f, offset, 1), duplicate(&f, 1, Fate::Done), "{offset}");
    }
    assert_eq!(fate(&f, 4, 2), None);
    let together = [asked(&f, 1, 1), asked(&f, 2, 1), asked(&f, 3, 1)];
    let fates = f.store.fates((f.channel, Offset(1)), &together).unwrap();
    assert_eq!(fates, [Some(Fate::Done), duplicate(&f, 1, Fate::Done), duplicate(&f, 1, Fate::Done)]);
}

/// A dropped letter is reported as dropped; a later event with its key is new, an earlier one was its duplicate.
pub fn dropped_is_not_done(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 4]);
    let [Admitted::New(id)] = f.admit(vec![of(&f, 1, 1)], at(0))[..] else { panic!("not admitted") };
    let letter = dies(&f, 1, id, 1, 1);
    assert_eq!(f.admit(vec![of(&f, 2, 1)], at(2)), [Admitted::Duplicate], "the letter is there");
    assert_eq!(fate(&f, 2, 1), duplicate(&f, 1, Fate::Dead(letter)));
    drop_it(&f, letter);
    let dropped = || Fate::Dropped(letter, "rejected".into());
    harness.crash();
    let f = fixture(harness);
    assert_eq!(fate(&f, 1, 1), Some(dropped()));
    assert_eq!(fate(&f, 2, 1), duplicate(&f, 1, dropped()));
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.done, counts.dead, counts.dropped), (1, 0, 0, 1));
    let [Admitted::New(again)] = f.admit(vec![of(&f, 3, 1)], at(3))[..] else { panic!("it was not run again") };
    f.commit(f.done(2, again));
    assert_eq!((fate(&f, 1, 1), fate(&f, 3, 1)), (Some(dropped()), Some(Fate::Done)));
    assert_eq!(fate(&f, 2, 1), duplicate(&f, 1, dropped()), "it came before");
    assert_eq!(f.admit(vec![of(&f, 4, 1)], at(4)), [Admitted::Duplicate]);
    assert_eq!(fate(&f, 4, 1), duplicate(&f, 3, Fate::Done));
}

/// The first delivery of a duplicate is found however old it is and however many were admitted in between.
pub fn firsts_are_found_far_back(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 4]);
    let admitted = f.admit(vec![of(&f, 1, 1), of(&f, 2, 2), of(&f, 3, 3)], at(0));
    let [Admitted::New(one), Admitted::New(two), Admitted::New(three)] = admitted[..] else { panic!("{admitted:?}") };
    f.commit(f.done(1, one));
    let (dropped, redriven) = (dies(&f, 2, two, 2, 2), dies(&f, 3, three, 3, 3));
    drop_it(&f, dropped);
    let [Admitted::New(again)] = f.admit(vec![of(&f, 4, 2)], at(1))[..] else { panic!("it was not run again") };
    f.commit(f.done(4, again));
    f.admit(Vec::new(), at(100));
    f.publish(&["{}"; 4]);
    let others = (5..8).map(|offset| of(&f, offset, 100 + offset)).collect();
    assert_eq!(f.admit(others, at(101)).len(), 3);
    assert_eq!(f.admit(vec![of(&f, 8, 1), of(&f, 8, 2), of(&f, 8, 3)], at(102)), [const { Admitted::Duplicate }; 3]);
    let again = redrive(&f, redriven).unwrap();
    f.commit(f.done(5, again.id));
    let dropped = Fate::Dropped(dropped, "rejected".into());
    let expected = [(1, 1, Fate::Done), (2, 2, dropped), (3, 3, Fate::Done), (4, 2, Fate::Done)];
    for (offset, key, expected) in expected {
        assert_eq!(fate(&f, offset, key), Some(expected), "{offset}");
    }
    for (key, first) in [(1, 1), (2, 4), (3, 3)] {
        assert_eq!(fate(&f, 8, key), duplicate(&f, first, Fate::Done), "{key}");
    }
    let page: Vec<_> = [(1, 1), (2, 2), (3, 3), (4, 2)].map(|(offset, key)| asked(&f, offset, key)).to_vec();
    let fates = f.store.fates((f.channel, Offset(1)), &page).unwrap();
    assert!(fates.iter().all(|fate| matches!(fate, Some(Fate::Done | Fate::Dropped(..)))), "{fates:?}");
}

/// The same when the ledger has sealed the segment of the dropped delivery.
pub fn dropped_is_new_in_any_segment(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 3]);
    let [Admitted::New(id)] = f.admit(vec![of(&f, 1, 1)], at(0))[..] else { panic!("not admitted") };
    let letter = dies(&f, 1, id, 1, 1);
    for number in 100..300 {
        f.in_memory(number);
    }
    assert_eq!(f.admit(vec![of(&f, 2, 1)], at(1)), [Admitted::Duplicate]);
    drop_it(&f, letter);
    assert!(matches!(f.admit(vec![of(&f, 2, 1)], at(1))[..], [Admitted::New(_)]));
    assert_eq!(f.admit(vec![of(&f, 3, 1)], at(1)), [Admitted::Duplicate], "now it is known again");
    harness.reopen();
    let f = fixture(harness);
    assert_eq!(f.admit(vec![of(&f, 3, 1)], at(1)), [Admitted::Duplicate]);
}

/// The number of a dropped delivery is not given to another one.
pub fn dropped_numbers_are_not_used_again(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 2]);
    let [Admitted::New(id)] = f.admit(vec![of(&f, 1, 1)], at(0))[..] else { panic!("not admitted") };
    drop_it(&f, dies(&f, 1, id, 1, 1));
    harness.reopen();
    let f = fixture(harness);
    let [Admitted::New(next)] = f.admit(vec![of(&f, 2, 2)], at(0))[..] else { panic!("not admitted") };
    assert!(next > id, "{next:?} after {id:?}");
}

/// A letter that failed again after a redrive and was then dropped was never done; one that succeeded was.
pub fn dropped_after_a_redrive(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 2]);
    let admitted = f.admit(vec![of(&f, 1, 1), of(&f, 2, 2)], at(0));
    let [Admitted::New(one), Admitted::New(two)] = admitted[..] else { panic!("{admitted:?}") };
    let (first, second) = (dies(&f, 1, one, 1, 1), dies(&f, 2, two, 2, 2));
    let again = redrive(&f, first).unwrap();
    assert!(matches!(fate(&f, 1, 1), Some(Fate::Active(stored)) if stored.redrive_of == Some(first)));
    let letter = DeadLetter { origin: again.origin, reason: "trap".into(), ..f.letter(1) };
    f.commit(f.died(3, again.id, letter));
    drop_it(&f, first);
    assert_eq!(fate(&f, 1, 1), Some(Fate::Dropped(first, "trap".into())));
    let done = redrive(&f, second).unwrap();
    f.commit(f.done(4, done.id));
    assert_eq!(fate(&f, 2, 2), Some(Fate::Done));
}

/// A delivery that waits for others of its key names the one it waits for, and the counts include it.
pub fn held_and_parked_are_told(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 6]);
    let lane = |offset, lane, place| NewDelivery { lane: Some(key(lane)), place, ..of(&f, offset, offset) };
    let admitted = f.admit(
        vec![
            lane(1, 7, Place::Memory),
            lane(2, 7, Place::Held),
            lane(3, 8, Place::Memory),
            lane(4, 8, Place::Held),
            lane(5, 8, Place::Held),
        ],
        at(0),
    );
    let [Admitted::New(waits), _, Admitted::New(dies), ..] = admitted[..] else { panic!("{admitted:?}") };
    let letter = DeadLetter { parks: Some(key(8)), origin: of(&f, 3, 3).origin, ..f.letter(3) };
    let ending = Ending::Dead { letter, hold: Vec::new() };
    f.commit_all(vec![f.failed(1, waits, 1, at(9_000)), Commit { ending, ..f.done(2, dies) }]);
    let parks = letters(&f)[0].id;
    let head = of(&f, 1, 1).origin;
    assert!(matches!(fate(&f, 1, 1), Some(Fate::Active(stored)) if stored.place == Place::Waiting));
    assert!(matches!(fate(&f, 2, 2), Some(Fate::Held(_, Some(Behind::Waiting(origin)))) if origin == head));
    assert_eq!(fate(&f, 3, 3), Some(Fate::Dead(parks)));
    for offset in [4, 5] {
        assert!(matches!(fate(&f, offset, offset), Some(Fate::Held(_, Some(Behind::Parked(it)))) if it == parks));
    }
    let blocked = Blocked { held: 1, parked: 2, parked_keys: 1 };
    assert_eq!(f.store.blocked().unwrap(), [(f.reactor, blocked)]);
    drop_it(&f, parks);
    let blocked = Blocked { held: 3, parked: 0, parked_keys: 0 };
    assert_eq!(f.store.blocked().unwrap(), [(f.reactor, blocked)], "until they are loaded");
}

/// Known keys are looked up in the newest deliveries.
pub fn known_keys_are_told(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.in_memory(1);
    f.in_memory(2);
    let other = f.store.reactor_id("other").unwrap();
    let asked = [(f.reactor, key(1)), (f.reactor, key(2)), (f.reactor, key(3)), (other, key(1))];
    assert_eq!(f.store.known(&asked, 100).unwrap(), [Some(at(0)), Some(at(0)), None, None]);
    assert!(f.store.known(&[], 100).unwrap().is_empty());
}

/// Dropped letters are forgotten together with the logs and the ledger.
pub fn dropped_letters_are_forgotten(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 2]);
    let [Admitted::New(id)] = f.admit(vec![of(&f, 1, 1)], at(0))[..] else { panic!("not admitted") };
    let letter = dies(&f, 1, id, 1, 1);
    drop_it(&f, letter);
    let upkeep = |days: u32| Upkeep {
        now: at(u64::from(days) * 86_400_000),
        ledger_window: 2 * DAY,
        retention: vec![(f.channel, 3 * DAY)],
        away: DAY,
        history: DAY,
    };
    wait(f.store.enter(Batch { now: at(10), ..f.batch(Vec::new(), at(10)) })).unwrap();
    f.store.maintain(&upkeep(2)).unwrap();
    assert_eq!(fate(&f, 1, 1), Some(Fate::Dropped(letter, "rejected".into())));
    f.store.maintain(&upkeep(5)).unwrap();
    assert_eq!(fate(&f, 1, 1), None);
}
