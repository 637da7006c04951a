//! A kind of channel that the program does not have, from the file to the host: a new kind needs only its folder and an
//! entry in a list.

mod shelf;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use reactor_channel::inspect::Level;
use reactor_channel::kind::{self, Connections, Kind, Opened};
use reactor_channel_aws::testing::KINDS;
use reactor_config::model::{Config, ReactorConfig, Settle};
use reactor_config::schema::schema;
use reactor_config::{Loaded, Problems};
use reactor_core::channel::Remote;
use reactor_core::event::{Message, Outcome};
use reactor_core::guest::{Effect, Emit, Run};
use reactor_host::host::Host;
use reactor_store::memory::MemoryStore;

use shelf::Shelves;
use support::clock::DrivenClock;
use support::guest::{Behaviour, guest};
use support::rig::{Rig, Time};

const FILE: &str = r#"
[channels.in]
kind = "shelf"
shelf = "incoming"
[channels.out]
kind = "shelf"
shelf = "outgoing"
[reactors.r]
module = "r.wasm"
from = ["in"]
on = ["t"]
emit = { made = "out" }
dedup = { window = "20d" }
"#;

/// The kinds of the program, and one more.
fn kinds() -> Vec<Kind> {
    [KINDS, &[shelf::KIND]].concat()
}

fn read(text: &str) -> Result<Loaded, Problems> {
    reactor_config::parse(text, Path::new("reactors.toml"), &|_| None, &kinds())
}

fn valid() -> Config {
    let loaded = read(FILE).map_err(|problems| problems.render(false)).expect("a valid file");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
    loaded.config
}

/// The errors of the file with one line changed.
fn told(line: &str, other: &str) -> String {
    assert!(FILE.contains(line), "{line}");
    match read(&FILE.replacen(line, other, 1)) {
        Ok(loaded) => loaded.warnings.render(false),
        Err(problems) => problems.render(false),
    }
}

fn readers<'c>(config: &'c Config, channel: &str) -> Vec<&'c ReactorConfig> {
    config.reactors.values().filter(|reactor| reactor.from.iter().any(|from| from == channel)).collect()
}

async fn remotes(config: &Config, with: &Connections) -> BTreeMap<String, Remote> {
    let mut remotes = BTreeMap::new();
    for (name, channel) in &config.channels {
        let opened = Opened { channel, readers: &readers(config, name) };
        remotes.insert(name.clone(), kind::open(&kinds(), with, opened).await.expect("a connection"));
    }
    remotes
}

/// Emits what it gets.
fn echo() -> Behaviour {
    Arc::new(|call| {
        let emit = Emit {
            event_type: "made".into(),
            version: 1,
            subject: None,
            partition_key: None,
            content_type: "application/json".into(),
            data: call.event.data.clone(),
        };
        let effects = vec![Effect::Put { target: "out".into(), message: emit }];
        Box::pin(async { Run { effects, ..Run::ended(Outcome::Done) } })
    })
}

async fn rig(with: &Connections, clock: DrivenClock) -> Rig {
    let rig = Rig::on(Arc::new(MemoryStore::new(64)), Time::driven(clock));
    Rig { remotes: remotes(&valid(), with).await, kinds: kinds(), ..rig }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_received_from_and_sent_to() {
    let (with, clock) = (Connections::default(), DrivenClock::default());
    let shelves = Shelves::by(&clock, &with).await;
    let (incoming, outgoing) = (shelves.shelf("incoming"), shelves.shelf("outgoing"));
    for id in 0..20 {
        let event = json!({ "eventId": format!("e{id}"), "eventType": "t", "source": "s", "data": { "id": id } });
        incoming.put(Message::from_body(event.to_string()));
    }
    let rig = rig(&with, clock).await;
    rig.run(FILE, vec![("r", guest("echo", echo()))]).await;
    let counts = rig.counts("r");
    assert_eq!((counts.done, counts.dead, counts.active), (20, 0, 0));
    assert_eq!((incoming.waiting().len(), incoming.taken()), (0, 0), "all are taken and acknowledged");
    let made: Vec<serde_json::Value> =
        outgoing.waiting().iter().map(|message| serde_json::from_slice(&message.body).expect("JSON")).collect();
    assert!(made.iter().all(|event| event["eventType"] == "made"), "{made:?}");
    let mut ids: Vec<_> = made.iter().filter_map(|event| event["data"]["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    assert_eq!((incoming.largest_call(), outgoing.largest_call()), (3, 3), "what the kind allows, and no more");
}

#[tokio::test]
async fn without_leases_nothing_is_settled_only_when_it_has_ended() {
    let rig = rig(&Connections::default(), DrivenClock::default()).await;
    let mut deployment = rig.deployment(FILE, vec![("r", guest("echo", echo()))]);
    let config = Arc::get_mut(&mut deployment.config).expect("not shared");
    for channel in config.channels.values_mut() {
        channel.outside.as_mut().expect("outside").settle = Settle::Completed;
    }
    let error = Host::new(rig.parts(*deployment)).await.err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains("channel `in` has no leases")), "{error:?}");
}

#[tokio::test]
async fn it_is_inspected_and_looked_into() {
    let (config, with) = (valid(), Connections::default());
    let (input, output) = (&config.channels["in"], &config.channels["out"]);
    Shelves::of(&with).await.shelf("incoming").put(Message::from_body("{}"));
    let source = kind::source(&kinds(), &with, input).await.expect("a source");
    assert_eq!(source.depth().await.expect("a depth").total(), 1);
    let reads = readers(&config, "in");
    let found = kind::inspect(&kinds(), &with, Opened { channel: input, readers: &reads }, false).await;
    assert_eq!((found[0].level, found[0].what.as_str()), (Level::Ok, "shelf `incoming` is there, and is read"));
    let found = kind::inspect(&kinds(), &with, Opened { channel: output, readers: &[] }, true).await;
    assert_eq!(
        (found[0].level, found[0].what.as_str()),
        (Level::Warning, "shelf `outgoing` is not there, and is written")
    );
    // A list without the kind cannot open its channels.
    assert!(kind::open(KINDS, &with, Opened { channel: input, readers: &[] }).await.is_none());
}

#[test]
fn the_file_is_checked_as_that_of_any_kind() {
    assert!(told("shelf = \"incoming\"\n", "").contains("add a line such as: shelf = \"top\""));
    assert!(told("shelf = \"incoming\"", "shelf = \"\"").contains("a shelf has a name"));
    assert!(told("shelf = \"incoming\"", "shelv = \"incoming\"").contains("did you mean `shelf`?"));
    assert!(
        told("kind = \"shelf\"", "kind = \"shelv\"").contains("it is one of \"local\", \"sqs\", \"sns\", \"shelf\"")
    );
    let misplaced = told("shelf = \"incoming\"", "shelf = \"incoming\"\nqueue = \"q\"");
    assert!(misplaced.contains("it belongs in a channel of kind \"sqs\" or \"sns\""), "{misplaced}");
    let misplaced = told("kind = \"shelf\"", "kind = \"local\"");
    assert!(misplaced.contains("it belongs in a channel of kind \"shelf\""), "{misplaced}");
    let short = told("window = \"20d\"", "window = \"19d\"");
    assert!(short.contains("the shelf can deliver it again after 20 days"), "{short}");
    assert!(short.contains("write \"20d\"") && !short.contains("or remove the line"), "{short}");
    let problems = reactor_config::parse(FILE, Path::new("reactors.toml"), &|_| None, KINDS).expect_err("no such kind");
    assert!(problems.render(false).contains("it is one of \"local\", \"sqs\", \"sns\""));
}

#[test]
fn the_schema_has_its_keys() {
    let kinds = kinds();
    let validator = jsonschema::validator_for(&schema(&kinds)).expect("a valid schema");
    let channel = |channel: serde_json::Value| validator.is_valid(&json!({ "channels": { "c": channel } }));
    assert!(channel(json!({ "kind": "shelf", "shelf": "top" })));
    assert!(!channel(json!({ "kind": "shelf" })), "the shelf is required");
    assert!(!channel(json!({ "kind": "shelf", "shelf": "top", "queue": "q" })), "a key of others");
    assert!(!channel(json!({ "kind": "sqs", "queue": "q", "shelf": "top" })), "a key of its own");
    assert!(reactor_config::known_keys(&kinds).any(|key| key == ("channels", "shelf")));
    assert!(!reactor_config::known_keys(KINDS).any(|key| key == ("channels", "shelf")));
}
