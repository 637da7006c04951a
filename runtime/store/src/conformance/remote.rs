//! Remote channels: received messages, parked deliveries, the outbox.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use std::time::Duration;

use reactor_core::attribute::Attribute;
use reactor_core::event::{DeliveryId, HostTime, Message, Offset};
use reactor_core::store::{
    Admitted, Batch, Commit, DeadLetter, Effect, Entered, Incoming, NewDelivery, OutboxRecord, Place, StoredDelivery,
    Target, UNDELIVERABLE, Upkeep,
};

use super::fixture::*;

/// Received messages, each with its deliveries.
fn received(f: &Fixture<'_>, messages: Vec<(&str, Vec<NewDelivery>)>) -> Batch {
    let mut batch = Batch::new(f.channel, at(0));
    for (body, deliveries) in messages {
        batch.messages.push(Incoming { message: message(body), deliveries: deliveries.len(), dead: 0, keep: false });
        batch.deliveries.extend(deliveries);
    }
    batch
}

fn receive(f: &Fixture<'_>, messages: Vec<(&str, Vec<NewDelivery>)>) -> Entered {
    wait(f.store.enter(received(f, messages))).unwrap()
}

/// Receives a message with one delivery.
fn receive_one(f: &Fixture<'_>, new: NewDelivery) -> Admitted {
    receive(f, vec![("m", vec![new])]).answers.remove(0)
}

/// A received message that ends as this dead letter.
fn undecodable(f: &Fixture<'_>, letter: DeadLetter) -> Batch {
    let messages = vec![Incoming { message: message("{"), deliveries: 0, dead: 1, keep: false }];
    Batch { messages, dead: vec![letter], ..received(f, Vec::new()) }
}

fn new_id(answer: &Admitted) -> DeliveryId {
    match answer {
        Admitted::New(id) => *id,
        other => panic!("not new: {other:?}"),
    }
}

fn resumed(answer: Admitted) -> StoredDelivery {
    match answer {
        Admitted::Resumed(stored) => *stored,
        other => panic!("not resumed: {other:?}"),
    }
}

pub fn what_is_received_is_recorded_once(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let two = vec![f.new_delivery(1, Place::Memory), f.new_delivery(2, Place::Memory)];
    let entered = receive(&f, vec![("a", two.clone()), ("b", Vec::new())]);
    assert_eq!(entered.records, [Some(Offset(1)), None]);
    assert_eq!(entered.cursor, Offset(2), "nothing is left to be read from the log");
    let id = new_id(&entered.answers[0]);
    let again = receive(&f, vec![("a", two)]);
    assert_eq!(again.records, [None]);
    assert_eq!(again.answers, [Admitted::Active(id), Admitted::Active(DeliveryId(id.0 + 1))]);
    let kept = vec![Incoming { message: message("c"), deliveries: 0, dead: 0, keep: true }];
    let kept = wait(f.store.enter(Batch { messages: kept, unrouted: 1, ..received(&f, Vec::new()) })).unwrap();
    assert_eq!(kept.records, [Some(Offset(2))]);
    assert_eq!(f.bodies(), ["a", "c"]);
    assert_eq!((f.store.stats().unwrap().unrouted, f.counts().duplicates), (1, 2));
}

pub fn a_reception_leaves_what_is_unread(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["unread"]);
    let entered = receive(&f, vec![("a", vec![f.new_delivery(1, Place::Memory)])]);
    assert_eq!((entered.records, entered.cursor), (vec![Some(Offset(2))], Offset(1)));
    assert_eq!(f.store.cursor(f.channel).unwrap(), Offset(1));
    let drop = vec![Offset(2)];
    wait(f.store.enter(Batch { drop, now: at(1), ..received(&f, Vec::new()) })).unwrap();
    assert_eq!(f.bodies(), ["unread"]);
}

pub fn what_has_ended_is_a_duplicate(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = new_id(&receive_one(&f, f.new_delivery(1, Place::Memory)));
    f.commit(f.done(1, id));
    assert_eq!(receive_one(&f, f.new_delivery(1, Place::Memory)), Admitted::Duplicate);
    assert_eq!(f.counts().duplicates, 1);
}

pub fn leased_deliveries_are_away_after_a_crash(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let places = [Place::Memory, Place::Spilled, Place::Held];
    let ids: Vec<_> = (1..).zip(places).map(|(n, at)| new_id(&receive_one(&f, f.in_lane(n, 7, at)))).collect();
    let waiting = new_id(&receive_one(&f, f.in_lane(4, 7, Place::Memory)));
    f.commit(f.failed(1, waiting, 1, at(50)));
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[f.channel]);
    assert!(recovered.lanes.is_empty(), "nothing is in the way of a lane: {recovered:?}");
    assert!(f.spilled().is_empty() && f.held(7).is_empty());
    assert_eq!(f.store.next_due(f.reactor, (HostTime(0), DeliveryId(0))).unwrap(), None);
    assert_eq!((f.counts().active, f.counts().waiting), (4, 0));
    let stored = resumed(receive_one(&f, f.in_lane(4, 7, Place::Memory)));
    assert_eq!((stored.id, stored.place, stored.history.len()), (waiting, Place::Memory, 1));
    assert_eq!(receive_one(&f, f.in_lane(4, 7, Place::Memory)), Admitted::Active(waiting));
    wait(f.store.away(vec![waiting])).unwrap();
    assert_eq!(resumed(receive_one(&f, f.in_lane(4, 7, Place::Memory))).id, waiting);
    f.recover(&[]);
    assert_eq!(f.spilled(), [&ids[..], &[waiting]].concat(), "no lease is needed any more");
    let own = f.in_memory(9);
    f.recover(&[f.channel]);
    assert!(f.spilled().contains(&own) && f.spilled().contains(&ids[0]), "what has no lease cannot lose it");
}

pub fn what_was_away_stands_in_no_ones_way(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let ids: Vec<_> = (1..4).map(|n| new_id(&receive_one(&f, f.in_lane(n, 7, Place::Memory)))).collect();
    wait(f.store.away(vec![ids[0]])).unwrap();
    f.store.mark(&[(0, Some((ids[1], 1))), (1, Some((ids[2], 1)))]).unwrap();
    harness.crash();
    let f = fixture(harness);
    let recovered = f.recover(&[f.channel]);
    assert_eq!(recovered.interrupted.iter().map(|(delivery, _)| delivery.id).collect::<Vec<_>>(), [ids[1]]);
    assert_eq!(recovered.ahead.iter().map(|(.., delivery)| *delivery).collect::<Vec<_>>(), [ids[2]]);
}

pub fn away_for_ever_is_somebody_elses(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = new_id(&receive_one(&f, f.new_delivery(1, Place::Memory)));
    receive_one(&f, f.new_delivery(2, Place::Memory));
    wait(f.store.away(vec![id])).unwrap();
    let upkeep =
        |millis| Upkeep { now: at(millis), ledger_window: DAY, away: Duration::from_secs(10), ..Upkeep::default() };
    f.store.maintain(&upkeep(9_000)).unwrap();
    assert_eq!(f.counts().delivered, 2);
    f.store.maintain(&upkeep(11_000)).unwrap();
    assert_eq!((f.counts().delivered, f.counts().active), (1, 1));
}

pub fn a_dead_letter_that_is_sent_back_runs_again(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let id = new_id(&receive_one(&f, f.new_delivery(1, Place::Memory)));
    f.commit(f.died(1, id, f.letter(1)));
    assert_eq!(receive_one(&f, f.new_delivery(1, Place::Memory)), Admitted::Duplicate, "a mere redelivery does not");
    let back = NewDelivery { redrive: true, ..f.new_delivery(1, Place::Memory) };
    let stored = resumed(receive_one(&f, back.clone()));
    assert!(stored.redrive_of.is_some());
    assert_eq!(receive_one(&f, back.clone()), Admitted::Active(stored.id));
    f.commit(f.done(2, stored.id));
    assert_eq!(receive_one(&f, back), Admitted::Duplicate);
    assert_eq!((f.counts().done, f.counts().dead), (1, 0));
}

pub fn what_was_dropped_is_new_when_it_is_received_again(harness: &mut dyn Harness) {
    let f = fixture(harness);
    for redrive in [false, true] {
        let number = 1 + u64::from(redrive);
        let id = new_id(&receive_one(&f, f.new_delivery(number, Place::Memory)));
        f.commit(f.died(number, id, f.letter(number)));
        let letter = f.store.dead_letters(&reactor_core::store::DeadFilter::default()).unwrap()[0].id;
        f.drop_dead(0, letter);
        let again = NewDelivery { redrive, ..f.new_delivery(number, Place::Memory) };
        let again = new_id(&receive_one(&f, again));
        f.commit(f.done(number + 2, again));
        assert_eq!(receive_one(&f, f.new_delivery(number, Place::Memory)), Admitted::Duplicate, "it is done");
    }
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.done, counts.dead, counts.dropped), (4, 2, 0, 2));
}

pub fn what_ends_on_reception_is_kept(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let letter = DeadLetter { reactor: None, reason: "invalid-event".into(), ..f.letter(1) };
    wait(f.store.enter(undecodable(&f, letter))).unwrap();
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.store.dead_letters(&reactor_core::store::DeadFilter::default()).unwrap().len(), 1);
    assert_eq!(f.store.stats().unwrap().invalid, 1);
    assert!(f.bodies().is_empty(), "the letter has the message");
}

pub fn what_ends_on_arrival_is_forwarded(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let dlq = f.store.channel_id("dlq").unwrap();
    let letter = || DeadLetter { reactor: None, reason: "invalid-event".into(), ..f.letter(1) };
    let forward = |text: &str| vec![(Target::Log(dlq), message(text)), (Target::Outbox(f.channel), message(text))];
    wait(f.store.enter(Batch { forward: forward("received"), ..undecodable(&f, letter()) })).unwrap();
    let (dead, forward) = (vec![letter()], forward("read"));
    wait(f.store.enter(Batch { dead, forward, ..f.batch(Vec::new(), at(0)) })).unwrap();
    let log: Vec<_> = f.store.read_log(dlq, Offset(1), 10, usize::MAX).unwrap();
    assert_eq!(
        log.into_iter().map(|record| record.message).collect::<Vec<_>>(),
        [message("received"), message("read")]
    );
    let out: Vec<_> = outbox(&f).into_iter().map(|(_, message)| message).collect();
    assert_eq!(out, [message("received"), message("read")]);
    assert_eq!(f.store.stats().unwrap().invalid, 2);
}

fn outbox(f: &Fixture<'_>) -> Vec<(u64, Message)> {
    let all = f.store.outbox(f.channel, 0, 100, usize::MAX).unwrap();
    all.into_iter().map(|OutboxRecord { id, message }| (id, message)).collect()
}

pub fn the_outbox_is_filled_by_commits(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let other = f.store.channel_id("other").unwrap();
    let id = f.in_memory(1);
    let mut out = message("out");
    out.attributes = vec![("k", "v").into(), Attribute::typed("n", "Number", "1.50")];
    out.system.group_id = Some("g".into());
    let first = Effect::Put { target: Target::Outbox(f.channel), message: out.clone() };
    f.commit(Commit { effects: vec![first, put(Target::Outbox(other), "x")], ..f.done(1, id) });
    let id = f.in_memory(2);
    let effects = vec![put(Target::Outbox(f.channel), "dead")];
    f.commit(Commit { effects, ..f.died(2, id, f.letter(2)) });
    harness.crash();
    let f = fixture(harness);
    let found = outbox(&f);
    assert_eq!(found.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), [out, message("dead")]);
    assert_eq!(f.store.outbox_size(f.channel).unwrap(), (2, 7));
    assert_eq!(f.store.stats().unwrap().outbox, [("shop".to_owned(), 2), ("other".to_owned(), 1)]);
    assert_eq!(f.store.outbox(f.channel, found[0].0, 100, usize::MAX).unwrap()[0].id, found[1].0);
    assert_eq!(f.store.outbox(f.channel, 0, 100, 1).unwrap().len(), 1, "at least one");
    assert!(f.bodies().is_empty(), "not in the log");
    wait(f.store.sent(vec![found[0].0])).unwrap();
    assert_eq!(outbox(&f), found[1..]);
    assert_eq!(f.counts().emitted, 2);
}

pub fn outbox_numbers_ascend(harness: &mut dyn Harness) {
    let mut last = 0;
    for _ in 0..3 {
        let f = fixture(harness);
        wait(f.store.send(f.channel, vec![message("a"), message("b")])).unwrap();
        let ids: Vec<u64> = outbox(&f).iter().map(|(id, _)| *id).collect();
        assert!(ids[0] > last, "{ids:?} after {last}");
        last = ids[1];
        wait(f.store.sent(ids)).unwrap();
        harness.crash();
    }
}

pub fn what_cannot_be_sent_becomes_a_dead_letter(harness: &mut dyn Harness) {
    let f = fixture(harness);
    wait(f.store.send(f.channel, vec![message("a")])).unwrap();
    let id = outbox(&f)[0].0;
    let letter = DeadLetter { reactor: None, reason: UNDELIVERABLE.into(), ..f.letter(1) };
    wait(f.store.undeliverable(vec![(id, letter)])).unwrap();
    assert!(outbox(&f).is_empty());
    assert_eq!(
        f.store.dead_letters(&reactor_core::store::DeadFilter::default()).unwrap()[0].letter.reason,
        UNDELIVERABLE
    );
    assert_eq!(f.store.stats().unwrap().invalid, 0, "it was a valid event");
}
