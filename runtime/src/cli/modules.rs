//! Loading every reactor's module, off the runtime's threads, with all errors at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;

use crate::clock::Clock;
use crate::config::model::{Config, ReactorConfig};
use crate::config::{Place, Problem, Problems};
use crate::pipeline::invoke::Guest;
use crate::wasm::{Engine, EngineOptions, GuestSpec, Limits, LoadError, LoadedModule};

use super::Global;
use super::exit::{self, Exit};
use super::project::{Project, print_problems};

/// The modules of a project, by reactor.
pub(super) struct Modules {
    /// Keeps the sandbox's clock ticking.
    _engine: Engine,
    pub(super) loaded: BTreeMap<String, LoadedModule>,
}

impl Modules {
    /// Compiles, or takes from the cache, every module, and checks what it imports against what it was granted.
    pub(super) fn load(project: &Project, global: &Global, clock: &Arc<dyn Clock>) -> Result<Self, Exit> {
        let config = &project.config;
        let options = EngineOptions {
            cache_dir: config.runtime.data_dir.join("modules"),
            instances: config.runtime.concurrency,
            max_memory: config.reactors.values().map(|reactor| reactor.memory).max().unwrap_or_default(),
        };
        let engine = Engine::new(options).map_err(|error| Exit::new(exit::MODULE, error))?;
        let (mut loaded, mut problems) = (BTreeMap::new(), Problems::default());
        for (name, reactor) in &config.reactors {
            match engine.load(&reactor.module, spec(config, reactor, Arc::clone(clock))) {
                Ok(module) => drop(loaded.insert(name.clone(), module)),
                Err(error) => problems.extend(describe(project, name, reactor, &error)),
            }
        }
        if !problems.is_empty() {
            print_problems(global, &problems);
            return Err(Exit { code: exit::MODULE, error: Some(anyhow!("not every module can be run")) });
        }
        Ok(Self { _engine: engine, loaded })
    }

    /// What the host runs.
    pub(super) fn guests(&self) -> BTreeMap<String, Arc<dyn Guest>> {
        self.loaded.iter().map(|(name, module)| (name.clone(), Arc::clone(&module.guest))).collect()
    }
}

fn spec(config: &Config, reactor: &ReactorConfig, clock: Arc<dyn Clock>) -> GuestSpec {
    GuestSpec {
        reactor: reactor.name.clone(),
        timeout: reactor.timeout,
        cpu: reactor.cpu,
        memory: reactor.memory,
        allow_state: reactor.allow.state,
        emit: reactor.emit.clone(),
        config: reactor.config.clone(),
        hop_limit: config.runtime.hop_limit,
        limits: Limits::default(),
        clock,
    }
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
