//! A run's world is all that it can learn from its host: replaying the world's answers repeats the run, without access
//! to the host's state, clock, dice, configuration and network.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "these are tests, with a server of their own")]

#[path = "world/guests.rs"]
mod guests;
#[path = "world/server.rs"]
mod server;
#[path = "world/tape.rs"]
mod tape;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use reactor_core::event::{Event, Fault, Identity, Outcome};
use reactor_core::guest::{Call, Effect, Run};
use reactor_core::world::{HttpError, World};
use reactor_sandbox::LoadedModule;

use guests::{Guests, live};
use server::Server;
use tape::{Answer, Played, Question, Recorded, Tape};

fn event(kind: &str, data: &Value) -> Event {
    Event {
        id: format!("e-{kind}"),
        event_type: kind.to_owned(),
        version: 1,
        source: "test".to_owned(),
        time: None,
        subject: None,
        correlation_id: "flow".to_owned(),
        causation_id: None,
        partition_key: None,
        content_type: "application/json".to_owned(),
        hop: 0,
        trace_parent: None,
        attributes: Vec::new(),
        data: Bytes::from(data.to_string()),
    }
}

async fn run(module: &LoadedModule, event: &Event, world: Arc<dyn World>) -> Run {
    let call = Call { event: Arc::new(event.clone()), identity: Identity([7; 16]), attempt: 1, max_attempts: 3, world };
    let run = module.guest.run(call).await;
    // Its usage is not part of the result, and varies.
    Run { usage: Default::default(), ..run }
}

/// Runs a module in a live world, then the same module, freshly loaded, on that world's recorded answers; both runs
/// must be equal and ask the same questions.
async fn twice(name: &str, event: &Event, http: &str) -> (Run, Tape) {
    let recorded = Arc::new(Recorded::new(Arc::new(live())));
    let first = run(&Guests::new().load(name, http), event, recorded.clone()).await;
    let tape = recorded.tape();
    let played = Arc::new(Played::new(tape.clone()));
    let again = run(&Guests::new().load(name, http), event, played.clone()).await;
    assert_eq!(played.unlike(), None, "it asked something else");
    assert_eq!(again, first);
    assert_eq!(played.left(), 0, "it asked less");
    (first, tape)
}

/// The value of the first key that a run set.
fn value(run: &Run) -> &[u8] {
    run.effects.iter().find_map(|effect| effect.write()?.1).unwrap()
}

/// The number of events that a run emitted.
fn puts(run: &Run) -> usize {
    run.effects.iter().filter(|effect| effect.put().is_some()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_is_not_there_any_more_is_read_again() {
    let (run, tape) = twice("guest-tally", &event("added", &json!({ "account": "a", "amount": 5 })), "").await;
    assert_eq!(run.outcome, Outcome::Done);
    assert_eq!(run.effects, [Effect::Set { key: "a".to_owned(), value: Bytes::from_static(b"105") }]);
    assert_eq!(tape.questions(), [Question::State("a".to_owned())]);
    let (run, tape) = twice("guest-seen", &event("seen", &json!({ "n": 1 })), "").await;
    assert_eq!((run.outcome, run.effects.len()), (Outcome::Done, 2));
    assert_eq!(tape.questions(), [Question::State("count".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_end_is_the_same_again() {
    for (mood, key) in [("ok", None), ("retry", None), ("reject", Some("k")), ("panic", Some("k")), ("emit", None)] {
        let (run, tape) = twice("guest-moody", &event("mood", &json!({ "do": mood, "key": key })), "").await;
        match mood {
            "ok" => assert_eq!((run.outcome.clone(), puts(&run)), (Outcome::Done, 0)),
            "emit" => assert_eq!((run.outcome.clone(), puts(&run)), (Outcome::Done, 1)),
            "retry" => assert!(matches!(run.outcome, Outcome::Retry { .. }), "{run:?}"),
            "reject" => assert!(matches!(run.outcome, Outcome::Reject { .. }), "{run:?}"),
            _ => assert!(matches!(run.outcome, Outcome::Fault { fault: Fault::Trap, .. }), "{run:?}"),
        }
        let keys = ["runs"].into_iter().chain(key).map(|key| Question::State(key.to_owned()));
        assert_eq!(tape.questions(), keys.collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_under_wasi_asks_its_world_and_nothing_else() {
    let (run, tape) = twice("guest-wasi", &event("look", &json!({})), "").await;
    assert_eq!(run.outcome, Outcome::Done);
    let seen = value(&run);
    let env = json!([["greeting", "hello"], ["number", "7"]]);
    // The SDK's clock and WASI's are the same one, far from this machine's: see `guests::live`.
    let expected = json!([true, 2, env, ["guest-wasi"], true, 0, true]);
    assert_eq!(serde_json::from_slice::<Value>(seen).unwrap(), expected);
    let asked = tape.questions();
    let count = |is: fn(&Question) -> bool| asked.iter().filter(|question| is(question)).count();
    assert_eq!(count(|question| *question == Question::Wall), 2, "{asked:?}");
    assert!(count(|question| *question == Question::Elapsed) >= 2, "{asked:?}");
    assert!(count(|question| *question == Question::Random) >= 1, "{asked:?}");
    assert!(count(|question| *question == Question::Environment) >= 1, "{asked:?}");
    assert_eq!(count(|question| *question == Question::Sleep(Duration::from_millis(20))), 1, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_again_after_the_server_is_gone() {
    let server = Server::start();
    let origin = server.origin();
    let calls = json!([
        { "url": format!("{origin}/pieces") },
        { "method": "POST", "url": format!("{origin}/echo"), "bytes": 5_000 },
        { "url": format!("{origin}/broken") },
        { "url": "https://denied.example/" },
    ]);
    let event = event("call", &json!({ "calls": calls }));
    let recorded = Arc::new(Recorded::new(Arc::new(live())));
    let first = run(&Guests::new().load("guest-caller", &origin), &event, recorded.clone()).await;
    assert_eq!(first.outcome, Outcome::Done);
    let came: Vec<String> = serde_json::from_slice(value(&first)).unwrap();
    assert_eq!(came[..2], ["200 one, two", "201 5000"]);
    assert!(came[2].starts_with("failed:") && came[3].starts_with("denied:"), "{came:?}");
    assert_eq!(server.answered(), 3);

    server.stop();
    let tape = recorded.tape();
    let exchanges = tape.exchanges();
    assert_eq!(exchanges.len(), 3, "what is denied is not asked");
    assert_eq!(exchanges[0].pieces, [Ok(Bytes::from_static(b"one, ")), Ok(Bytes::from_static(b"two"))]);
    assert_eq!((exchanges[1].sent.len(), exchanges[1].pieces.len()), (5_000, 1));
    assert_eq!(exchanges[2].pieces.last(), Some(&Err(HttpError::Broken)));
    let key = |at: usize| exchanges[at].head.headers.get("idempotency-key");
    assert!(key(0).is_none() && key(1).is_some(), "what the host adds is part of the question");

    let played = Arc::new(Played::new(tape.clone()));
    assert_eq!(run(&Guests::new().load("guest-caller", &origin), &event, played.clone()).await, first);
    assert_eq!((played.unlike(), played.left()), (None, 0));

    // In contrast, a live world shows that the server is out of reach.
    let gone = run(&Guests::new().load("guest-caller", &origin), &event, Arc::new(live())).await;
    assert_ne!(gone, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_asks_something_else_is_found_out() {
    let (_, tape) = twice("guest-tally", &event("added", &json!({ "account": "a", "amount": 5 })), "").await;
    let played = Arc::new(Played::new(tape));
    let other = event("added", &json!({ "account": "b", "amount": 5 }));
    let run = run(&Guests::new().load("guest-tally", ""), &other, played.clone()).await;
    assert!(matches!(run.outcome, Outcome::Fault { fault: Fault::Host, .. }), "{run:?}");
    assert_eq!(played.unlike(), Some((Some(Question::State("a".to_owned())), Question::State("b".to_owned()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_fails_again() {
    let event = event("added", &json!({ "account": guests::BROKEN, "amount": 5 }));
    let (run, tape) = twice("guest-tally", &event, "").await;
    let Outcome::Fault { fault: Fault::Host, detail } = &run.outcome else { panic!("{run:?}") };
    assert!(detail.contains("disk on fire"), "{detail}");
    assert!(matches!(&tape.entries()[0].1, Answer::State(Err(_))));
}
