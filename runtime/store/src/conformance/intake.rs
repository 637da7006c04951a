//! Names, logs and admission.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use reactor_core::attribute::Attribute;
use reactor_core::event::{ChannelId, DeliveryId, Message, Offset, SystemAttributes};
use reactor_core::store::{Admitted, Batch, DeadLetter, NewDelivery, Place, UNROUTED};

use super::fixture::*;

pub fn names_are_stable(harness: &mut dyn Harness) {
    let before = {
        let store = harness.store();
        let ids = (store.reactor_id("b").unwrap(), store.reactor_id("a").unwrap(), store.channel_id("b").unwrap());
        assert_ne!(ids.0, ids.1);
        assert_eq!(store.reactor_id("b").unwrap(), ids.0);
        ids
    };
    harness.crash();
    let store = harness.store();
    assert_eq!(store.reactor_id("a").unwrap(), before.1);
    assert_eq!(store.reactor_names().unwrap(), [(before.0, "b".to_owned()), (before.1, "a".to_owned())]);
    assert_eq!(store.channel_names().unwrap(), [(before.2, "b".to_owned())]);
}

pub fn offsets_are_consecutive(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let other = f.store.channel_id("other").unwrap();
    assert_eq!(f.publish(&["a", "b"]), Offset(1));
    assert_eq!(wait(f.store.append(other, vec![message("x")])).unwrap(), Offset(1));
    assert_eq!(f.publish(&["c"]), Offset(3));
    assert_eq!(f.publish(&[]), Offset(4));
    assert_eq!(f.publish(&["d"]), Offset(4));
    assert_eq!(f.bodies(), ["a", "b", "c", "d"]);
}

pub fn a_log_returns_what_was_published(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let full = Message {
        body: vec![0, 255, 10].into(),
        attributes: vec![
            ("b", "1").into(),
            ("a", "\"\u{0}").into(),
            ("b", "").into(),
            Attribute::typed("weight", "Number.float", "1.50"),
            Attribute::typed("policy", "String.Json", "{}"),
            Attribute::binary("key", "Binary", vec![0, 1, 255]),
        ],
        system: SystemAttributes {
            message_id: Some("m".into()),
            dedup_id: Some("d".into()),
            group_id: Some("g".into()),
        },
    };
    let sent = vec![full, Message::default(), message("x")];
    wait(f.store.append(f.channel, sent.clone())).unwrap();
    let records = f.store.read_log(f.channel, Offset(1), 10, usize::MAX).unwrap();
    assert_eq!(records.iter().map(|r| r.message.clone()).collect::<Vec<_>>(), sent);
    assert_eq!(records.iter().map(|r| r.offset.0).collect::<Vec<_>>(), [1, 2, 3]);
    let age = jiff::Timestamp::now().as_second() - records[0].accepted.as_second();
    assert!((0..60).contains(&age), "accepted {age} s ago");
}

pub fn limits_of_read_log(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["aaaa", "bbbb", "cccc", "dddd"]);
    let read = |from, records, bytes| -> Vec<u64> {
        f.store.read_log(f.channel, Offset(from), records, bytes).unwrap().iter().map(|r| r.offset.0).collect()
    };
    assert_eq!(read(2, 2, usize::MAX), [2, 3]);
    assert_eq!(read(1, 10, 8), [1, 2]);
    assert_eq!(read(1, 10, 9), [1, 2]);
    assert_eq!(read(1, 10, 1), [1], "at least one");
    assert_eq!(read(4, 0, 0), [4], "at least one");
    assert!(read(5, 10, 100).is_empty());
}

pub fn unknown_channels_are_refused(harness: &mut dyn Harness) {
    let f = fixture(harness);
    assert!(wait(f.store.append(ChannelId(99), vec![message("x")])).is_err());
    assert!(f.store.read_log(ChannelId(99), Offset(1), 1, 1).is_err());
    assert!(f.store.cursor(ChannelId(99)).is_err());
    let lost = Batch { channel: ChannelId(99), ..f.batch(Vec::new(), at(0)) };
    assert!(wait(f.store.enter(lost.clone())).is_err());
    assert!(wait(f.store.enter(Batch { cursor: None, ..lost })).is_err());
    assert_eq!(f.publish(&["a"]), Offset(1), "the store goes on");
}

pub fn accepted_survives_a_crash(harness: &mut dyn Harness) {
    for round in 1..=3 {
        assert_eq!(fixture(harness).publish(&["a", "b"]), Offset(round * 2 - 1));
        harness.crash();
    }
    assert_eq!(fixture(harness).bodies(), ["a", "b", "a", "b", "a", "b"]);
}

pub fn admission_moves_the_cursor(harness: &mut dyn Harness) {
    let f = fixture(harness);
    assert_eq!(f.store.cursor(f.channel).unwrap(), Offset(1));
    f.publish(&["a", "b", "c"]);
    assert_eq!(f.store.stats().unwrap().backlog, [("shop".to_owned(), 3)]);
    let batch = f.batch(vec![f.new_delivery(1, Place::Memory)], at(0));
    let entered = wait(f.store.enter(Batch { cursor: Some(Offset(3)), unrouted: 1, ..batch })).unwrap();
    assert_eq!((entered.cursor, entered.records), (Offset(3), Vec::new()));
    assert_eq!(f.store.cursor(f.channel).unwrap(), Offset(3));
    let stats = f.store.stats().unwrap();
    assert_eq!((stats.backlog, stats.unrouted), (vec![("shop".to_owned(), 1)], 1));
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.store.cursor(f.channel).unwrap(), Offset(3));
    assert_eq!(f.counts().delivered, 1);
}

pub fn delivery_ids_ascend(harness: &mut dyn Harness) {
    let mut last = DeliveryId(0);
    for round in 0..3 {
        for number in 0..5 {
            let id = fixture(harness).in_memory(round * 10 + number);
            assert!(id > last);
            last = id;
        }
        harness.crash();
    }
}

pub fn duplicates_within_the_window(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let new = f.new_delivery(1, Place::Memory);
    let answers = f.admit(vec![new.clone(), new.clone(), f.new_delivery(2, Place::Memory)], at(0));
    assert!(matches!(answers[..], [Admitted::New(a), Admitted::Duplicate, Admitted::New(b)] if a < b));
    assert_eq!(f.admit(vec![new.clone()], at(86_399_999)), [Admitted::Duplicate]);
    harness.crash();
    let f = fixture(harness);
    assert_eq!(f.admit(vec![new], at(86_399_999)), [Admitted::Duplicate]);
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.duplicates, counts.active), (2, 3, 2));
}

pub fn no_duplicates_outside_the_window(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.in_memory(1);
    let answers = f.admit(vec![f.new_delivery(1, Place::Memory)], at(86_400_000));
    assert!(matches!(answers[..], [Admitted::New(_)]));
    let answers = f.admit(vec![f.new_delivery(1, Place::Memory)], at(86_400_001));
    assert_eq!(answers, [Admitted::Duplicate], "the window starts again");
    let off = NewDelivery { window: std::time::Duration::ZERO, ..f.new_delivery(1, Place::Memory) };
    assert!(matches!(f.admit(vec![off], at(86_400_002))[..], [Admitted::New(_)]), "no window, no dedup");
}

pub fn duplicates_are_per_reactor(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let other = f.store.reactor_id("billing").unwrap();
    f.in_memory(1);
    let answers = f.admit(vec![NewDelivery { reactor: other, ..f.new_delivery(1, Place::Memory) }], at(0));
    assert!(matches!(answers[..], [Admitted::New(_)]));
}

pub fn duplicates_after_the_ending(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let (done, dead) = (f.in_memory(1), f.in_memory(2));
    f.commit_all(vec![f.done(1, done), f.died(2, dead, f.letter(2))]);
    harness.crash();
    let f = fixture(harness);
    let again = vec![f.new_delivery(1, Place::Memory), f.new_delivery(2, Place::Memory)];
    assert_eq!(f.admit(again, at(1)), [Admitted::Duplicate, Admitted::Duplicate]);
}

pub fn the_ledger_spans_segments(harness: &mut dyn Harness) {
    const MANY: u64 = 500;
    let all = |f: &Fixture<'_>| (0..MANY).map(|number| f.new_delivery(number, Place::Memory)).collect::<Vec<_>>();
    let f = fixture(harness);
    for part in all(&f).chunks(37) {
        assert!(f.admit(part.to_vec(), at(0)).iter().all(|answer| matches!(answer, Admitted::New(_))));
    }
    assert!(f.admit(all(&f), at(1)).iter().all(|answer| *answer == Admitted::Duplicate));
    harness.crash();
    let f = fixture(harness);
    assert!(f.admit(all(&f), at(2)).iter().all(|answer| *answer == Admitted::Duplicate));
    let fresh = (MANY..2 * MANY).map(|number| f.new_delivery(number, Place::Memory)).collect();
    assert!(f.admit(fresh, at(3)).iter().all(|answer| matches!(answer, Admitted::New(_))));
    assert_eq!(f.counts().delivered, 2 * MANY);
}

pub fn dead_on_arrival(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let invalid = DeadLetter { reactor: None, reason: "invalid-event".into(), ..f.letter(1) };
    let unwanted = DeadLetter { reactor: None, reason: UNROUTED.into(), ..f.letter(2) };
    let ours = DeadLetter { reason: "no-key".into(), ..f.letter(3) };
    let dead = vec![invalid.clone(), unwanted, ours];
    wait(f.store.enter(Batch { dead, unrouted: 1, ..f.batch(Vec::new(), at(0)) })).unwrap();
    let stats = f.store.stats().unwrap();
    assert_eq!((stats.invalid, stats.unrouted), (1, 1));
    let counts = f.counts();
    assert_eq!((counts.delivered, counts.dead), (1, 1));
    let letters = f.store.dead_letters(&reactor_core::store::DeadFilter::default()).unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[2].letter, invalid);
}

pub fn records_can_be_taken_out(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["a", "b", "c"]);
    let (cursor, drop) = (Some(Offset(4)), vec![Offset(2)]);
    wait(f.store.enter(Batch { cursor, drop, unrouted: 1, ..f.batch(Vec::new(), at(0)) })).unwrap();
    assert_eq!(f.bodies(), ["a", "c"]);
    assert_eq!(f.publish(&["d"]), Offset(4), "the place stays empty");
    assert_eq!(f.store.stats().unwrap().published, [("shop".to_owned(), 4)]);
}
