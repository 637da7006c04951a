//! What the store reports of the past: ended attempts, and the fates of records.
#![allow(missing_docs, reason = "each case is named after what it shows")]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use reactor_core::event::{DeliveryId, Event, Offset, Origin, ReactorId};
use reactor_core::store::{
    Admitted, AttemptEnd, AttemptNote, AttemptsOf, Batch, Commit, Committed, DeadFilter, DeadLetter, Fate, Incoming,
    KeptAttempt, NewDelivery, Place, Request, Traces, Upkeep,
};

use super::dead::redrive;
use super::fixture::*;

/// Event `number` of the flow `c"1`.
fn event(number: u64) -> Arc<Event> {
    Arc::new(Event {
        id: format!("e-{number}"),
        event_type: "order.\"placed\"\n".into(),
        version: 1,
        source: "shop".into(),
        time: None,
        subject: None,
        correlation_id: "c\"1".into(),
        causation_id: None,
        partition_key: None,
        trace_parent: None,
        hop: 0,
        content_type: "application/json".into(),
        attributes: Vec::new(),
        data: "{}".into(),
    })
}

fn of(f: &Fixture<'_>, offset: u64, number: u64) -> NewDelivery {
    NewDelivery { origin: origin(f, offset), ..f.new_delivery(number, Place::Memory) }
}

fn origin(f: &Fixture<'_>, offset: u64) -> Origin {
    Origin { channel: f.channel, offset: Offset(offset), part: 0 }
}

fn admit(f: &Fixture<'_>, offset: u64, number: u64) -> DeliveryId {
    f.admit_one(of(f, offset, number))
}

/// The commit, with its attempt to be kept.
fn noted(commit: Commit, offset: u64, code: &'static str) -> Commit {
    let channel = reactor_core::event::ChannelId(1);
    let note = AttemptNote {
        event: event(offset),
        origin: Origin { channel, offset: Offset(offset), part: 0 },
        code,
        at: wall(commit.number.0),
        took: Duration::from_micros(100 + commit.number.0),
        module: if commit.attempt > 1 { "cd" } else { "ab" }.into(),
    };
    Commit { note: Some(note), ..commit }
}

fn wall(number: u64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + number.cast_signed()).unwrap()
}

/// The kept attempt that such a commit leaves behind.
fn kept(f: &Fixture<'_>, delivery: DeliveryId, commit: &Commit, end: AttemptEnd, worker: u64) -> KeptAttempt {
    let note = commit.note.as_ref().unwrap();
    KeptAttempt {
        delivery,
        reactor: f.reactor,
        origin: note.origin,
        number: commit.attempt,
        end,
        code: note.code.into(),
        at: note.at,
        took: note.took,
        module: note.module.to_string(),
        worker,
        event_id: note.event.id.clone(),
        event_type: note.event.event_type.clone(),
        correlation_id: note.event.correlation_id.clone(),
    }
}

fn codes(attempts: &[KeptAttempt]) -> Vec<(u32, &str)> {
    attempts.iter().map(|one| (one.number, &*one.code)).collect()
}

fn letter(f: &Fixture<'_>, number: u64, offset: u64) -> DeadLetter {
    DeadLetter { origin: origin(f, offset), ..f.letter(number) }
}

fn dead(f: &Fixture<'_>) -> u64 {
    f.store.dead_letters(&DeadFilter::default()).unwrap()[0].id
}

fn traces(f: &Fixture<'_>, first: u64, last: u64) -> Traces {
    f.store.traces(f.channel, Offset(first), Offset(last)).unwrap()
}

/// The fate of a record for the reactor.
fn fate(f: &Fixture<'_>, offset: u64) -> Option<Fate> {
    let all = traces(f, offset, offset).all;
    assert!(all.len() <= 1 && all.iter().all(|trace| trace.origin == origin(f, offset)), "{all:?}");
    all.into_iter().next().map(|trace| trace.fate)
}

fn duplicate(f: &Fixture<'_>, first: u64, fate: Fate) -> Option<Fate> {
    Some(Fate::Duplicate { first: Some(origin(f, first)), fate: Box::new(fate) })
}

fn upkeep(f: &Fixture<'_>, millis: u64, window: Duration, history: Duration) {
    let retention = vec![(f.channel, 10 * DAY)];
    f.store.maintain(&Upkeep { now: at(millis), ledger_window: window, retention, away: DAY, history }).unwrap();
}

/// Attempts that succeeded, failed, died or followed a redrive are found by record, delivery, event and flow.
pub fn ended_attempts_are_kept(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 3]);
    let [one, two, three] = [1, 2, 3].map(|number| admit(&f, number, number));
    let first = [
        noted(f.done(1, one), 1, "done"),
        noted(f.failed(2, two, 1, at(5)), 2, "retry"),
        noted(f.died(3, three, letter(&f, 3, 3)), 3, "trap"),
    ];
    assert_eq!(f.commit_all(first.to_vec()), [Committed::Applied; 3]);
    let second = noted(Commit { attempt: 2, ..f.done(4, two) }, 2, "done");
    f.commit(second.clone());
    let again = redrive(&f, dead(&f)).unwrap().id;
    harness.crash();
    let f = fixture(harness);
    let third = noted(f.done(5, again), 3, "done");
    f.commit(third.clone());
    let all = [
        kept(&f, one, &first[0], AttemptEnd::Done, 1),
        kept(&f, two, &first[1], AttemptEnd::Retry, 1),
        kept(&f, three, &first[2], AttemptEnd::Dead, 1),
        kept(&f, two, &second, AttemptEnd::Done, 1),
        kept(&f, again, &third, AttemptEnd::Done, 2),
    ];
    let find = |of: AttemptsOf| f.store.attempts(&of).unwrap();
    let records = |offsets: &[u64]| AttemptsOf::Records(offsets.iter().map(|at| (f.channel, Offset(*at))).collect());
    assert_eq!(find(AttemptsOf::Correlation("c\"1".into())), all);
    assert_eq!(find(records(&[1])), [all[0].clone()]);
    assert_eq!(find(records(&[3])), [all[2].clone(), all[4].clone()]);
    assert_eq!(find(records(&[3, 12, 1])), [all[0].clone(), all[2].clone(), all[4].clone()]);
    assert_eq!(find(AttemptsOf::Delivery(two)), [all[1].clone(), all[3].clone()]);
    assert_eq!(find(AttemptsOf::Event("e-3".into())), [all[2].clone(), all[4].clone()]);
    for nothing in [
        AttemptsOf::Correlation("c".into()),
        AttemptsOf::Event("e".into()),
        records(&[12]),
        records(&[]),
        AttemptsOf::Delivery(DeliveryId(99)),
    ] {
        assert!(find(nothing.clone()).is_empty(), "{nothing:?}");
    }
}

/// A commit that was not applied leaves no attempt, and neither does one whose attempt is not to be kept.
pub fn only_applied_attempts_are_kept(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 2]);
    let (one, two) = (admit(&f, 1, 1), admit(&f, 2, 2));
    f.commit(f.done(1, one));
    let stale = noted(f.done(2, one), 1, "done");
    let conflict =
        noted(Commit { reads: vec![("k".into(), reactor_core::event::Version(7))], ..f.done(3, two) }, 2, "done");
    assert_eq!(f.commit_all(vec![stale, conflict]), [Committed::Stale, Committed::Conflict]);
    assert!(f.store.attempts(&AttemptsOf::Correlation("c\"1".into())).unwrap().is_empty());
    f.commit(noted(f.done(4, two), 2, "done"));
    assert_eq!(codes(&f.store.attempts(&AttemptsOf::Delivery(two)).unwrap()), [(1, "done")]);
}

/// All of many attempts in one call are found, in order.
pub fn many_attempts_are_kept(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"]);
    let ids: Vec<_> = (0..2_000).map(|number| NewDelivery { key: key(number), ..of(&f, 1, number) }).collect();
    let ids = f.admit(ids, at(0));
    let commits = (1..).zip(&ids).map(|(number, admitted)| {
        let Admitted::New(id) = admitted else { panic!("{admitted:?}") };
        noted(f.done(number, *id), 1, "done")
    });
    f.commit_all(commits.collect());
    let found = f.store.attempts(&AttemptsOf::Event("e-1".into())).unwrap();
    assert_eq!(found.len(), 2_000);
    assert!(found.is_sorted_by_key(|one| one.delivery));
}

/// Attempts are forgotten after their retention, by the store's clock; with zero retention, at once.
pub fn attempts_are_forgotten(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 3]);
    let all = || codes(&f.store.attempts(&AttemptsOf::Correlation("c\"1".into())).unwrap()).len();
    for (number, millis) in [(1, 0), (2, 50_000), (3, 100_000)] {
        let id = admit(&f, number, number);
        f.commit(Commit { now: at(millis), ..noted(f.done(number, id), number, "done") });
    }
    let keep = Duration::from_secs(60);
    upkeep(&f, 100_000, DAY, keep);
    assert_eq!(all(), 2, "the first is older than a minute");
    upkeep(&f, 100_000, DAY, keep);
    assert_eq!(all(), 2);
    upkeep(&f, 100_001, DAY, Duration::ZERO);
    assert_eq!(all(), 0);
    assert_eq!(fate(&f, 1), Some(Fate::Done), "what became of it is told all the same");
}

/// The fates of records are found without their keys: in progress, done, dead, redriven, dropped, and none.
pub fn records_are_traced(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 7]);
    let ids: Vec<_> = (1..=6).map(|number| admit(&f, number, number)).collect();
    let deaths = [3, 4, 5, 6].map(|number: u64| f.died(number, ids[number as usize - 1], letter(&f, number, number)));
    f.commit(f.done(1, ids[0]));
    let letters = deaths.map(|commit| {
        f.commit(commit);
        dead(&f)
    });
    let again = redrive(&f, letters[1]).unwrap();
    f.commit(f.done(7, again.id));
    let running = redrive(&f, letters[2]).unwrap();
    f.request(Request::Drop(letters[3]));
    f.drop_dead(f.store.requests(0).unwrap()[0].0, letters[3]);
    // In another channel, and later.
    let other = f.store.channel_id("other").unwrap();
    f.admit_one(NewDelivery { origin: Origin { channel: other, ..origin(&f, 1) }, ..of(&f, 1, 50) });
    harness.reopen();
    let f = fixture(harness);
    let told = traces(&f, 1, 7);
    assert_eq!(told.complete_from, Offset(1));
    let places: Vec<_> = told.all.iter().map(|trace| (trace.origin, trace.reactor)).collect();
    assert_eq!(places, (1..=6).map(|offset| (origin(&f, offset), Some(f.reactor))).collect::<Vec<_>>());
    assert_eq!(fate(&f, 1), Some(Fate::Done));
    assert!(matches!(fate(&f, 2), Some(Fate::Active(stored)) if stored.id == ids[1]));
    assert_eq!(fate(&f, 3), Some(Fate::Dead(letters[0])));
    assert_eq!(fate(&f, 4), Some(Fate::Done), "by its redrive");
    assert!(matches!(fate(&f, 5), Some(Fate::Active(stored)) if stored.id == running.id));
    assert_eq!(fate(&f, 6), Some(Fate::Dropped(letters[3], "rejected".into())));
    assert_eq!(fate(&f, 7), None, "no reactor wanted it");
}

/// A duplicate is reported with its first delivery and the fate of that one, even after a redrive or a drop.
pub fn duplicates_are_traced(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 8]);
    let ids = [1, 2, 3].map(|number| admit(&f, number, number));
    f.commit(f.done(1, ids[0]));
    f.commit(f.died(2, ids[1], letter(&f, 2, 2)));
    let redriven = dead(&f);
    f.commit(f.died(3, ids[2], letter(&f, 3, 3)));
    let dropped = dead(&f);
    let again = [of(&f, 4, 1), of(&f, 5, 2), of(&f, 6, 3)];
    assert_eq!(f.admit(again.to_vec(), at(2)), [const { Admitted::Duplicate }; 3]);
    assert_eq!(fate(&f, 4), duplicate(&f, 1, Fate::Done));
    assert_eq!(fate(&f, 5), duplicate(&f, 2, Fate::Dead(redriven)));
    let run = redrive(&f, redriven).unwrap();
    f.request(Request::Drop(dropped));
    f.drop_dead(f.store.requests(0).unwrap()[0].0, dropped);
    // After a drop the event is new, and what follows is a duplicate of that one.
    admit(&f, 7, 3);
    assert_eq!(f.admit(vec![of(&f, 8, 3)], at(3)), [Admitted::Duplicate]);
    harness.crash();
    let f = fixture(harness);
    assert!(matches!(fate(&f, 5), Some(Fate::Duplicate { fate, .. }) if matches!(*fate, Fate::Active(_))));
    f.commit(f.done(4, run.id));
    assert_eq!(fate(&f, 5), duplicate(&f, 2, Fate::Done));
    assert_eq!(fate(&f, 6), duplicate(&f, 3, Fate::Dropped(dropped, "rejected".into())));
    assert!(matches!(fate(&f, 8), Some(Fate::Duplicate { first, .. }) if first == Some(origin(&f, 7))));
}

/// Traces are reported for each reactor separately, and for events that no reactor was given.
pub fn traces_are_per_reactor(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"; 2]);
    let other = f.store.reactor_id("other").unwrap();
    let both = [of(&f, 1, 1), NewDelivery { reactor: other, ..of(&f, 1, 1) }];
    let dead = vec![DeadLetter { reactor: None, reason: "invalid-event".into(), ..letter(&f, 9, 2) }];
    let batch = Batch { dead, ..f.batch(both.to_vec(), at(0)) };
    let admitted = wait(f.store.enter(batch)).unwrap().answers;
    let [Admitted::New(id), Admitted::New(_)] = admitted[..] else { panic!("{admitted:?}") };
    f.commit(f.done(1, id));
    let all = traces(&f, 1, 2).all;
    let reactors: Vec<Option<ReactorId>> = all.iter().map(|trace| trace.reactor).collect();
    assert_eq!(reactors, [Some(f.reactor), Some(other), None]);
    assert_eq!(all[0].fate, Fate::Done);
    assert!(matches!((&all[1].fate, &all[2].fate), (Fate::Active(_), Fate::Dead(_))), "{all:?}");
    assert_eq!(all[2].origin.offset, Offset(2));
}

/// For a received message that has a record, the reactors that already knew its event are reported, too.
pub fn received_duplicates_are_traced(harness: &mut dyn Harness) {
    let f = fixture(harness);
    let other = f.store.reactor_id("other").unwrap();
    let receive = |deliveries: Vec<NewDelivery>| {
        let count = deliveries.len();
        let incoming = Incoming { message: message("{}"), deliveries: count, dead: 0, keep: false };
        let batch = Batch { messages: vec![incoming], deliveries, ..Batch::new(f.channel, at(1)) };
        wait(f.store.enter(batch)).unwrap()
    };
    let mine = NewDelivery { origin: origin(&f, 0), ..of(&f, 0, 1) };
    let theirs = NewDelivery { reactor: other, ..mine.clone() };
    let first = receive(vec![mine.clone()]);
    let Admitted::New(id) = first.answers[0] else { panic!("{first:?}") };
    f.commit(f.done(1, id));
    assert_eq!(receive(vec![mine.clone()]).records, [None], "nothing of it is new");
    let second = receive(vec![mine, theirs]).records[0].unwrap();
    let all = traces(&f, second.0, second.0).all;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(Some(all[0].fate.clone()), duplicate(&f, first.records[0].unwrap().0, Fate::Done));
    assert!(matches!(all[1].fate, Fate::Active(_)), "{all:?}");
}

/// When the ledger has forgotten something, the answer says up to which record.
pub fn what_is_forgotten_is_not_complete(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"]);
    // A whole segment, for any segment size.
    for number in 0..200 {
        f.admit_one(of(&f, 1, number));
    }
    let later = 5 * 86_400_000;
    f.admit(vec![of(&f, 2, 999)], at(later));
    upkeep(&f, later, 2 * DAY, DAY);
    f.publish(&["{}"]);
    assert_eq!(traces(&f, 1, 2).complete_from, Offset(2));
    harness.reopen();
    let f = fixture(harness);
    let told = traces(&f, 1, 2);
    assert_eq!(told.complete_from, Offset(2));
    assert!(told.all.iter().any(|trace| trace.origin == origin(&f, 2)), "{told:?}");
}
