//! The tally guest and its events, for the benchmarks.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reactor_cli::bench::meter::Meter;
use reactor_cli::bench::rig::Rig;
use reactor_cli::kinds::KINDS;
use reactor_config::model::Config;
use reactor_core::event::{ChannelId, Message};
use reactor_core::store::StoreClient;
use reactor_sandbox::{Compiler, Engine, EngineOptions, GuestSpec, LoadedModule};

/// The number of accounts in the events.
pub(crate) const ACCOUNTS: usize = 10_000;

/// One reactor that wants every event.
pub(crate) const TALLY: &str = r#"
[channels.in]
kind = "local"
[reactors.tally]
module = "tally.wasm"
from = ["in"]
on = ["added"]
allow = { state = true }
"#;

/// The guest's module, as built.
pub(crate) fn tally() -> Vec<u8> {
    let module =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/wasm32-unknown-unknown/guest/guest_tally.wasm");
    let module = std::env::var_os("TALLY_WASM").map_or(module, Into::into);
    std::fs::read(&module).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask bench`, which builds the guests", module.display())
    })
}

/// A configuration, with the tally guest for each of its reactors.
pub(crate) fn load(text: &str) -> (Config, BTreeMap<String, LoadedModule>) {
    let dir = tempfile::TempDir::new().expect("a temporary folder").keep();
    let loaded =
        reactor_config::parse(text, &dir.join("reactors.toml"), &|_| None, KINDS).expect("a valid configuration");
    let config = loaded.config;
    let path = dir.join("tally.wasm");
    std::fs::write(&path, tally()).expect("the module");
    let options = EngineOptions {
        cache_dir: dir.join("cache"),
        instances: config.runtime.concurrency,
        max_memory: 64 << 20,
        compiler: Compiler::here(),
    };
    let engine = Engine::new(options).expect("an engine");
    let load = |(name, reactor)| {
        let spec = GuestSpec::of(&config, reactor);
        (String::clone(name), engine.load(&path, spec).expect("a module"))
    };
    let modules = config.reactors.iter().map(load).collect();
    std::fs::remove_dir_all(&dir).expect("nobody needs it any more");
    (config, modules)
}

/// A host with such a configuration.
pub(crate) fn rig(text: &str) -> Rig {
    let (config, modules) = load(text);
    let guests = modules.into_iter().map(|(name, module)| (name, module.guest)).collect();
    Rig::new(config, &std::env::temp_dir(), guests).expect("a store")
}

/// A reactor's table.
pub(crate) fn reactor(name: &str, on: &str, extra: &str) -> String {
    format!(
        "[reactors.{name}]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\non = [\"{on}\"]\nallow = {{ state = true }}\n{extra}\n"
    )
}

/// An event of 529 bytes.
pub(crate) fn event(id: usize, account: usize) -> Message {
    let pad = "x".repeat(330);
    Message::from_body(format!(
        r#"{{"eventId":"event-{id:09}","eventType":"added","eventVersion":1,"timestamp":"2026-03-02T09:00:00Z","source":"bench","correlationId":"flow-{id:09}","data":{{"account":"a{account:05}","amount":{id},"pad":"{pad}"}}}}"#
    ))
}

/// The cost of events, from publishing to their end.
pub(crate) struct Flood {
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
    pub(crate) done: u64,
}

/// Publishes events while a host runs, and measures until it has finished them.
pub(crate) fn flood(rig: Rig, events: impl ExactSizeIterator<Item = Message>) -> Flood {
    let store = Arc::clone(rig.store());
    let channel = store.channel_id("in").expect("a channel");
    let before = done(&*store);
    let (meter, start) = (Meter::now(), Instant::now());
    let mut running = rig.run().expect("a host");
    append(&*store, channel, events);
    running.until_idle().expect("the host ends");
    Flood { took: start.elapsed(), cpu: meter.used().cpu_in_all(), done: done(&*store) - before }
}

fn done(store: &dyn StoreClient) -> u64 {
    store.stats().expect("counts").reactors.iter().map(|reactor| reactor.done).sum()
}

/// Appends in batches.
pub(crate) fn append(store: &dyn StoreClient, channel: ChannelId, messages: impl Iterator<Item = Message>) {
    let mut messages = messages.peekable();
    while messages.peek().is_some() {
        let batch = messages.by_ref().take(1_024).collect();
        wait(store.append(channel, batch)).expect("accepted");
    }
}

/// Waits for a store's answer, outside any runtime.
pub(crate) fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer)
}

/// The value after an option, or the default.
pub(crate) fn number(name: &str, usual: usize) -> usize {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == name);
    at.map_or(usual, |at| args.get(at + 1).and_then(|text| text.parse().ok()).expect("a number after the option"))
}

/// Whether to check only that the program runs.
pub(crate) fn is_smoke() -> bool {
    std::env::args().any(|arg| arg == "--smoke")
}

/// The middle value, or the mean of the middle two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
