//! For any sequence of requests, the store on disk and the model in memory give the same answers.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use proptest::prelude::*;

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Offset, Origin, ReactorId, Version};
use reactor_core::store::{
    Batch, Commit, DeadFilter, DeadLetter, Ending, Incoming, NewDelivery, Place, Request, StoreClient, StoreOwner,
    Target, Upkeep,
};
use reactor_store::conformance::{key, message, put, record, wait, write};
use reactor_store::memory::MemoryStore;
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

const START: u64 = 4_000_000_000_000;
const WINDOW: u64 = 500;
/// The channel that messages are received from; logs have their own channels.
const OUTSIDE: ChannelId = ChannelId(3);
const AWAY: Duration = Duration::from_millis(600);

/// A request; numbers are taken modulo what exists.
#[derive(Clone, Debug)]
enum Step {
    Append(u8, u8),
    Admit { keys: Vec<(u8, u8, Option<u8>, u8)>, dead: bool, unrouted: u8, drop: bool, read: u8 },
    Commit(Vec<Change>),
    Hold(u8),
    Start(u8, u8),
    End(u8),
    Redrive(u8),
    Drop(u8),
    Maintain,
    Receive { keys: Vec<(u8, u8, Option<u8>, bool)>, keep: bool },
    Away(u8),
    Sent(u8),
    Restart(bool),
}

#[derive(Clone, Debug)]
struct Change {
    delivery: u8,
    attempt: Option<u8>,
    read: Option<(u8, u8)>,
    write: Option<(u8, bool)>,
    after: Option<u8>,
    emit: bool,
    ending: u8,
    hold: u8,
}

fn change() -> impl Strategy<Value = Change> {
    let parts = (
        any::<u8>(),
        prop::option::weighted(0.1, 0_u8..4),
        prop::option::of((0_u8..4, 0_u8..4)),
        prop::option::of((0_u8..4, prop::bool::weighted(0.8))),
        prop::option::weighted(0.3, 1_u8..6),
        any::<bool>(),
        any::<u8>(),
        any::<u8>(),
    );
    parts.prop_map(|(delivery, attempt, read, write, after, emit, ending, hold)| Change {
        delivery,
        attempt,
        read,
        write,
        after,
        emit,
        ending,
        hold,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let new = (0_u8..2, 0_u8..40, prop::option::of(0_u8..3), 0_u8..4);
    let admit = (prop::collection::vec(new, 0..12), any::<bool>(), 0_u8..3, any::<bool>(), 0_u8..4);
    let received = (0_u8..2, 0_u8..40, prop::option::of(0_u8..3), any::<bool>());
    prop_oneof![
        3 => (0_u8..2, 0_u8..4).prop_map(|(channel, count)| Step::Append(channel, count)),
        6 => admit.prop_map(|(keys, dead, unrouted, drop, read)| Step::Admit { keys, dead, unrouted, drop, read }),
        8 => prop::collection::vec(change(), 1..6).prop_map(Step::Commit),
        1 => any::<u8>().prop_map(Step::Hold),
        2 => (0_u8..4, any::<u8>()).prop_map(|(slot, delivery)| Step::Start(slot, delivery)),
        1 => (0_u8..4).prop_map(Step::End),
        4 => any::<u8>().prop_map(Step::Redrive),
        2 => any::<u8>().prop_map(Step::Drop),
        1 => Just(Step::Maintain),
        4 => prop::collection::vec(received, 0..6).prop_flat_map(|keys| {
            any::<bool>().prop_map(move |keep| Step::Receive { keys: keys.clone(), keep })
        }),
        2 => any::<u8>().prop_map(Step::Away),
        1 => any::<u8>().prop_map(Step::Sent),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

/// What the test itself remembers, to make sensible requests.
#[derive(Default)]
struct Memo {
    now: u64,
    number: u64,
    last: u64,
    redriven: u64,
    letters: Vec<u64>,
}

impl Memo {
    fn now(&self) -> HostTime {
        HostTime(START + self.now)
    }
}

fn letter(number: u8, reactor: Option<ReactorId>, parks: bool) -> DeadLetter {
    DeadLetter {
        reactor,
        origin: Origin { channel: ChannelId(1), offset: Offset(1), part: 0 },
        message: message("dead"),
        event_id: None,
        event_type: Some("t".into()),
        correlation_id: None,
        reason: if number.is_multiple_of(2) { "trap".into() } else { "rejected".into() },
        detail: String::new(),
        history: vec![record(u32::from(number) + 1)],
        parks: parks.then(|| key(u64::from(number % 3))),
        key: key(u64::from(number % 40)),
        at: jiff::Timestamp::from_nanosecond(1_700_000_000_000_000_001 + i128::from(number)).unwrap(),
    }
}

fn pick(memo: &Memo, number: u8) -> DeliveryId {
    // Every other time one of the newest, where redriven ones are.
    let near = if number.is_multiple_of(2) { memo.last + 2 } else { 4 };
    DeliveryId((memo.last + 1).saturating_sub(u64::from(number / 2) % near))
}

/// The attempt that the store expects next, so that most commits are not stale.
fn next_attempt(store: &dyn StoreClient, id: DeliveryId) -> Option<(ReactorId, u32)> {
    let all = [ReactorId(1), ReactorId(2)].into_iter().flat_map(|reactor| {
        let mut found = store.spilled(reactor, DeliveryId(0), usize::MAX >> 1).unwrap();
        found.extend(store.due(reactor, (HostTime(0), DeliveryId(0)), HostTime(u64::MAX), 10_000).unwrap());
        for lane in 0..3 {
            found.extend(store.held(reactor, key(lane), DeliveryId(0), 10_000).unwrap());
        }
        found
    });
    let found = all.into_iter().find(|delivery| delivery.id == id)?;
    Some((found.reactor, u32::try_from(found.history.len()).unwrap() + 1))
}

fn commit_of(store: &dyn StoreClient, memo: &mut Memo, change: &Change) -> Commit {
    memo.number += 1;
    let delivery = pick(memo, change.delivery);
    let (reactor, attempt) = next_attempt(store, delivery).unwrap_or((ReactorId(1 + u32::from(change.hold % 2)), 1));
    let version = |key: &str| store.state(reactor, key).unwrap().map_or(Version(0), |(_, version)| version);
    let read = change.read.map(|(name, kind)| {
        let name = format!("k{name}");
        let seen = if kind == 0 { Version(memo.number / 2) } else { version(&name) };
        (name, seen)
    });
    let hold = vec![pick(memo, change.hold), pick(memo, change.hold.wrapping_mul(31))];
    let hold: Vec<DeliveryId> =
        hold.into_iter().filter(|id| *id != delivery && change.hold.is_multiple_of(3)).collect();
    let ending = match change.ending % 8 {
        0..4 => Ending::Done,
        4..6 => Ending::Wait { due: HostTime(memo.now().0 + u64::from(change.ending)), record: record(attempt), hold },
        other => Ending::Dead { letter: letter(change.ending, Some(reactor), other == 7), hold },
    };
    let number = memo.number.to_string();
    let written = change.write.map(|(name, set)| write(&format!("k{name}"), set.then_some(number.as_str())));
    let mut effects: Vec<_> = written.into_iter().collect();
    if change.emit {
        effects.push(put(Target::Log(ChannelId(1)), &number));
        if matches!(ending, Ending::Dead { .. }) {
            effects.extend([put(Target::Log(ChannelId(2)), "dead"), put(Target::Outbox(ChannelId(2)), "out")]);
        }
    }
    Commit {
        number: Version(memo.number),
        delivery,
        reactor,
        attempt: change.attempt.map_or(attempt, u32::from),
        after: change.after.map(|back| Version(memo.number.saturating_sub(u64::from(back)))),
        reads: read.into_iter().collect(),
        effects,
        ending,
        note: None,
        now: memo.now(),
    }
}

fn batch_read(store: &dyn StoreClient, memo: &Memo, step: &Step) -> Option<Batch> {
    let Step::Admit { keys, dead, unrouted, drop, read } = step else { return None };
    let cursor = store.cursor(ChannelId(1)).unwrap().0;
    let records = store.read_log(ChannelId(1), Offset(cursor), usize::from(*read).max(1), 1 << 20).unwrap();
    let next = records.last().map_or(cursor, |record| record.offset.0 + 1);
    let place = [Place::Memory, Place::Spilled, Place::Held, Place::Waiting];
    let deliveries = keys.iter().map(|(reactor, number, lane, at)| NewDelivery {
        reactor: ReactorId(1 + u32::from(*reactor)),
        origin: Origin { channel: ChannelId(1), offset: Offset(cursor), part: 0 },
        key: key(u64::from(*number)),
        window: Duration::from_millis(if number.is_multiple_of(5) { WINDOW / 10 } else { WINDOW }),
        lane: lane.map(|lane| key(u64::from(lane))),
        place: place[usize::from(*at)],
        redrive: false,
    });
    Some(Batch {
        channel: ChannelId(1),
        now: memo.now(),
        cursor: Some(Offset(next)),
        messages: Vec::new(),
        deliveries: deliveries.collect(),
        dead: if *dead { vec![letter(*unrouted, None, false)] } else { Vec::new() },
        forward: if *dead && *drop { vec![(Target::Outbox(OUTSIDE), message("dead"))] } else { Vec::new() },
        drop: if *drop { records.iter().map(|record| record.offset).take(1).collect() } else { Vec::new() },
        unrouted: u64::from(*unrouted),
    })
}

fn batch_received(memo: &Memo, step: &Step) -> Option<Batch> {
    let Step::Receive { keys, keep } = step else { return None };
    let mut batch = Batch { drop: vec![Offset(3)], ..Batch::new(OUTSIDE, memo.now()) };
    for (reactor, number, lane, redrive) in keys {
        let dead = usize::from(*keep && *redrive);
        batch.messages.push(Incoming { message: message(&format!("r{number}")), deliveries: 1, dead, keep: *keep });
        batch.deliveries.push(NewDelivery {
            reactor: ReactorId(1 + u32::from(*reactor)),
            origin: Origin { channel: OUTSIDE, offset: Offset(0), part: 0 },
            key: key(u64::from(*number)),
            window: Duration::from_millis(WINDOW),
            lane: lane.map(|lane| key(u64::from(lane))),
            place: Place::Memory,
            redrive: *redrive,
        });
        for _ in 0..dead {
            batch.dead.push(letter(*number, None, false));
            batch.forward.push((Target::Log(ChannelId(1)), message("dead")));
        }
        batch.unrouted += u64::from(*keep);
    }
    Some(batch)
}

/// Sends one store the request; returns its answer as text.
fn ask(store: &dyn StoreOwner, memo: &Memo, step: &Step, commits: &[Commit], read: Option<&Batch>) -> String {
    let dead = |number: u8| memo.letters.get(usize::from(number) % memo.letters.len().max(1)).copied().unwrap_or(99);
    let request = |request: Request| {
        wait(store.request(request)).unwrap();
        store.requests(0).unwrap()[0].0
    };
    match step {
        Step::Append(channel, count) => {
            let messages = (0..*count).map(|n| message(&format!("m{n}"))).collect();
            format!("{:?}", wait(store.append(ChannelId(1 + u32::from(*channel)), messages)))
        }
        Step::Admit { .. } => format!("{:?}", wait(store.enter(read.unwrap().clone()))),
        Step::Commit(_) => format!("{:?}", wait(store.commit(commits.into()))),
        Step::Hold(number) => format!("{:?}", wait(store.hold(vec![pick(memo, *number)]))),
        Step::Start(slot, number) => format!("{:?}", store.mark(&[((*slot).into(), Some((pick(memo, *number), 1)))])),
        Step::End(slot) => format!("{:?}", store.mark(&[((*slot).into(), None)])),
        Step::Redrive(number) => {
            format!("{:?}", wait(store.redrive(request(Request::Redrive(dead(*number))), dead(*number))))
        }
        Step::Drop(number) => {
            format!("{:?}", wait(store.drop_dead(request(Request::Drop(dead(*number))), dead(*number))))
        }
        Step::Maintain => {
            let retention = vec![(ChannelId(1), Duration::from_millis(200)), (OUTSIDE, Duration::from_millis(150))];
            let upkeep = Upkeep {
                now: memo.now(),
                ledger_window: Duration::from_millis(WINDOW),
                retention,
                away: AWAY,
                history: Duration::ZERO,
            };
            format!("{:?}", store.maintain(&upkeep))
        }
        Step::Receive { .. } => format!("{:?}", wait(store.enter(batch_received(memo, step).unwrap()))),
        Step::Away(number) => format!("{:?}", wait(store.away(vec![pick(memo, *number)]))),
        Step::Sent(number) => {
            let first = store.outbox(ChannelId(2), u64::from(*number % 4), 1, 1).unwrap();
            format!("{first:?} {:?}", wait(store.sent(first.iter().map(|record| record.id).collect())))
        }
        Step::Restart(leased) => {
            let leased: &[ChannelId] = if *leased { &[OUTSIDE] } else { &[] };
            format!("{:?}", wait(store.recover(leased)))
        }
    }
}

/// All readable content, as text.
fn picture(store: &dyn StoreOwner) -> String {
    let mut text = format!("{:?}\n{:?}\n", store.stats().unwrap(), store.requests(0).unwrap());
    text += &format!("{:?}\n", store.blocked().unwrap());
    for channel in [ChannelId(1), ChannelId(2), OUTSIDE] {
        let records = store.read_log(channel, Offset(1), 1_000, 1 << 30).unwrap();
        let records: Vec<_> = records.into_iter().map(|record| (record.offset, record.message)).collect();
        text += &format!("{:?} {records:?}\n", store.cursor(channel).unwrap());
        text += &format!("{:?} {:?}\n", store.outbox(channel, 0, 1_000, 1 << 30), store.outbox_size(channel));
    }
    for reactor in [ReactorId(1), ReactorId(2)] {
        text += &format!("{:#?}\n", store.spilled(reactor, DeliveryId(0), 1_000).unwrap());
        text += &format!("{:#?}\n", store.due(reactor, (HostTime(0), DeliveryId(0)), HostTime(START * 2), 1_000));
        text += &format!("{:?}\n", store.next_due(reactor, (HostTime(START), DeliveryId(3))));
        for name in 0..4 {
            text += &format!("{:?}\n", store.state(reactor, &format!("k{name}")).unwrap());
            text += &format!("{:?}\n", store.held(reactor, key(name), DeliveryId(0), 1_000).unwrap());
        }
    }
    text + &format!("{:#?} {:?}", store.dead_letters(&DeadFilter::default()).unwrap(), store.next_commit())
}

fn open(dir: &std::path::Path) -> SqliteOwner {
    let options = OpenOptions { segment_rows: 16, reserve: 4_096, ..OpenOptions::owner(4) };
    SqliteOwner::own(dir, &options).unwrap()
}

fn compare(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, mut model) = (open(dir.path()), MemoryStore::new(4));
    for name in ["one", "two"] {
        disk.channel_id(name).unwrap();
        disk.reactor_id(name).unwrap();
        model.channel_id(name).unwrap();
        model.reactor_id(name).unwrap();
    }
    assert_eq!((disk.channel_id("three").unwrap(), model.channel_id("three").unwrap()), (OUTSIDE, OUTSIDE));
    let mut memo = Memo::default();
    for step in steps {
        memo.now += 37;
        memo.letters = model.dead_letters(&DeadFilter::default()).unwrap().iter().map(|dead| dead.id).collect();
        if matches!(step, Step::Restart(_)) {
            drop(disk);
            disk = open(dir.path());
            model = model.reopen();
        }
        let commits: Vec<Commit> = match step {
            Step::Commit(changes) => changes.iter().map(|change| commit_of(&model, &mut memo, change)).collect(),
            _ => Vec::new(),
        };
        let read = batch_read(&model, &memo, step);
        let seen = ask(&disk, &memo, step, &commits, read.as_ref());
        prop_assert_eq!(&seen, &ask(&model, &memo, step, &commits, read.as_ref()), "{:?}", step);
        let active = model.stats().unwrap().reactors.iter().map(|r| r.delivered).sum::<u64>();
        memo.redriven += u64::from(matches!(step, Step::Redrive(_)) && seen.starts_with("Ok(Some"));
        memo.redriven +=
            seen.matches("redrive_of: Some").count() as u64 * u64::from(matches!(step, Step::Receive { .. }));
        memo.last = memo.last.max(active + memo.redriven);
        prop_assert_eq!(picture(&disk), picture(&model), "after {:?}", step);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_its_model(steps in prop::collection::vec(step(), 1..60)) {
        compare(&steps)?;
    }
}
