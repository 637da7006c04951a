//! From a run to its commit: what is resolved, and what is concluded from it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use reactor_core::clock::SystemClock;
use reactor_core::event::{ChannelId, Event, Fault, Identity, LaneKey, Offset, Origin, ReactorId};
use reactor_core::guest::{self, Call, Emit, Guest, Run, emitted_id};
use reactor_core::store::{Place, StoredDelivery, Target};
use reactor_core::world::{Live, NoHttp};
use reactor_signal::Signals;
use reactor_store::memory::MemoryStore;

use super::*;
use crate::delivery::{Running, Stage};
use crate::emit::Destination;
use crate::reactor::state::{ReactorState, Room};

const NOW: HostTime = HostTime(10_000);
const LANE: LaneKey = Identity([3; 16]);
const FOLLOWERS: [DeliveryId; 2] = [DeliveryId(8), DeliveryId(9)];
/// The channels of the configuration, in the order of their names.
const DEAD: Target = Target::Log(ChannelId(1));
const OUT: Target = Target::Log(ChannelId(3));

/// A guest with this digest.
struct Native(&'static str);

impl Guest for Native {
    fn run(&self, _: Call) -> BoxFuture<'static, Run> {
        Box::pin(async { Run::ended(Outcome::Done) })
    }

    fn digest(&self) -> &'static str {
        self.0
    }
}

/// A reactor that waits a second between its three attempts; with these lines in its table.
fn reactor(lines: &str) -> Reactor {
    let channels = ["dead", "in", "out"].map(|name| format!("[channels.{name}]\nkind = \"local\"\n")).concat();
    let retry = "retry = { max-attempts = 3, initial = \"1s\", jitter = \"none\" }";
    let text = format!(
        "{channels}[reactors.r]\nmodule = \"r.wasm\"\nfrom = [\"in\"]\non = [\"t\"]\nemit = {{ u = \"out\" }}\n{retry}\n{lines}\n"
    );
    let loaded =
        reactor_config::parse(&text, Path::new("reactors.toml"), &|_| None, reactor_channel_aws::testing::KINDS);
    let config = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false))).config;
    let destination = |(id, (name, channel))| (String::clone(name), Destination::of(channel, ChannelId(id)));
    let destinations = Arc::new((1..).zip(&config.channels).map(destination).collect());
    let state = ReactorState::new(Arc::new(MemoryStore::new(1)), ReactorId(1), Arc::new(Room::new(1 << 20, 1)));
    let own = (config.reactors["r"].clone(), config.runtime.hop_limit);
    let (clock, config) = (Arc::new(SystemClock::default()), config.reactors["r"].values());
    let world = Live { state: Arc::new(state), clock, config, http: Arc::new(NoHttp) };
    Reactor::new(ReactorId(1), own, Arc::new(Native("newer")), world, Signals::default().reactor("r"), destinations)
}

/// A delivery in its next attempt after `failed` failures; it was admitted a second ago.
fn delivery(failed: u32) -> Delivery {
    let record = |number| AttemptRecord {
        number,
        code: "retry".into(),
        error: "not yet".into(),
        at: Timestamp::UNIX_EPOCH,
        module: "older".into(),
    };
    let stored = StoredDelivery {
        id: DeliveryId(7),
        reactor: ReactorId(1),
        origin: Origin { channel: ChannelId(2), offset: Offset(5), part: 0 },
        key: Identity([2; 16]),
        lane: Some(LANE),
        place: Place::Memory,
        due: HostTime(0),
        since: HostTime(9_000),
        history: (1..=failed).map(record).collect(),
        redrive_of: None,
        leased: false,
    };
    let event = Event { event_type: "t".into(), ..Event::bare("e-1".into(), "in".into()) };
    let mut delivery = Delivery::restored(0, stored, event, Identity([1; 16]));
    let (after, number, module) = (Some(Version(40)), None, "native".into());
    delivery.stage = Stage::Running(Running { after, number, module, span: None, is_given_up: false });
    delivery
}

fn wall() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// What follows from a run. `original` is the message that can be read again; without one, it must not be read.
fn concluded(reactor: &Reactor, delivery: &Delivery, run: Run, original: Option<&str>) -> Conclusion {
    let (number, followers) = (Version(41), FOLLOWERS.to_vec());
    let at = Circumstances { number, now: NOW, wall: wall(), dice: 0, followers, keeps: true };
    let read = || Ok::<_, Infallible>(Message::from_body(original.expect("the message is not needed").to_owned()));
    let Ok(conclusion) = conclude(delivery, reactor, "in", reactor.resolve(delivery, run, wall()), at, read);
    conclusion
}

fn retry() -> Outcome {
    Outcome::Retry { reason: "not yet".into(), after: None }
}

fn set(key: &str) -> guest::Effect {
    guest::Effect::Set { key: key.into(), value: "1".into() }
}

fn emit(data: &str) -> guest::Effect {
    let message = Emit {
        event_type: "u".into(),
        version: 1,
        subject: None,
        partition_key: None,
        content_type: "application/json".into(),
        data: data.to_owned().into(),
    };
    guest::Effect::Put { target: "out".into(), message }
}

fn done(effects: Vec<guest::Effect>) -> Run {
    Run { reads: vec![("a".into(), Version(12))], effects, ..Run::ended(Outcome::Done) }
}

fn record_of(number: u32) -> AttemptRecord {
    let error = "not yet".into();
    AttemptRecord { number, code: "retry".into(), error, at: wall(), module: "native".into() }
}

/// The targets and the ids of the events that a commit sends.
fn sent(commit: &Commit) -> Vec<(Target, String)> {
    let id = |message: &Message| {
        let envelope: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        envelope["eventId"].as_str().unwrap().to_owned()
    };
    commit.effects.iter().filter_map(Effect::put).map(|(target, message)| (*target, id(message))).collect()
}

#[test]
fn a_run_that_is_done_commits_its_effects_in_their_order() {
    let delete = guest::Effect::Delete { key: "b".into() };
    let run = done(vec![set("a"), emit("1"), delete]);
    let (took, delivery) = (run.usage.wall, delivery(1));
    let Conclusion { commit, committing, lane } = concluded(&reactor(""), &delivery, run, None);
    let [Effect::Set { key, value }, Effect::Put { target: OUT, .. }, Effect::Delete { key: deleted }] =
        &commit.effects[..]
    else {
        panic!("{:?}", commit.effects)
    };
    assert_eq!((key.as_str(), &value[..], deleted.as_str()), ("a", &b"1"[..], "b"));
    let expected = Commit {
        number: Version(41),
        delivery: DeliveryId(7),
        reactor: ReactorId(1),
        attempt: 2,
        after: Some(Version(40)),
        reads: vec![("a".into(), Version(12))],
        effects: commit.effects.clone(),
        ending: Ending::Done,
        note: Some(AttemptNote {
            event: Arc::clone(&delivery.event),
            origin: delivery.origin,
            code: "done",
            at: wall(),
            took,
            module: "native".into(),
        }),
        now: NOW,
    };
    assert_eq!(commit, expected);
    assert_eq!(
        (lane, committing.report.verdict, committing.report.emitted),
        (schedule::Ending::Release, Verdict::Complete, 1)
    );
}

#[test]
fn ids_of_emitted_events_do_not_depend_on_the_writes_between_them() {
    let (reactor, delivery) = (reactor(""), delivery(0));
    let id = |index| emitted_id(delivery.identity, "r", index);
    let expected = [(OUT, id(0)), (OUT, id(1)), (OUT, id(2))];
    let delete = || guest::Effect::Delete { key: "b".into() };
    for effects in [
        vec![emit("1"), emit("2"), emit("3")],
        vec![set("a"), emit("1"), set("c"), delete(), emit("2"), emit("3")],
        vec![emit("1"), emit("2"), delete(), emit("3"), set("a")],
    ] {
        let commit = concluded(&reactor, &delivery, done(effects), None).commit;
        assert_eq!(sent(&commit), expected, "{:?}", commit.effects);
    }
}

#[test]
fn an_attempt_that_failed_has_no_effects_and_holds_those_behind_it() {
    let run = Run { outcome: retry(), ..done(vec![set("a"), emit("1")]) };
    let Conclusion { commit, committing, lane } = concluded(&reactor(""), &delivery(0), run, None);
    let due = NOW.after(Duration::from_secs(1));
    assert_eq!(commit.ending, Ending::Wait { due, record: record_of(1), hold: FOLLOWERS.to_vec() });
    assert_eq!((commit.effects.len(), commit.attempt, commit.reads.len()), (0, 1, 1));
    assert_eq!((lane, committing.report.emitted), (schedule::Ending::Wait, 0));
}

#[test]
fn an_attempt_that_the_host_did_not_live_to_see_end_is_one_of_those_that_failed() {
    let run = || Run::ended(judge::interrupted());
    let waits = concluded(&reactor(""), &delivery(1), run(), None);
    assert!(matches!(&waits.commit.ending, Ending::Wait { record, .. } if record.number == 2 && record.code == "host"));
    assert_eq!(waits.lane, schedule::Ending::Wait);
    let dead = concluded(&reactor(""), &delivery(2), run(), Some("{}"));
    assert!(matches!(&dead.commit.ending, Ending::Dead { letter, .. } if letter.reason == "host"));
    assert_eq!(dead.lane, schedule::Ending::Release);
}

#[test]
fn a_dead_letter_has_all_that_is_known_and_holds_up_nobody() {
    let delivery = delivery(2);
    let run = Run { outcome: retry(), ..done(vec![set("a"), emit("1")]) };
    let Conclusion { commit, committing, lane } = concluded(&reactor(""), &delivery, run, Some("original"));
    let letter = DeadLetter {
        reactor: Some(ReactorId(1)),
        origin: delivery.origin,
        message: Message::from_body("original"),
        event_id: Some("e-1".into()),
        event_type: Some("t".into()),
        correlation_id: Some("e-1".into()),
        reason: "retries-exhausted".into(),
        detail: "not yet".into(),
        history: [delivery.history.clone(), vec![record_of(3)]].concat(),
        parks: None,
        key: delivery.key,
        at: wall(),
    };
    assert_eq!(commit.ending, Ending::Dead { letter, hold: Vec::new() });
    assert_eq!((commit.effects.len(), lane, committing.report.emitted), (0, schedule::Ending::Release, 0));
}

#[test]
fn a_dead_letter_that_parks_its_key_holds_those_behind_it() {
    let reject = Run::ended(Outcome::Reject { reason: "never".into() });
    let policy = reactor("order-by = \"/data/a\"\ndead-letter = { on-exhausted = \"park-key\" }");
    let Conclusion { commit, lane, .. } = concluded(&policy, &delivery(0), reject, Some("{}"));
    let Ending::Dead { letter, hold } = commit.ending else { panic!("{:?}", commit.ending) };
    assert_eq!((letter.parks, hold, lane), (Some(LANE), FOLLOWERS.to_vec(), schedule::Ending::Park));
    // Without a key there is nothing to park.
    let reject = Run::ended(Outcome::Reject { reason: "never".into() });
    let mut keyless = delivery(0);
    keyless.ticket.lane = None;
    let Conclusion { commit, lane, .. } = concluded(&policy, &keyless, reject, Some("{}"));
    assert!(matches!(&commit.ending, Ending::Dead { letter, hold } if letter.parks.is_none() && hold.is_empty()));
    assert_eq!(lane, schedule::Ending::Release);
}

#[test]
fn the_copy_of_a_dead_letter_is_the_only_effect_and_is_not_emitted() {
    let policy = reactor("dead-letter = { channel = \"dead\" }");
    let run = Run { outcome: Outcome::Reject { reason: "never".into() }, ..done(vec![set("a"), emit("1")]) };
    let Conclusion { commit, committing, .. } = concluded(&policy, &delivery(0), run, Some("{}"));
    assert_eq!(sent(&commit), [(DEAD, emitted_id(Identity([1; 16]), "r", u32::MAX))]);
    assert_eq!((commit.effects.len(), commit.emitted(), committing.report.emitted), (1, 0, 0));
}

#[test]
fn a_run_whose_event_cannot_be_sent_has_failed() {
    let no_json = emit("{");
    let Conclusion { commit, committing, .. } =
        concluded(&reactor(""), &delivery(0), done(vec![set("a"), emit("1"), no_json]), Some("{}"));
    assert!(
        matches!(committing.report.outcome, Outcome::Fault { fault: Fault::EmitInvalid, .. }),
        "{:?}",
        committing.report.outcome
    );
    assert!(matches!(&commit.ending, Ending::Dead { letter, .. } if letter.reason == "emit-invalid"), "{commit:?}");
    assert!(commit.effects.is_empty());
}

#[test]
fn a_long_error_is_cut_and_says_so() {
    let reason = "ä".repeat(MAX_ERROR);
    let run = Run::ended(Outcome::Retry { reason: reason.clone(), after: None });
    let commit = concluded(&reactor(""), &delivery(0), run, None).commit;
    let Ending::Wait { record, .. } = commit.ending else { panic!("{:?}", commit.ending) };
    assert_eq!(record.error, format!("{}... ({} bytes in all)", &reason[..MAX_ERROR], 2 * MAX_ERROR));
}
