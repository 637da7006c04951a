//! `reactor up`

use std::panic::resume_unwind;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use reactor_channel::kind::Connections;
use reactor_core::clock::SystemClock;
use reactor_core::store::StoreClient;
use reactor_host::host::{Control, Host, Parts};
use reactor_host::reads::Reads;
use reactor_observe::admin::Admin;
use reactor_observe::otlp::Exporter;
use reactor_sandbox::Compiler;
use reactor_sandbox::http_client::Client;
use reactor_signal::Signals;

use super::backstop::Backstop;
use super::check::print_topology;
use super::exit::{self, Exit};
use super::modules::Modules;
use super::orphans::say_orphans;
use super::project::Project;
use super::reload::Reloader;
use super::report::Summary;
use super::{Global, LogFormat, status};

/// Run the reactors
///
/// Checks the configuration and the modules, prints the topology, then reads the channels until it is stopped. A missing
/// module is built first if its reactor has a `build` command.
/// On SIGTERM or ctrl-c it receives nothing more, lets running attempts finish within the drain time, and exits with 0; a second
/// signal ends it at once. On SIGHUP it reads the configuration and the modules again and takes them over; if something is
/// wrong, it rejects them and keeps running the previous ones. At the end it prints counts since the store was created on stdout.
///
/// Example: reactor up --watch
#[derive(Debug, Args)]
pub(super) struct Up {
    /// Build all modules first, not only missing ones
    #[arg(long)]
    build: bool,
    /// End when every event has been handled, or only a person could make progress
    #[arg(long)]
    until_idle: bool,
    /// Exit with code 7 if there are dead letters at the end, including earlier ones
    ///
    /// Example: reactor up --until-idle --fail-on-dead
    #[arg(long)]
    fail_on_dead: bool,
    /// Take over changed modules and a changed configuration as soon as their files change
    #[arg(long)]
    watch: bool,
    /// Send a trace of every attempt to a collector, by OTLP over HTTP
    ///
    /// The OTEL_ variables for resource, sampling and headers apply. An event without a trace context gets a trace
    /// derived from its correlation id, so that one trace spans the flow.
    ///
    /// Example: reactor up --otlp http://127.0.0.1:4318
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "http://127.0.0.1:4318")]
    otlp: Option<String>,
}

impl Up {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load_with_warnings(global)?;
        if self.build {
            super::build::build(&project, &[])?;
        } else {
            super::build::build_missing(&project)?;
        }
        // Take the lock first: a second host should not compile for a minute before it is rejected.
        let store = project.owner_when_there_is_room()?;
        // One thread for the host, and one that serves the connections to remote channels.
        let control = Builder::new_multi_thread().worker_threads(2).thread_name("reactor-host").enable_all().build()?;
        let mut told = control.block_on(async { Told::listen() })?;
        let compiler = super::modules::compiler()?;
        let load = || Modules::load_by(compiler.clone(), &project, global);
        let modules = unless_told(&control, &mut told, &compiler, load)?;
        if compiler.is_stopped() {
            return Ok(());
        }
        if !global.json {
            print_topology(&project, &modules);
        }
        say_orphans(&project.config, &*store)?;
        let guests = guest_threads()?;
        let exporter = self.otlp.as_ref().map(|url| Exporter::new(url, control.handle().clone())).transpose();
        let exporter = exporter.map_err(|error| Exit::new(exit::USAGE, error))?;
        let parts = Parts {
            config: Arc::clone(&project.config),
            store: Arc::clone(&store),
            clock: Arc::new(SystemClock::default()),
            http: Arc::new(Client::default()),
            remotes: control.block_on(project.remotes(&Connections::default())),
            guests: modules.guests(),
            guest_threads: guests.handle().clone(),
            signals: Arc::new(Signals::traced(exporter.as_ref().map(Exporter::tracer))),
            reads: Reads::default(),
        };
        let told = (told, compiler.clone());
        let ended = control.block_on(self.until_told(global, &project, modules, parts, told));
        // A reload that compiles would keep a thread busy, and delay the end.
        compiler.stop();
        if ended.is_err() {
            // A wait for another process must not keep this one from ending.
            store.give_up();
        }
        status::clear();
        guests.shutdown_background();
        exporter.into_iter().for_each(Exporter::flush);
        drop(control);
        ended?;
        let summary = Summary::of(&*store)?;
        summary.print(global.json)?;
        let Some(waits) = summary.waits().words() else { return Ok(()) };
        if self.fail_on_dead {
            let error = anyhow!(
                "{waits}; `reactor dead list` shows why, `reactor dead redrive` runs them again and `reactor dead drop` deletes them"
            );
            return Err(Exit::new(exit::DEAD, error));
        }
        tracing::warn!("needs attention: {waits}; see `reactor dead list`, then redrive or drop them");
        Ok(())
    }

    async fn until_told(
        &self,
        global: &Global,
        project: &Project,
        modules: Modules,
        parts: Parts,
        (told_to, compiler): (Told, Compiler),
    ) -> Result<(), Exit> {
        let (store, signals) = (Arc::clone(&parts.store) as Arc<dyn StoreClient>, Arc::clone(&parts.signals));
        if let Some(address) = project.config.runtime.admin {
            let admin = Admin::bind(address, Arc::clone(&signals), Arc::clone(&store)).await;
            let admin = admin.map_err(|error| Exit::new(exit::FAILURE, error))?;
            tracing::info!(address = %admin.address(), "serving metrics and health");
            tokio::spawn(admin.serve());
        }
        let (tell, told) = mpsc::channel(4);
        let host = tokio::spawn(async move { Host::new(parts).await?.run(told).await });
        let backstop = Backstop::new(project.config.runtime.drain, Arc::clone(&store), Arc::clone(&signals));
        if self.until_idle {
            let _ = tell.send(Control::WhenIdle).await;
        }
        let (ask, asked) = mpsc::channel(1);
        let reloader = Reloader::new(global, project, modules, Arc::clone(&store), tell.clone());
        tokio::spawn(reloader.run(asked, self.watch));
        tokio::spawn(obey_signals(told_to, compiler, tell, ask, Arc::clone(&backstop)));
        if status::wanted(global.log == LogFormat::Text) {
            tokio::spawn(status::show(signals, store));
        }
        tracing::info!("up");
        Ok(backstop.wait_for(host).await?)
    }
}

/// Threads for guests: one per core, and none of them runs the host's own work.
fn guest_threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("reactor-guest").enable_all().build()
}

/// Signals received since this was created.
struct Told {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Told {
    fn listen() -> std::io::Result<Self> {
        let (term, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, interrupt, hangup: signal(SignalKind::hangup())? })
    }

    /// Waits for SIGTERM or ctrl-c.
    async fn until_stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Loads on a separate thread; a signal stops the compiler, and loading ends at once.
fn unless_told<T: Send>(control: &Runtime, told: &mut Told, compiler: &Compiler, load: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (done, ready) = oneshot::channel::<()>();
        let loading = scope.spawn(move || {
            let loaded = load();
            drop(done);
            loaded
        });
        control.block_on(async {
            tokio::select! {
                _ = ready => {}
                () = told.until_stop() => {
                    tracing::info!("stopping while modules are being loaded");
                    compiler.stop();
                }
            }
        });
        loading.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

async fn obey_signals(
    mut told: Told,
    compiler: Compiler,
    tell: mpsc::Sender<Control>,
    reload: mpsc::Sender<()>,
    backstop: Arc<Backstop>,
) {
    loop {
        tokio::select! {
            _ = told.term.recv() => break,
            _ = told.interrupt.recv() => break,
            // A reload that is already requested reads everything again, too.
            _ = told.hangup.recv() => drop(reload.try_send(())),
        }
    }
    compiler.stop();
    let _ = tell.send(Control::Drain).await;
    tokio::select! {
        () = told.until_stop() => {}
        () = backstop.fall() => told.until_stop().await,
    }
    tracing::warn!("second signal received; stopping without draining");
    // To the store, work in progress is a crash, which it is built to survive.
    std::process::exit(i32::from(exit::FAILURE));
}
