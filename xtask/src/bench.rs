//! The programs that print figures.

use anyhow::{Result, bail};

use crate::emulator::{Emulator, fauxqs, localstack};
use crate::foreground::{self, Ended};
use crate::run::{cargo, cargo_command, joined, say};
use crate::toolchain;

/// Those that need nothing but this machine.
pub(crate) fn bench() -> Result<()> {
    toolchain::ready()?;
    say("building the guests");
    toolchain::build_guests()?;
    say("building for release (some minutes at the first time), then measuring");
    cargo(&["bench", "--package", "reactor-runtime", "--benches"])
}

/// The one that reads a queue.
pub(crate) fn sqs(options: &[&str]) -> Result<()> {
    toolchain::ready()?;
    // A smoke run is about whether it runs: nobody should wait for an optimised build.
    let smoke = options.contains(&"--smoke");
    let start: fn() -> Result<Emulator> =
        if options.contains(&"--localstack") { || localstack::start(0) } else { fauxqs::start };
    let mut what = vec!["bench", "--package", "reactor-runtime", "--bench", "sqs"];
    what.extend(smoke.then_some(["--profile", "dev"]).into_iter().flatten());
    let emulator = std::thread::scope(|scope| {
        let emulator = scope.spawn(start);
        say("building the guests");
        toolchain::build_guests()?;
        say("building the bench (some minutes at the first time)");
        cargo(&[what.as_slice(), &["--no-run"]].concat())?;
        joined(emulator)
    })?;
    let mut bench = cargo_command(&[what.as_slice(), &["--"], options].concat());
    emulator.serve(&mut bench).env("REACTOR_BENCH_ENDPOINT", emulator.url());
    bench.env("REACTOR_BENCH_EMULATOR", emulator.process().to_string());
    match foreground::run(&mut bench)? {
        Ended::Done => Ok(()),
        Ended::Stopped => bail!("the bench was interrupted"),
    }
}
