//! Loads every reactor's module, off the runtime's threads, and reports all errors at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use reactor_config::model::{Config, ReactorConfig};
use reactor_config::{Place, Problem, Problems};
use reactor_core::guest::Guest;
use reactor_sandbox::{CompileLimits, Compiler, Engine, EngineOptions, GuestSpec, LoadError, LoadedModule};

use super::Global;
use super::exit::{self, Exit};
use super::project::{Project, print_problems};

/// The modules of a project, by reactor.
pub(super) struct Modules {
    /// Keeps the sandbox's clock ticking.
    engine: Engine,
    /// The maximum memory of any run.
    max_memory: usize,
    compiler: Compiler,
    pub(super) loaded: BTreeMap<String, LoadedModule>,
}

impl Modules {
    /// Compiles every module or takes it from the cache, and checks its imports against its grants. Prints any errors.
    pub(super) fn load(project: &Project, global: &Global) -> Result<Self, Exit> {
        Self::load_by(compiler()?, project, global)
    }

    /// The same with this compiler. If it is stopped, the result is a silent exit with code 0.
    pub(super) fn load_by(compiler: Compiler, project: &Project, global: &Global) -> Result<Self, Exit> {
        let names: Vec<_> = project.config.reactors.keys().cloned().collect();
        Self::load_these(compiler, project, global, &names)
    }

    /// The same, for these reactors only.
    pub(super) fn load_some(project: &Project, global: &Global, names: &[String]) -> Result<Self, Exit> {
        Self::load_these(compiler()?, project, global, names)
    }

    fn load_these(compiler: Compiler, project: &Project, global: &Global, names: &[String]) -> Result<Self, Exit> {
        let max_memory = most_memory(&project.config);
        let engine = engine(&project.config, max_memory, &compiler).map_err(|error| Exit::new(exit::MODULE, error))?;
        let loaded = load_all(project, &engine, names).map_err(|problems| {
            if compiler.is_stopped() {
                return Exit::printed(exit::OK);
            }
            print_problems(global, &problems);
            Exit { code: exit::MODULE, error: Some(anyhow!("some modules cannot be run")) }
        })?;
        Ok(Self { engine, max_memory, compiler, loaded })
    }

    /// Loads every module again, for a changed configuration or changed files. Returns whether any module is different;
    /// if one cannot be loaded, nothing has changed.
    pub(super) fn update(&mut self, project: &Project) -> Result<bool, Problems> {
        let needed = most_memory(&project.config);
        if needed > self.max_memory {
            match engine(&project.config, needed, &self.compiler) {
                Ok(engine) => (self.engine, self.max_memory) = (engine, needed),
                // Loading reports which reactor wants more than the old engine gives.
                Err(error) => tracing::warn!("cannot give modules more memory: {error:#}"),
            }
        }
        let names: Vec<_> = project.config.reactors.keys().cloned().collect();
        let loaded = load_all(project, &self.engine, &names)?;
        let digests = |modules: &BTreeMap<String, LoadedModule>| -> Vec<_> {
            modules.iter().map(|(name, module)| (name.clone(), module.digest.clone())).collect()
        };
        let changed = digests(&loaded) != digests(&self.loaded);
        self.loaded = loaded;
        Ok(changed)
    }

    /// Whether loading was stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.compiler.is_stopped()
    }

    /// The guests for the host.
    pub(super) fn guests(&self) -> BTreeMap<String, Arc<dyn Guest>> {
        self.loaded.iter().map(|(name, module)| (name.clone(), Arc::clone(&module.guest))).collect()
    }
}

fn most_memory(config: &Config) -> usize {
    config.reactors.values().map(|reactor| reactor.memory).max().unwrap_or_default()
}

fn engine(config: &Config, max_memory: usize, compiler: &Compiler) -> anyhow::Result<Engine> {
    let (cache_dir, instances) = (config.runtime.data_dir.path().join("modules"), config.runtime.concurrency);
    Engine::new(EngineOptions { cache_dir, instances, max_memory, compiler: compiler.clone() })
}

/// Compiles in child processes of this program, within the limits from the environment.
pub(super) fn compiler() -> Result<Compiler, Exit> {
    let usual = CompileLimits::default();
    let time = Duration::from_secs(number("REACTOR_COMPILE_SECONDS", usual.time.as_secs())?);
    let memory = number("REACTOR_COMPILE_MEMORY", usual.memory >> 20)? << 20;
    Ok(Compiler::by_this_program(CompileLimits { time, memory })?)
}

fn number(variable: &str, usual: u64) -> Result<u64, Exit> {
    let Some(text) = std::env::var_os(variable) else { return Ok(usual) };
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| Exit::new(exit::USAGE, anyhow!("{variable} must be a number from 1 to 1000000")))
}

/// The real path of a module, if a link leads out of the configuration's folder and of those that `REACTOR_MODULE_DIRS`
/// allows. A missing module is reported when it is loaded.
fn escapes(config: &Config, module: &Path) -> Option<PathBuf> {
    let real = module.canonicalize().ok()?;
    let root = config.file.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let below = |dir: &Path| dir.canonicalize().is_ok_and(|dir| real.starts_with(dir));
    let allowed = std::env::var_os("REACTOR_MODULE_DIRS").unwrap_or_default();
    let mut allowed = std::env::split_paths(&allowed).filter(|dir| dir.is_absolute());
    (!below(root) && !allowed.any(|dir| below(&dir))).then_some(real)
}

fn load_all(project: &Project, engine: &Engine, names: &[String]) -> Result<BTreeMap<String, LoadedModule>, Problems> {
    let config = &project.config;
    let (mut loaded, mut problems) = (BTreeMap::new(), Problems::default());
    let request = |name: &String| {
        let reactor = &config.reactors[name];
        (reactor.module.path(), GuestSpec::of(config, reactor))
    };
    let is_inside = |name: &&String| {
        let reactor = &config.reactors[*name];
        let Some(real) = escapes(config, reactor.module.path()) else { return true };
        let (module, at) = (&reactor.module, project.places.reactor(name, "module"));
        let title = format!(
            "reactor `{name}`: {module} is a link to {}, which is outside the configuration's folder",
            real.display()
        );
        let help = "copy the module, or allow the folder: REACTOR_MODULE_DIRS=DIR[:DIR...] reactor ...";
        problems.extend([Problem::at(at, "path-escapes", title).help(help)]);
        false
    };
    let names: Vec<&String> = names.iter().filter(is_inside).collect();
    for (name, module) in names.iter().copied().zip(engine.load_all(names.iter().copied().map(request).collect())) {
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
    let said = error.to_string();
    let said = reactor.module.hide(&said);
    let module = |help: Option<String>| {
        let problem = Problem::at(at("module"), "module", format!("reactor `{name}`: {said}"));
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
