//! Programs that stand in for SQS and SNS: installed below `target`, run on a loopback port, stopped by a guard.

pub(crate) mod fauxqs;
mod install;
pub(crate) mod localstack;
mod probe;
mod python;
mod slot;

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{say, signal, tail};
use slot::Slot;

/// A machine that is busy building leaves few cycles for an interpreter.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// What a client needs, apart from the address, to talk to an emulator.
pub(crate) const AWS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
/// Variables that would lead a client elsewhere or give it other credentials.
const NOT_AWS: [&str; 5] = [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
];

/// A running emulator; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Emulator {
    name: &'static str,
    port: u16,
    child: Child,
    // Released after the child has ended.
    _slot: Slot,
}

impl Emulator {
    /// Starts `command` in the slot's folder and waits until `ready` says yes.
    fn start(
        name: &'static str,
        mut command: Command,
        port: u16,
        slot: Slot,
        ready: impl Fn() -> bool,
    ) -> Result<Self> {
        let log = slot.dir.join("log.txt");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command
            .current_dir(&slot.dir)
            // The launchers end when this pipe closes, so that no process is left behind even if xtask is killed.
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-c is for xtask: what uses the emulator has to end first.
            .process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut emulator = Self { name, port, child, _slot: slot };
        emulator.wait_until(ready, &log)?;
        Ok(emulator)
    }

    fn wait_until(&mut self, ready: impl Fn() -> bool, log: &Path) -> Result<()> {
        let start = Instant::now();
        let what = loop {
            if ready() {
                let took = start.elapsed().as_secs_f64();
                say(&format!("{} is up at {} ({took:.1} s)", self.name, self.url()));
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                break format!("{} ended while it was starting ({status})", self.name);
            }
            if start.elapsed() > START {
                break format!("{} was not ready within {} s", self.name, START.as_secs());
            }
            std::thread::sleep(POLL);
        };
        bail!("{what}; the end of {}:\n{}", log.display(), tail(log));
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Makes a command and its children use this emulator and nothing else.
    pub(crate) fn serve<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in NOT_AWS {
            command.env_remove(name);
        }
        // A proxy cannot reach this machine's loopback address.
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        command.envs(AWS).env("AWS_ENDPOINT_URL", self.url())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        signal("TERM", &self.child.id().to_string());
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < STOP {
            std::thread::sleep(POLL);
        }
        // Both fail if it has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free loopback port; `wanted` if that is free.
fn free_port(wanted: u16) -> Result<u16> {
    let listener = match TcpListener::bind(("127.0.0.1", wanted)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && wanted != 0 => TcpListener::bind(("127.0.0.1", 0)),
        other => other,
    };
    Ok(listener.and_then(|listener| listener.local_addr()).context("no free loopback port")?.port())
}
