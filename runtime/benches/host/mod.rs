//! The tally guest and its events, as the programs that print figures use them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use reactor_runtime::bench::rig::Rig;
use reactor_runtime::clock::{Clock, SystemClock};
use reactor_runtime::config::{self, model::Config};
use reactor_runtime::event::Message;
use reactor_runtime::wasm::{Engine, EngineOptions, GuestSpec, LoadedModule};

/// Accounts that the events are about.
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

/// The guest's module, as it was built.
fn tally() -> Vec<u8> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-unknown-unknown/guest/guest_tally.wasm");
    let module = std::env::var_os("TALLY_WASM").map_or(module, Into::into);
    std::fs::read(&module).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask bench`, which builds the guests", module.display())
    })
}

/// A configuration, and the tally guest for each of its reactors.
pub(crate) fn load(text: &str) -> (Config, BTreeMap<String, LoadedModule>) {
    let dir = tempfile::TempDir::new().expect("a temporary folder").keep();
    let loaded = config::parse(text, &dir.join("reactors.toml"), &|_| None).expect("a valid configuration");
    let config = loaded.config;
    let path = dir.join("tally.wasm");
    std::fs::write(&path, tally()).expect("the module");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let options =
        EngineOptions { cache_dir: dir.join("cache"), instances: config.runtime.concurrency, max_memory: 64 << 20 };
    let engine = Engine::new(options).expect("an engine");
    let load = |(name, reactor)| {
        let spec = GuestSpec::of(&config, reactor, Arc::clone(&clock));
        (String::clone(name), engine.load(&path, spec).expect("a module"))
    };
    let modules = config.reactors.iter().map(load).collect();
    std::fs::remove_dir_all(&dir).expect("nobody needs it any more");
    (config, modules)
}

/// A host of such a configuration.
pub(crate) fn rig(text: &str) -> Rig {
    let (config, modules) = load(text);
    let guests = modules.into_iter().map(|(name, module)| (name, module.guest)).collect();
    Rig::new(config, &std::env::temp_dir(), guests).expect("a store")
}

/// An event of 529 bytes.
pub(crate) fn event(id: usize, account: usize) -> Message {
    let pad = "x".repeat(330);
    Message::from_body(format!(
        r#"{{"eventId":"event-{id:09}","eventType":"added","eventVersion":1,"timestamp":"2026-03-02T09:00:00Z","source":"bench","correlationId":"flow-{id:09}","data":{{"account":"a{account:05}","amount":{id},"pad":"{pad}"}}}}"#
    ))
}
