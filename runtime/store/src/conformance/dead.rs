//! Dead letters and requests.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use reactor_core::event::DeliveryId;
use reactor_core::store::{
    Admitted, Batch, Commit, Committed, DeadFilter, DeadLetter, Ending, LaneState, Place, Request, StoredDelivery,
};

use super::fixture::*;

fn all(f: &Fixture<'_>) -> Vec<reactor_core::store::StoredDead> {
    f.store.dead_letters(&DeadFilter::default()).unwrap()
}

/// A delivery whose death parks its lane, and a later delivery of the lane.
fn parked(f: &Fixture<'_>) -> DeliveryId {
    let head = f.admit_one(f.in_lane(1, 7, Place::Memory));
    let next = f.admit_one(f.in_lane(2, 7, Place::Memory));
    let letter = DeadLetter { parks: Some(key(7)), ..f.letter(1) };
    let ending = Ending::Dead { letter, hold: vec![next] };
    assert_eq!(f.commit(Commit { ending, ..f.done(1, head) }), Committed::Applied);
    next
}

/// Requests a redrive and carries it out.
pub(super) fn redrive(f: &Fixture<'_>, dead: u64) -> Option<StoredDelivery> {
    f.request(Request::Redrive(dead));
    let (request, _) = f.store.requests(0).unwrap()[0];
    let delivery = f.redrive(request, dead);
    assert!(f.store.requests(0).unwrap().is_empty(), "carried out");
    delivery
}

pub fn dead_letters_are_kept_whole(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = f.in_memory(1);
    assert_eq!(f.commit(f.died(1, id, f.letter(1))), Committed::Applied);
    harness.crash();
    let f = fixture(harness);
    let dead = all(&f);
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].letter, dead[0].redriving), (&f.letter(1), false));
    assert_eq!(f.store.dead_letter(dead[0].id).unwrap().as_ref(), Some(&dead[0]));
    assert_eq!(f.store.dead_letter(dead[0].id + 1).unwrap(), None);
    let counts = f.counts();
    assert_eq!((counts.dead, counts.active), (1, 0));
}

pub fn dead_letters_are_selected(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let base = f.letter(0);
    let later = base.at + std::time::Duration::from_millis(1);
    let dead = vec![
        DeadLetter { key: key(1), ..base.clone() },
        DeadLetter { key: key(2), reason: "trap".into(), ..base.clone() },
        DeadLetter { key: key(3), reactor: None, at: later, ..base.clone() },
    ];
    wait(f.store.enter(Batch { dead, ..f.batch(Vec::new(), at(0)) })).unwrap();
    let find = |filter: DeadFilter| -> Vec<_> {
        f.store.dead_letters(&filter).unwrap().iter().map(|dead| dead.letter.key).collect()
    };
    let any = DeadFilter::default;
    assert_eq!(find(any()), [key(3), key(2), key(1)], "newest first");
    assert_eq!(find(DeadFilter { reactor: Some(f.reactor), ..any() }), [key(2), key(1)]);
    assert_eq!(find(DeadFilter { reason: Some("trap".into()), ..any() }), [key(2)]);
    assert_eq!(find(DeadFilter { since: Some(later), ..any() }), [key(3)]);
    assert_eq!(find(DeadFilter { limit: 1, ..any() }), [key(3)]);
    let newest = f.store.dead_letters(&any()).unwrap()[0].id;
    assert_eq!(find(DeadFilter { below: Some(newest), limit: 1, ..any() }), [key(2)], "the next page");
    assert_eq!(find(DeadFilter { below: Some(1), ..any() }), []);
    let brief = f.store.dead_letters(&DeadFilter { brief: true, ..any() }).unwrap();
    assert!(brief.iter().all(|dead| dead.letter.message.body.is_empty()));
    assert_eq!(brief[0].letter.message.attributes, base.message.attributes);
}

pub fn dead_letters_are_forwarded(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let dlq = f.store.channel_id("dlq").unwrap();
    let id = f.in_memory(1);
    let effects = vec![put(reactor_core::store::Target::Log(dlq), "dead")];
    f.commit(Commit { effects, ..f.died(1, id, f.letter(1)) });
    let records = f.store.read_log(dlq, reactor_core::event::Offset(1), 10, usize::MAX).unwrap();
    assert_eq!(records.iter().map(|r| r.message.clone()).collect::<Vec<_>>(), [message("dead")]);
    assert_eq!(f.counts().emitted, 0, "the reactor did not emit it");
}

pub fn parked_lanes_hold(harness: &mut dyn Harness) {
    let next = parked(&fixture(harness));
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.recover(&[]).lanes, [(f.reactor, key(7), LaneState::Parked)]);
    assert_eq!(f.held(7), [next]);
    let delivery = redrive(&f, all(&f)[0].id).unwrap();
    assert_eq!(delivery.lane, Some(key(7)));
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.recover(&[]).lanes, [(f.reactor, key(7), LaneState::Parked)], "until it has ended");
    assert_eq!(f.commit(f.done(2, delivery.id)), Committed::Applied);
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.recover(&[]).lanes, [(f.reactor, key(7), LaneState::Free)]);
}

pub fn redrive_is_not_a_duplicate(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let first = f.in_memory(1);
    f.commit(f.died(1, first, f.letter(1)));
    let dead = all(&f)[0].id;
    let delivery = redrive(&f, dead).unwrap();
    assert!(delivery.id > first);
    assert_eq!((delivery.key, delivery.reactor), (key(1), f.reactor));
    assert_eq!((delivery.place, delivery.redrive_of, delivery.history.len()), (Place::Memory, Some(dead), 0));
    assert_eq!(delivery.origin, f.letter(1).origin);
    assert!(f.store.dead_letter(dead).unwrap().unwrap().redriving);
    assert_eq!(redrive(&f, dead), None, "it is on its way already");
    assert_eq!(f.admit(vec![f.new_delivery(1, Place::Memory)], at(2)), [Admitted::Duplicate], "it is in progress");
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.dead, counts.active), (1, 0, 1));
}

pub fn redriven_with_success(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let first = f.in_memory(1);
    f.commit(f.died(1, first, f.letter(1)));
    let delivery = redrive(&f, all(&f)[0].id).unwrap();
    harness.crash();
    let f = fixture(harness);
    f.recover(&[]);
    assert_eq!(f.spilled(), [delivery.id], "a redrive survives a crash");
    assert_eq!(f.commit(f.done(2, first)), Committed::Stale, "the first delivery has ended");
    assert_eq!(f.commit(f.done(3, delivery.id)), Committed::Applied);
    assert!(all(&f).is_empty());
    assert_eq!(f.admit(vec![f.new_delivery(1, Place::Memory)], at(2)), [Admitted::Duplicate], "it is done");
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.done, counts.dead, counts.active), (1, 1, 0, 0));
}

pub fn redriven_in_vain(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let first = f.in_memory(1);
    f.commit(f.died(1, first, f.letter(1)));
    let dead = all(&f)[0].id;
    let delivery = redrive(&f, dead).unwrap();
    assert_eq!(f.commit(f.failed(2, delivery.id, 1, at(5))), Committed::Applied);
    let letter =
        DeadLetter { reason: "trap".into(), history: vec![record(1), record(2)], parks: Some(key(7)), ..f.letter(1) };
    let ending = Ending::Dead { letter: letter.clone(), hold: Vec::new() };
    assert_eq!(f.commit(Commit { attempt: 2, ending, ..f.done(3, delivery.id) }), Committed::Applied);
    let letters = all(&f);
    assert_eq!((letters.len(), letters[0].id, letters[0].redriving), (1, dead, false));
    let both = DeadLetter { history: vec![record(1), record(1), record(2)], ..letter };
    assert_eq!(letters[0].letter, both);
    assert_eq!(f.counts().dead, 1);
    assert!(redrive(&f, dead).is_some(), "once more");
}

pub fn redrive_of_nothing(harness: &mut dyn Harness) {
    let f = fixture(harness);
    assert_eq!(redrive(&f, 99), None);
    let nobodys = DeadLetter { reactor: None, ..f.letter(1) };
    wait(f.store.enter(Batch { dead: vec![nobodys], ..f.batch(Vec::new(), at(0)) })).unwrap();
    assert_eq!(redrive(&f, all(&f)[0].id), None, "there is nobody to run it");
    assert_eq!(all(&f).len(), 1);
}

pub fn drop_removes_the_letter(harness: &mut dyn Harness) {
    let f = fixture(harness);
    parked(&f);
    let dead = all(&f)[0].id;
    f.request(Request::Drop(dead));
    let (request, asked) = f.store.requests(0).unwrap()[0].clone();
    assert_eq!(asked, Request::Drop(dead));
    assert_eq!(f.drop_dead(request, dead), Some((f.reactor, key(7))));
    assert!(all(&f).is_empty() && f.store.requests(0).unwrap().is_empty());
    assert_eq!(f.drop_dead(request, dead), None);
    assert_eq!((f.counts().dead, f.counts().dropped), (0, 1), "it did end without success");
    let id = f.in_memory(5);
    f.commit(f.died(2, id, f.letter(5)));
    let dead = all(&f)[0].id;
    redrive(&f, dead).unwrap();
    assert_eq!(f.drop_dead(0, dead), None);
    assert_eq!(all(&f).len(), 1, "what is on its way is not dropped");
}

pub fn requests_wait_for_the_owner(harness: &mut dyn Harness) {
    let f = fixture(harness);
    for request in [Request::Redrive(1), Request::Drop(2), Request::Redrive(3)] {
        f.request(request);
    }
    harness.crash();
    let f = fixture(harness);
    let requests = f.store.requests(0).unwrap();
    assert_eq!(f.store.requests(requests[0].0).unwrap(), requests[1..]);
    let asked: Vec<Request> = requests.iter().map(|(_, request)| request.clone()).collect();
    assert_eq!(asked, [Request::Redrive(1), Request::Drop(2), Request::Redrive(3)]);
    assert!(requests.is_sorted_by_key(|(id, _)| *id));
}
