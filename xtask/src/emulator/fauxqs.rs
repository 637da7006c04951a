//! fauxqs: a queue on Node that is fast enough to benchmark against.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::slot::Slot;
use super::{Emulator, free_port, install, probe};
use crate::run::{root, say, target_dir};

/// The Node version that fauxqs and its dependencies need.
const NODE: u32 = 20;
const FILES: [&str; 3] = ["package.json", "package-lock.json", "launch.mjs"];

/// Installs fauxqs if it is not there yet, and starts it on a free port.
pub(crate) fn start() -> Result<Emulator> {
    let home = target_dir().join("fauxqs");
    install(&home).context("cannot install fauxqs")?;
    let slot = Slot::take(&home)?;
    let port = free_port(0)?;
    let mut command = Command::new("node");
    command.env_remove("NODE_OPTIONS").arg(home.join("launch.mjs")).arg(port.to_string());
    // It answers every path, at least with an error.
    Emulator::start("fauxqs", command, port, slot, || probe::get(port, "/").is_some())
}

fn install(home: &Path) -> Result<()> {
    let source = root().join("xtask/fauxqs");
    let read = |name| fs::read_to_string(source.join(name)).with_context(|| format!("cannot read {name}"));
    let pinned = FILES.iter().map(read).collect::<Result<String>>()?;
    let works = || home.join("node_modules/fauxqs/dist/app.js").is_file();
    install::once(home, &pinned, works, || {
        check_node()?;
        say("installing fauxqs with npm below target (once; some seconds)");
        for name in FILES {
            fs::copy(source.join(name), home.join(name)).with_context(|| format!("cannot copy {name}"))?;
        }
        let options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"];
        let mut npm = Command::new("npm");
        install::quietly(npm.arg("ci").args(options).current_dir(home), &home.join("install.log"))
    })
}

fn check_node() -> Result<()> {
    let output = Command::new("node").arg("--version").stdin(Stdio::null()).output();
    let version = match &output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => bail!("`node` cannot be run; install Node.js {NODE} or newer, with npm, then try again"),
    };
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        bail!("Node.js {NODE} or newer is needed; `node` is {version}");
    }
    Ok(())
}
