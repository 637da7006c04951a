//! LocalStack: SQS and SNS for tests, on this machine, without a container or an account.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::slot::Slot;
use super::{Emulator, free_port, install, probe, python};
use crate::run::{root, say, target_dir};

/// The port that its documentation and its users expect.
pub(crate) const USUAL_PORT: u16 = 4566;

/// Installs LocalStack if it is not there yet, and starts it, on this port if it is free (0: on any).
pub(crate) fn start(port: u16) -> Result<Emulator> {
    let home = target_dir().join("localstack");
    install(&home).context("cannot install LocalStack")?;
    let slot = Slot::take(&home)?;
    let port = free_port(port)?;
    let mut command = python::command(home.join("venv/bin/python"));
    command.arg(root().join("xtask/localstack/launch.py"));
    // The user's settings for another LocalStack are not for this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOCALSTACK_") {
            command.env_remove(name);
        }
    }
    command.envs([
        ("SERVICES", "sns,sqs"),
        ("EAGER_SERVICE_LOADING", "1"),
        ("SKIP_SSL_CERT_DOWNLOAD", "1"),
        ("DISABLE_EVENTS", "1"),
        ("OVERRIDE_IN_DOCKER", "0"),
        ("DNS_ADDRESS", "0"),
        ("PERSISTENCE", "0"),
        ("DEBUG", "0"),
        // The default strategy puts the region into a host name that not every resolver knows.
        ("SQS_ENDPOINT_STRATEGY", "path"),
        ("LS_LOG", "warn"),
        ("NO_PROXY", "127.0.0.1,localhost"),
        ("no_proxy", "127.0.0.1,localhost"),
    ]);
    command.env("FILESYSTEM_ROOT", slot.dir.join("files")).env("XDG_CACHE_HOME", home.join("cache"));
    let address = format!("127.0.0.1:{port}");
    // The second is the beginning of queue URLs.
    command.env("GATEWAY_LISTEN", &address).env("LOCALSTACK_HOST", &address);
    Emulator::start("LocalStack", command, port, slot, || is_ready(port))
}

fn install(home: &Path) -> Result<()> {
    let (venv, requirements) = (home.join("venv"), root().join("xtask/localstack/requirements.txt"));
    let pinned = fs::read_to_string(&requirements).context("cannot read its requirements")?;
    // An upgrade of the system's Python can leave behind an environment that does not run.
    let works = || python::has(&venv.join("bin/python"), "localstack.runtime.main, twisted.internet.endpoints");
    install::once(home, &pinned, works, || {
        say("installing LocalStack with pip below target (once; about a minute)");
        python::make(&venv, &requirements, &home.join("install.log"))
    })
}

fn is_ready(port: u16) -> bool {
    let Some(answer) = probe::get(port, "/_localstack/health") else { return false };
    let dense: String = answer.chars().filter(|c| !c.is_whitespace()).collect();
    ["\"sns\":\"running\"", "\"sqs\":\"running\""].iter().all(|service| dense.contains(service))
}
