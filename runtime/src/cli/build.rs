//! `reactor build`

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::anyhow;
use clap::Args;

use super::Global;
use super::exit::{self, Exit};
use super::project::Project;

/// Build the modules, each by its reactor's `build` command
///
/// The commands run one after the other, by `sh -c`, in the folder of the configuration file. A command that several
/// reactors share runs once.
///
/// Example: reactor build inventory
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Only these reactors
    #[arg(value_name = "REACTOR")]
    reactors: Vec<String>,
}

impl Build {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        build(&project, &self.reactors)
    }
}

/// Builds the modules that are not there and can be built.
pub(super) fn build_missing(project: &Project) -> Result<(), Exit> {
    let reactors = project.config.reactors.values();
    let missing = reactors.filter(|reactor| reactor.build.is_some() && !reactor.module.exists());
    let missing: Vec<_> = missing.map(|reactor| reactor.name.clone()).collect();
    if missing.is_empty() { Ok(()) } else { build(project, &missing) }
}

/// Builds the named reactors, or all.
pub(super) fn build(project: &Project, names: &[String]) -> Result<(), Exit> {
    let mut done = BTreeSet::new();
    for name in project.reactor_names(names)? {
        let reactor = &project.config.reactors[&name];
        match &reactor.build {
            Some(command) if done.insert(command) => run(command, &project.config.root, &name)?,
            Some(_) => {}
            None if reactor.module.exists() => say!("{name}: has no build command; using the module as it is"),
            None => {
                let path = reactor.module.display();
                let error = anyhow!("reactor `{name}` has no `build` command, and its module {path} does not exist");
                return Err(Exit::new(exit::MODULE, error));
            }
        }
    }
    Ok(())
}

fn run(command: &str, root: &Path, name: &str) -> Result<(), Exit> {
    say!("{name}: {command}");
    // A build says on stdout what people want to see, and our stdout is for data.
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| Exit::new(exit::MODULE, anyhow!(error).context(format!("cannot run `{command}`"))))?;
    if status.success() {
        return Ok(());
    }
    let hint = missing_target(command)
        .map(|target| format!("; this Rust toolchain lacks the target: run `rustup target add {target}`"));
    let hint = hint.unwrap_or_default();
    Err(Exit::new(exit::MODULE, anyhow!("the build of reactor `{name}` failed ({status}): {command}{hint}")))
}

/// The target that a command builds for, if the toolchain does not have it: what fails most often, and says so worst.
fn missing_target(command: &str) -> Option<&str> {
    let target = command.split_whitespace().skip_while(|word| *word != "--target").nth(1)?;
    let libdir = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().ok()?;
    let libdir = String::from_utf8_lossy(&libdir.stdout).trim().to_owned();
    (!libdir.is_empty() && !Path::new(&libdir).is_dir()).then_some(target)
}
