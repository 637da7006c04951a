//! Runs a command that uses an emulator, so that it ends before the emulator does.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::run::{root, show, signal};

const POLL: Duration = Duration::from_millis(20);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, successfully.
    Done,
    /// Because xtask received a signal.
    Stopped,
}

/// Runs a command in the root until it ends. A signal such as ctrl-c is passed on to it and its children as SIGTERM and
/// does not end xtask: the caller cleans up.
pub(crate) fn run(command: &mut Command) -> Result<Ended> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told)).context("cannot listen to signals")?;
    }
    let shown = show(command);
    // In its own group; otherwise ctrl-c would reach it twice, which many programs take to mean "at once".
    let child = command.current_dir(root()).stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.with_context(|| format!("cannot run `{shown}`"))?;
    let mut ended = Ended::Done;
    loop {
        if let Some(status) = child.try_wait()? {
            if !status.success() && ended == Ended::Done {
                bail!("`{shown}` failed: {status}");
            }
            return Ok(ended);
        }
        if told.swap(false, Ordering::Relaxed) {
            ended = Ended::Stopped;
            signal("TERM", &format!("-{}", child.id()));
        }
        std::thread::sleep(POLL);
    }
}
