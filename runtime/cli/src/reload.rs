//! A changed configuration, or changed modules, for a running host: checked in the background, and taken over only if
//! everything is valid.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use reactor_channel::kind::Connections;
use reactor_config::Problems;
use reactor_config::model::Config;
use reactor_core::store::StoreClient;
use reactor_host::host::Control;
use reactor_host::host::deploy::compare;
use reactor_host::host::deployment::{Change, Deployment};

use super::Global;
use super::modules::Modules;
use super::orphans::say_orphans;
use super::project::Project;

/// How often `--watch` checks the files. A file counts as written if it has not changed between two checks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Loads changes and passes them to the host.
pub(super) struct Reloader {
    global: Global,
    modules: Modules,
    current: Arc<Config>,
    store: Arc<dyn StoreClient>,
    tell: mpsc::Sender<Control>,
}

/// A file's modification time and size. `None` if it does not exist.
type Print = Option<(SystemTime, u64)>;

impl Reloader {
    pub(super) fn new(
        global: &Global,
        project: &Project,
        modules: Modules,
        store: Arc<dyn StoreClient>,
        tell: mpsc::Sender<Control>,
    ) -> Self {
        Self { global: global.clone(), modules, current: Arc::clone(&project.config), store, tell }
    }

    /// Reloads on request and, with `watch`, whenever a file has changed.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<()>, watch: bool) {
        let mut loaded = self.look();
        let mut last = loaded.clone();
        loop {
            if watch {
                tokio::select! {
                    Some(()) = asked.recv() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {
                        let now = self.look();
                        let settled = now == last;
                        last = now;
                        if !settled || last == loaded {
                            continue;
                        }
                    }
                }
            } else if asked.recv().await.is_none() {
                return;
            }
            loaded = self.look();
            // Compiling takes time, and the host must not wait for it.
            let Ok(back) = tokio::task::spawn_blocking(move || {
                let deployment = self.load();
                (self, deployment)
            })
            .await
            else {
                return;
            };
            let deployment;
            (self, deployment) = back;
            // Modules that are new here were loaded just now; the others may have changed since.
            let now = self.look();
            loaded =
                now.into_iter().map(|(path, print)| (path.clone(), loaded.remove(&path).unwrap_or(print))).collect();
            if let Some((project, mut deployment)) = deployment {
                deployment.remotes = project.remotes(&Connections::default()).await;
                let _ = self.tell.send(Control::Deploy(Box::new(deployment))).await;
            }
        }
    }

    /// The state of every file that the host was built from.
    fn look(&self) -> BTreeMap<PathBuf, Print> {
        let modules = self.current.reactors.values().map(|reactor| reactor.module.path().to_owned());
        modules.chain([self.global.config.clone()]).map(|path| (path.clone(), print(&path))).collect()
    }

    /// Checks the configuration and loads the modules; if nothing is taken over, reports why.
    fn load(&mut self) -> Option<(Project, Deployment)> {
        let project = match Project::read(&self.global) {
            Ok((project, warnings)) => {
                if !warnings.is_empty() {
                    tracing::warn!(diagnostics = %warnings.render(false), "there are warnings about the new configuration:");
                }
                project
            }
            Err(problems) => return refuse(&problems),
        };
        if let Change::Process(key) = compare(&self.current, &project.config) {
            tracing::error!(
                "new configuration rejected: `{key}` can only change with a restart of the process; still running the previous one"
            );
            return None;
        }
        let modules_changed = match self.modules.update(&project) {
            Ok(changed) => changed,
            Err(_) if self.modules.is_stopped() => return None,
            Err(problems) => return refuse(&problems),
        };
        if *self.current == *project.config && !modules_changed {
            tracing::info!("configuration and modules are unchanged");
            return None;
        }
        self.current = Arc::clone(&project.config);
        if let Err(error) = say_orphans(&project.config, &*self.store) {
            tracing::warn!("cannot tell what waits for reactors that were removed: {error}");
        }
        let config = Arc::clone(&project.config);
        Some((project, Deployment { config, guests: self.modules.guests(), remotes: BTreeMap::new() }))
    }
}

fn refuse<T>(problems: &Problems) -> Option<T> {
    tracing::error!(diagnostics = %problems.render(false), "new configuration rejected; still running the previous one:");
    None
}

fn print(path: &Path) -> Print {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}
