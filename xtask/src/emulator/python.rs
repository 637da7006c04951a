//! The Python that LocalStack runs on.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::install::quietly;

/// The version for which the requirements are pinned.
const VERSION: &str = "3.11";
/// Variables that would add other packages to the environment.
const FOREIGN: [&str; 3] = ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"];

/// A Python command that ignores the user's settings.
pub(super) fn command(python: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(python);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.arg("-I");
    command
}

/// Finds the interpreter for creating the environment.
pub(super) fn find() -> Result<&'static str> {
    let mut found = Vec::new();
    for name in ["python3.11", "python3", "python"] {
        match ask(name, "import sys; print('%d.%d' % sys.version_info[:2])") {
            Some(version) if version == VERSION => {
                if ask(name, "import ensurepip, venv").is_none() {
                    bail!(
                        "{name} lacks the modules `venv` and `ensurepip`, which LocalStack is installed with.\n\
                         Debian and Ubuntu have them in the package python{VERSION}-venv."
                    );
                }
                return Ok(name);
            }
            Some(version) => found.push(format!("{name} is {version}")),
            None => {}
        }
    }
    let found = if found.is_empty() { "there is no python3".to_owned() } else { found.join(", ") };
    bail!(
        "LocalStack, which stands in for SQS and SNS, needs Python {VERSION}; here, {found}.\n\
         Install python{VERSION} and python{VERSION}-venv, so that `python{VERSION}` can be run, then try again."
    );
}

/// Creates an environment with these requirements.
pub(super) fn make(venv: &Path, requirements: &Path, log: &Path) -> Result<()> {
    let python = find()?;
    quietly(command(python).args(["-m", "venv", "--clear"]).arg(venv), log)?;
    let pip = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"];
    quietly(command(venv.join("bin/python")).args(pip).arg("--requirement").arg(requirements), log)
        .context("pip downloads packages; check the network and the proxy settings, then try again")
}

/// Whether a module can be imported.
pub(super) fn has(python: &Path, module: &str) -> bool {
    let output = command(python).args(["-c", &format!("import {module}")]).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

fn ask(python: &str, code: &str) -> Option<String> {
    let output = command(python).args(["-c", code]).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
