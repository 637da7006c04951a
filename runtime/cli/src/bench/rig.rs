//! A host in its own folder, as the program runs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use reactor_config::model::Config;
use reactor_core::channel::Remote;
use reactor_core::clock::{Clock, SystemClock};
use reactor_core::guest::Guest;
use reactor_core::store::StoreOwner;
use reactor_core::world::NoHttp;
use reactor_host::host::{Control, Host, Parts};
use reactor_signal::Signals;
use reactor_store_sqlite::{OpenOptions, SqliteOwner, make_directory};

/// A host that is ready to run.
pub struct Rig {
    dir: TempDir,
    store: Arc<SqliteOwner>,
    parts: Parts,
    guests: Runtime,
}

/// A running host. Dropping it removes its files.
pub struct Running {
    /// Its store.
    pub store: Arc<SqliteOwner>,
    tell: mpsc::Sender<Control>,
    host: JoinHandle<anyhow::Result<()>>,
    runtime: Runtime,
    /// The parts of the next host on the same store.
    next: (Parts, TempDir, Runtime),
}

/// Threads with this name.
///
/// # Errors
/// The threads cannot be started.
pub fn threads(name: &str, count: usize) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).thread_name(name).enable_all().build().context("threads cannot be started")
}

/// The number of threads for guests.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Rig {
    /// A host of these reactors with an empty store, in a new folder in `parent` instead of the configured one.
    ///
    /// # Errors
    /// The folder or the store cannot be created.
    pub fn new(mut config: Config, parent: &Path, guests: BTreeMap<String, Arc<dyn Guest>>) -> anyhow::Result<Self> {
        let dir = folder(parent)?;
        config.runtime.data_dir = dir.path().to_owned().into();
        let store = Arc::new(SqliteOwner::own(dir.path(), &OpenOptions::owner(config.runtime.concurrency))?);
        let threads = threads("reactor-guest", cores())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let parts = Parts {
            config: Arc::new(config),
            store: Arc::clone(&store) as Arc<dyn StoreOwner>,
            clock,
            http: Arc::new(NoHttp),
            guests,
            remotes: BTreeMap::new(),
            guest_threads: threads.handle().clone(),
            signals: Arc::default(),
        };
        Ok(Self { dir, store, parts, guests: threads })
    }

    /// Replaces its signals.
    #[must_use]
    pub fn with_signals(mut self, signals: Arc<Signals>) -> Self {
        self.parts.signals = signals;
        self
    }

    /// Adds connections to the remote channels.
    #[must_use]
    pub fn with_remotes(mut self, remotes: BTreeMap<String, Remote>) -> Self {
        self.parts.remotes = remotes;
        self
    }

    /// Its store.
    pub fn store(&self) -> &Arc<SqliteOwner> {
        &self.store
    }

    /// Starts the host.
    ///
    /// # Errors
    /// Its threads cannot be started.
    pub fn run(self) -> anyhow::Result<Running> {
        let Self { dir, store, parts, guests } = self;
        // The same as in `reactor up`.
        let runtime = threads("reactor-host", 2)?;
        let (tell, told) = mpsc::channel(1);
        let next = (parts.clone(), dir, guests);
        let host = runtime.spawn(async move { Ok(Host::new(parts).await?.run(told).await?) });
        Ok(Running { store, tell, host, runtime, next })
    }
}

impl Running {
    /// Waits until there is nothing left to do. The store stays; its folder is removed when the rest is dropped.
    ///
    /// # Errors
    /// The host has failed.
    pub fn until_idle(&mut self) -> anyhow::Result<()> {
        self.end(Control::WhenIdle)
    }

    /// Tells it to stop, and waits until it has stopped.
    ///
    /// # Errors
    /// The host has failed.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Control::Drain)
    }

    /// A new host on the same store, after this one has ended. Its files stay open in between.
    #[must_use]
    pub fn again(self) -> Rig {
        let (parts, dir, guests) = self.next;
        Rig { dir, store: self.store, parts, guests }
    }

    fn end(&mut self, how: Control) -> anyhow::Result<()> {
        // A host that has failed does not listen; waiting for it returns its error.
        let _ = self.tell.blocking_send(how);
        self.runtime.block_on(&mut self.host)?
    }
}

/// A folder that is removed when it is dropped.
pub(super) fn folder(parent: &Path) -> anyhow::Result<TempDir> {
    make_directory(parent)?;
    let made = tempfile::Builder::new().prefix("bench-").tempdir_in(parent);
    made.with_context(|| format!("cannot make a folder in {}", parent.display()))
}
