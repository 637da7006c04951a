//! `reactor invoke`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use reactor_config::model::{ChannelConfig, ReactorConfig};
use reactor_core::clock::SystemClock;
use reactor_core::event::{Event, Message, Outcome, ReactorId, Version};
use reactor_core::guest::{Call, Effect, Emit, Run, emitted_id};
use reactor_core::plain::{json, line};
use reactor_core::store::StoreClient;
use reactor_core::world::{HttpClient, Live, NoHttp, StateView, World};
use reactor_host::intake::reading::Reading;
use reactor_host::judge::describe;
use reactor_sandbox::http_client::Client;

use super::exit::{self, Exit};
use super::input::{Cut, Pieces};
use super::modules::Modules;
use super::project::Project;
use super::publish::attribute;
use super::{Global, hidden, print_as_is, print_block, print_json};

/// Run a reactor once on an event from a file, show what it would do, and apply nothing
///
/// The run sees the reactor's state as it is in the store. What it writes and emits is printed and then discarded. Log lines
/// go to stderr. HTTP requests are denied unless --http is given. The file holds one message, as for `reactor publish`. If the
/// message holds several events, such as an S3 notification, each of them runs. Exit code 1: a run did not succeed, or the file does not
/// hold exactly one message that can be decoded.
///
/// Example: reactor invoke inventory examples/orders/order.json
#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The reactor to run
    reactor: String,
    /// The file with the message; - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// How the input is split into messages; there must be exactly one
    #[arg(long, value_enum, default_value_t = Cut::Auto)]
    input: Cut,
    /// The channel that the message seems to come from; by default the first one that the reactor reads
    #[arg(long)]
    channel: Option<String>,
    /// A message attribute
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    attribute: Vec<(String, String)>,
    /// A state value, which replaces the one in the store
    #[arg(long, value_name = "KEY=VALUE", value_parser = attribute)]
    state: Vec<(String, String)>,
    /// Do not read the store; the state is only what --state gives
    #[arg(long)]
    fresh: bool,
    /// Send the HTTP requests of the run, which are denied otherwise; their effects cannot be undone
    #[arg(long)]
    http: bool,
    /// The number of the attempt that the module is told
    #[arg(long, value_name = "N", default_value_t = 1)]
    attempt: u32,
}

impl Invoke {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let name = project.reactor_names(std::slice::from_ref(&self.reactor))?.remove(0);
        let reactor = &project.config.reactors[&name];
        let channel = project.channel(self.channel.as_ref().unwrap_or(&reactor.from[0]))?;
        let message = self.message(channel)?;
        let reading = Reading::new(&project.config, channel, &[(ReactorId(0), reactor)]);
        let contents = reading.decode(&message).map_err(|error| {
            let (file, code) = (self.file.display(), error.reason.code());
            Exit::new(
                exit::FAILURE,
                anyhow!("{file}: {code}: {error}; if it were published, it would become a dead letter"),
            )
        })?;
        if let Some(error) = &contents.broken {
            let code = error.reason.code();
            say!("warning: if it were published, a part of it would become a dead letter: {code}: {error}");
        }
        let modules = Modules::load_some(&project, global, std::slice::from_ref(&name))?;
        let guest = modules.guests().remove(&name).ok_or_else(|| anyhow!("reactor `{name}` has no module"))?;
        let world = self.rehearsal(reactor, self.view(&project, &name)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut good = contents.broken.is_none();
        for decoded in contents.events {
            let event = Arc::new(decoded.event);
            warn_unless_wanted(&reading, channel, reactor, &event);
            let run = runtime.block_on(guest.run(Call {
                event: Arc::clone(&event),
                identity: decoded.identity,
                attempt: self.attempt,
                max_attempts: reactor.retry.max_attempts,
                world: Arc::clone(&world),
            }));
            good &= run.outcome == Outcome::Done;
            let report = report(&name, &event, &run, |index| emitted_id(decoded.identity, &name, index));
            if global.json {
                print_json(&report);
            } else {
                print(&report);
            }
        }
        if good { Ok(()) } else { Err(Exit::printed(exit::FAILURE)) }
    }

    /// The one message of the file.
    fn message(&self, channel: &ChannelConfig) -> Result<Message, Exit> {
        let file = self.file.display();
        let no = |why: String| Exit::new(exit::FAILURE, anyhow!("{file}: {why}"));
        let mut pieces = Pieces::open(&self.file, self.input, channel.max_event)?;
        let piece = pieces.next()?.ok_or_else(|| no("it is empty; `invoke` needs one message".to_owned()))?;
        if let Some(other) = pieces.next()? {
            let (one, other, channel) = (piece.place(), other.place(), &channel.name);
            let publish = format!("`reactor publish {channel} {file}` accepts all of them");
            return Err(no(format!("{one} and {other} each hold an event, but `invoke` takes one event; {publish}")));
        }
        let mut message = Message::from_body(piece.body);
        message.attributes = self.attribute.iter().cloned().map(Into::into).collect();
        message.system.message_id = Some(format!("{}/invoke", self.reactor));
        let (size, limit) = (message.size().max(piece.size), channel.max_event);
        if size > limit {
            return Err(no(format!("it has {size} bytes, and channel `{}` accepts at most {limit}", channel.name)));
        }
        Ok(message)
    }

    /// A world with the current state, in which requests are sent only with `--http`.
    fn rehearsal(&self, reactor: &ReactorConfig, state: View) -> Arc<dyn World> {
        let http: Arc<dyn HttpClient> = if self.http { Arc::new(Client::default()) } else { Arc::new(NoHttp) };
        Arc::new(Live { state, clock: Arc::new(SystemClock::default()), config: reactor.values(), http })
    }

    /// The state that the run sees. A missing store is not created.
    fn view(&self, project: &Project, name: &str) -> Result<View, Exit> {
        let given = self.state.iter().map(|(key, value)| (key.clone(), Bytes::from(value.clone()))).collect();
        if self.fresh {
            return Ok(View { store: None, given });
        }
        let store = match project.look() {
            Err(exit) if exit.is_missing_store() => return Ok(View { store: None, given }),
            store => store?,
        };
        let id = store.reactor_names()?.into_iter().find(|(_, known)| known == name).map(|(id, _)| id);
        Ok(View { store: id.map(|id| (store, id)), given })
    }
}

/// The state in the store, overridden by the given values.
struct View {
    store: Option<(Arc<dyn StoreClient>, ReactorId)>,
    given: BTreeMap<String, Bytes>,
}

impl StateView for View {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        if let Some(value) = self.given.get(key) {
            return Ok(Some((value.clone(), Version(1))));
        }
        let Some((store, id)) = &self.store else { return Ok(None) };
        Ok(store.state(*id, key)?)
    }
}

fn warn_unless_wanted(reading: &Reading, channel: &ChannelConfig, reactor: &ReactorConfig, event: &Event) {
    let mut found = Vec::new();
    reading.matching(event, &mut found);
    if found.is_empty() {
        let (name, event_type, channel) = (&reactor.name, &event.event_type, &channel.name);
        say!(
            "warning: `{name}` would not get this event: its `from`, `on` or `when` do not match \
             `{event_type}` version {} from `{channel}`",
            event.version
        );
    }
}

/// The effects of a run, as one object.
fn report(reactor: &str, event: &Event, run: &Run, id: impl Fn(u32) -> String) -> Value {
    let (code, error) = describe(&run.outcome);
    let writes = run.effects.iter().filter_map(Effect::write);
    let writes: Vec<_> =
        writes.map(|(key, value)| json!({ "key": key, "value": value.map(|value| shown(value)) })).collect();
    let emit = |(index, (channel, emit)): (u32, (&String, &Emit))| {
        json!({
            "channel": channel,
            "eventId": id(index),
            "eventType": emit.event_type,
            "eventVersion": emit.version,
            "subject": emit.subject,
            "partitionKey": emit.partition_key,
            "data": shown(&emit.data),
        })
    };
    let mut report = json!({
        "reactor": reactor,
        "event": event.id,
        "eventType": hidden::name(&event.event_type),
        "outcome": code,
        "reads": run.reads.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        "writes": writes,
        "emits": (0..).zip(run.effects.iter().filter_map(Effect::put)).map(emit).collect::<Vec<_>>(),
        "ms": run.usage.wall.as_secs_f64() * 1_000.0,
        "memory": run.usage.memory,
        "hostCalls": run.usage.host_calls,
    });
    if !error.is_empty() {
        report["error"] = hidden::hide(error).into();
    }
    if let Outcome::Retry { after: Some(after), .. } = &run.outcome {
        report["retryAfterMs"] = json!(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }
    report
}

/// Bytes as JSON if they are JSON, otherwise as text.
fn shown(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into())
}

fn print(report: &Value) {
    let text = |key: &str| report[key].as_str().unwrap_or_default();
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    out!("{} {} {}: {}", text("reactor"), text("eventType"), text("event"), text("outcome"));
    if report["error"].is_string() {
        print_block(text("error"));
    }
    let reads: Vec<_> = list("reads").iter().filter_map(|key| key.as_str().map(str::to_owned)).collect();
    if !reads.is_empty() {
        out!("  reads   {}", reads.join(", "));
    }
    for write in list("writes") {
        let key = line(write["key"].as_str().unwrap_or_default());
        match &write["value"] {
            Value::Null => print_as_is(&format!("  deletes {key}")),
            value => print_as_is(&format!("  writes  {key} = {}", json(&value.to_string()))),
        }
    }
    for emit in list("emits") {
        let part = |key: &str| line(emit[key].as_str().unwrap_or_default());
        let (kind, channel) = (part("eventType"), part("channel"));
        print_as_is(&format!("  emits   {kind} to {channel}: {}", json(&emit["data"].to_string())));
    }
    let (ms, memory, calls) = (report["ms"].as_f64().unwrap_or_default(), &report["memory"], &report["hostCalls"]);
    out!("  took    {ms:.1} ms, {memory} bytes of memory, {calls} host calls; nothing was applied");
}
