//! Runs all tests, with LocalStack for those that need it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::emulator::localstack;
use crate::foreground::{self, Ended};
use crate::run::{cargo_command, joined, say};
use crate::toolchain;

/// Builds the guests, then runs the tests of the workspace.
pub(crate) fn test(filter: &[&str]) -> Result<()> {
    toolchain::ready_for_tests()?;
    let localstack = std::thread::scope(|scope| {
        let localstack = scope.spawn(|| localstack::start(0));
        say("building the guests");
        toolchain::build_guests()?;
        joined(localstack)
    })?;
    say("building and running the tests (the first build takes some minutes)");
    let mut tests: Command = cargo_command(&[&["test", "--workspace"], filter].concat());
    localstack.serve(&mut tests).env("REACTOR_TEST_LOCALSTACK", localstack.url());
    match foreground::run(&mut tests)? {
        Ended::Done => Ok(()),
        Ended::Stopped => bail!("the tests were interrupted"),
    }
}
