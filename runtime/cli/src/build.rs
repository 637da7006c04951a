//! `reactor build`

use std::collections::BTreeSet;
use std::io::{self, PipeReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use reactor_config::Written;

use super::Global;
use super::exit::{self, Exit};
use super::hidden::pass_on;
use super::project::Project;
use super::shell::shell;

/// How long to wait for a command's output after the command has ended.
const REST: Duration = Duration::from_secs(2);

/// Build the modules, each by its reactor's `build` command
///
/// The commands run one after the other, by `sh -c`, in the folder of the configuration file. A command that several
/// reactors share runs once. A `${NAME}` in a command is expanded by the shell, from its environment.
///
/// Example: reactor build inventory
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Build only the modules of these reactors
    #[arg(value_name = "REACTOR")]
    reactors: Vec<String>,
}

impl Build {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        build(&project, &self.reactors)
    }
}

/// Builds the modules that are missing and can be built.
pub(super) fn build_missing(project: &Project) -> Result<(), Exit> {
    let reactors = project.config.reactors.values();
    let missing = reactors.filter(|reactor| reactor.build.is_some() && !reactor.module.path().exists());
    let missing: Vec<_> = missing.map(|reactor| reactor.name.clone()).collect();
    if missing.is_empty() { Ok(()) } else { build(project, &missing) }
}

/// Builds the named reactors, or all.
pub(super) fn build(project: &Project, names: &[String]) -> Result<(), Exit> {
    let mut done = BTreeSet::new();
    for name in project.reactor_names(names)? {
        let reactor = &project.config.reactors[&name];
        match &reactor.build {
            Some(command) if done.insert(command.meaning()) => run(command, &project.config.root, &name)?,
            Some(_) => {}
            None if reactor.module.path().exists() => {
                say!("{name}: there is no `build` command; using the module as it is");
            }
            None => {
                let path = &reactor.module;
                let error = anyhow!("reactor `{name}` has no `build` command, and its module {path} does not exist");
                return Err(Exit::new(exit::MODULE, error));
            }
        }
    }
    Ok(())
}

fn run(command: &Written, root: &Path, name: &str) -> Result<(), Exit> {
    say!("{name}: {command}");
    let status = print_through(shell(command).current_dir(root).stdin(Stdio::null()), command.has_variable());
    let status =
        status.map_err(|error| Exit::new(exit::MODULE, anyhow!(error).context(format!("cannot run `{command}`"))))?;
    if status.success() {
        return Ok(());
    }
    let hint = missing_target(command)
        .map(|target| format!("; this Rust toolchain lacks the target: run `rustup target add {target}`"));
    let hint = hint.unwrap_or_default();
    Err(Exit::new(exit::MODULE, anyhow!("the build of reactor `{name}` failed ({status}): {command}{hint}")))
}

/// Runs a command to its end. A build prints messages for people on stdout, and our stdout is for data.
fn print_through(command: &mut Command, has_variable: bool) -> io::Result<ExitStatus> {
    if !has_variable {
        // Directly to the terminal, if there is one.
        return command.stdout(io::stderr()).status();
    }
    let (printed, end) = io::pipe()?;
    let child = command.stdout(end.try_clone()?).stderr(end).spawn();
    // The command would keep its ends of the pipe open, and the reader would wait for them.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    wait(child?, printed)
}

/// Waits for the end of a command and of its output.
fn wait(mut child: Child, printed: PipeReader) -> io::Result<ExitStatus> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(pass_on(printed, io::stderr())));
    let status = child.wait()?;
    // A process that it has left running may hold the pipe open for ever.
    let _ = told.recv_timeout(REST);
    Ok(status)
}

/// The target that a command builds for, if the toolchain lacks it: the most frequent failure, with the worst message.
fn missing_target(command: &Written) -> Option<String> {
    let target = command.meaning().split_whitespace().skip_while(|word| *word != "--target").nth(1)?;
    let libdir = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().ok()?;
    let libdir = String::from_utf8_lossy(&libdir.stdout).trim().to_owned();
    (!libdir.is_empty() && !Path::new(&libdir).is_dir()).then(|| command.hide(target).into_owned())
}
