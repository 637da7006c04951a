//! A host with the tally guest, as the programs that print figures run it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use reactor_runtime::channel::Remote;
use reactor_runtime::clock::{Clock, SystemClock};
use reactor_runtime::config;
use reactor_runtime::pipeline::host::{Control, Host, Parts};
use reactor_runtime::pipeline::invoke::Guest;
use reactor_runtime::pipeline::signal::Signals;
use reactor_runtime::store::Store;
use reactor_runtime::store::sqlite::{OpenOptions, SqliteStore};
use reactor_runtime::wasm::{Engine, EngineOptions, GuestSpec, Limits};
use tokio::sync::mpsc;

/// The guest's module, as it was built.
pub(crate) fn tally() -> Vec<u8> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-unknown-unknown/guest/guest_tally.wasm");
    let module = std::env::var_os("TALLY_WASM").map_or(module, Into::into);
    std::fs::read(&module).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask bench`, which builds the guests", module.display())
    })
}

/// A host in a folder of its own, ready to run.
pub(crate) struct Ready {
    dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    guests: tokio::runtime::Runtime,
    parts: Parts,
}

/// A host that runs.
pub(crate) struct Running {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) tell: mpsc::Sender<Control>,
    pub(crate) host: tokio::task::JoinHandle<()>,
    _guests: tokio::runtime::Runtime,
}

impl Ready {
    /// Prepares a host of a reactor `tally`, with connections to the channels outside.
    pub(crate) fn new(config: &str, module: &[u8], remotes: BTreeMap<String, Remote>) -> Self {
        let dir = tempfile::TempDir::new().expect("a temporary folder");
        let path = dir.path().join("tally.wasm");
        std::fs::write(&path, module).expect("the module");
        let file = dir.path().join("reactors.toml");
        let loaded = config::parse(config, &file, &|_| None).expect("a valid configuration");
        let config = Arc::new(loaded.config);
        let options = OpenOptions::owner(config.runtime.concurrency);
        let store = Arc::new(SqliteStore::open(&config.runtime.data_dir, &options).expect("a store"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let cache_dir = config.runtime.data_dir.join("modules");
        let options = EngineOptions { cache_dir, instances: config.runtime.concurrency, max_memory: 64 << 20 };
        let engine = Engine::new(options).expect("an engine");
        let reactor = &config.reactors["tally"];
        let spec = GuestSpec {
            reactor: reactor.name.clone(),
            timeout: reactor.timeout,
            cpu: reactor.cpu,
            memory: reactor.memory,
            allow_state: true,
            allow_http: Vec::new(),
            rehearsal: false,
            emit: Vec::new(),
            config: BTreeMap::new(),
            hop_limit: 16,
            limits: Limits::default(),
            clock: Arc::clone(&clock),
        };
        let guest: Arc<dyn Guest> = engine.load(&path, spec).expect("a module").guest;
        let guests = threads("guest", 2);
        let parts = Parts {
            config,
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock,
            guests: BTreeMap::from([("tally".to_owned(), guest)]),
            remotes,
            guest_threads: guests.handle().clone(),
            signals: Arc::default(),
        };
        Self { dir, store, guests, parts }
    }

    /// With these instead of its own.
    pub(crate) fn with_signals(mut self, signals: Arc<Signals>) -> Self {
        self.parts.signals = signals;
        self
    }

    /// Its store.
    pub(crate) fn store(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.store)
    }

    /// Starts it.
    pub(crate) fn run(self) -> Running {
        let Self { dir, store, guests, parts } = self;
        let runtime = threads("host", 2);
        let (tell, told) = mpsc::channel(1);
        let host = runtime.spawn(async move {
            let host = Host::new(parts).await.expect("a host");
            host.run(told).await.expect("the host runs");
        });
        Running { dir, store, runtime, tell, host, _guests: guests }
    }
}

/// Threads of this name.
pub(crate) fn threads(name: &str, count: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(count).thread_name(name).enable_all().build().expect("threads")
}
