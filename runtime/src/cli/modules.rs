//! Loading every reactor's module, off the runtime's threads, with all errors at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;

use crate::clock::Clock;
use crate::config::model::{Config, ReactorConfig};
use crate::config::{Place, Problem, Problems};
use crate::pipeline::invoke::Guest;
use crate::wasm::{Engine, EngineOptions, GuestSpec, LoadError, LoadedModule};

use super::Global;
use super::exit::{self, Exit};
use super::project::{Project, print_problems};

/// The modules of a project, by reactor.
pub(super) struct Modules {
    /// Keeps the sandbox's clock ticking.
    engine: Engine,
    /// The most that any run's memory may have in it.
    max_memory: usize,
    clock: Arc<dyn Clock>,
    pub(super) loaded: BTreeMap<String, LoadedModule>,
}

impl Modules {
    /// Compiles, or takes from the cache, every module, and checks what it imports against what it was granted. Prints what
    /// is wrong, if anything is.
    pub(super) fn load(project: &Project, global: &Global, clock: &Arc<dyn Clock>) -> Result<Self, Exit> {
        let names: Vec<_> = project.config.reactors.keys().cloned().collect();
        Self::load_some(project, global, clock, &names, false)
    }

    /// The same, for these reactors only; in a rehearsal they send no requests.
    pub(super) fn load_some(
        project: &Project,
        global: &Global,
        clock: &Arc<dyn Clock>,
        names: &[String],
        rehearsal: bool,
    ) -> Result<Self, Exit> {
        let max_memory = most_memory(&project.config);
        let engine = engine(&project.config, max_memory).map_err(|error| Exit::new(exit::MODULE, error))?;
        let loaded = load_all(project, &engine, clock, names, rehearsal).map_err(|problems| {
            print_problems(global, &problems);
            Exit { code: exit::MODULE, error: Some(anyhow!("not every module can be run")) }
        })?;
        Ok(Self { engine, max_memory, clock: Arc::clone(clock), loaded })
    }

    /// Loads every module anew, for a changed configuration or changed files. Says whether any is another one than before;
    /// if any cannot be loaded, nothing has changed.
    pub(super) fn update(&mut self, project: &Project) -> Result<bool, Problems> {
        let needed = most_memory(&project.config);
        if needed > self.max_memory {
            match engine(&project.config, needed) {
                Ok(engine) => (self.engine, self.max_memory) = (engine, needed),
                // Loading says which reactor wants more than the old one gives.
                Err(error) => tracing::warn!("no engine with more memory: {error:#}"),
            }
        }
        let names: Vec<_> = project.config.reactors.keys().cloned().collect();
        let loaded = load_all(project, &self.engine, &self.clock, &names, false)?;
        let digests = |modules: &BTreeMap<String, LoadedModule>| -> Vec<_> {
            modules.iter().map(|(name, module)| (name.clone(), module.digest.clone())).collect()
        };
        let changed = digests(&loaded) != digests(&self.loaded);
        self.loaded = loaded;
        Ok(changed)
    }

    /// What the host runs.
    pub(super) fn guests(&self) -> BTreeMap<String, Arc<dyn Guest>> {
        self.loaded.iter().map(|(name, module)| (name.clone(), Arc::clone(&module.guest))).collect()
    }
}

fn most_memory(config: &Config) -> usize {
    config.reactors.values().map(|reactor| reactor.memory).max().unwrap_or_default()
}

fn engine(config: &Config, max_memory: usize) -> anyhow::Result<Engine> {
    let cache_dir = config.runtime.data_dir.join("modules");
    Engine::new(EngineOptions { cache_dir, instances: config.runtime.concurrency, max_memory })
}

fn load_all(
    project: &Project,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
    names: &[String],
    rehearsal: bool,
) -> Result<BTreeMap<String, LoadedModule>, Problems> {
    let config = &project.config;
    let (mut loaded, mut problems) = (BTreeMap::new(), Problems::default());
    let request = |name: &String| {
        let reactor = &config.reactors[name];
        (reactor.module.as_path(), GuestSpec { rehearsal, ..GuestSpec::of(config, reactor, Arc::clone(clock)) })
    };
    for (name, module) in names.iter().zip(engine.load_all(names.iter().map(request).collect())) {
        match module {
            Ok(module) => drop(loaded.insert(name.clone(), module)),
            Err(error) => problems.extend(describe(project, name, &config.reactors[name], &error)),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

/// A module's error, at the line of the configuration that names the module or lacks the grant.
fn describe(project: &Project, name: &str, reactor: &ReactorConfig, error: &LoadError) -> Vec<Problem> {
    let at = |key| project.places.reactor(name, key);
    let module = |help: Option<String>| {
        let problem = Problem::at(at("module"), "module", format!("reactor `{name}`: {error}"));
        vec![match help {
            Some(help) => problem.help(help),
            None => problem,
        }]
    };
    match error {
        LoadError::Denied { imports, .. } => imports
            .iter()
            .map(|denied| {
                let title = format!("reactor `{name}`: its module imports `{}`, which is not granted", denied.import);
                Problem::at(grant_place(&at, &denied.import), "not-granted", title).help(denied.remedy.clone())
            })
            .collect(),
        LoadError::Missing(_) => module(reactor.build.as_ref().map(|_| format!("run `reactor build {name}`"))),
        _ => module(None),
    }
}

fn grant_place(at: &dyn Fn(&'static str) -> Place, import: &str) -> Place {
    at(if import.contains("/emit") { "emit" } else { "allow" })
}
