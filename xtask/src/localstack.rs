//! Runs the order flow on a topic and queues of LocalStack, to try it out.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::emulator::localstack::{USUAL_PORT, start};
use crate::emulator::{AWS, Emulator};
use crate::foreground;
use crate::run::{cargo, gone, joined, root, run, say, target_dir};
use crate::toolchain;

const CONFIG: &str = "examples/orders/localstack.toml";

/// Builds the host and the consumers, starts LocalStack, and runs the consumers on it until ctrl-c.
pub(crate) fn localstack() -> Result<()> {
    toolchain::ready()?;
    let target = root().join(target_dir());
    let program = target.join("debug").join("reactor");
    let localstack = std::thread::scope(|scope| {
        let localstack = scope.spawn(|| start(USUAL_PORT));
        say("building the host (the first build takes some minutes)");
        cargo(&["build", "--package", "reactor-cli"])?;
        say("building the example consumers");
        run(Command::new(&program).args(["--config", CONFIG, "build"]).env("CARGO_TARGET_DIR", &target))?;
        joined(localstack)
    })?;
    forget_last_run()?;
    say_what_to_try(&localstack, &program);
    let mut reactor = Command::new(&program);
    foreground::run(localstack.serve(reactor.args(["--config", CONFIG, "up"])))?;
    Ok(())
}

/// LocalStack starts empty, so the store that remembers its messages must, too.
fn forget_last_run() -> Result<()> {
    let data = root().join(CONFIG).with_file_name(".reactor");
    gone(&data, fs::remove_dir_all(&data))
}

fn say_what_to_try(localstack: &Emulator, program: &Path) {
    let program = program.strip_prefix(root()).unwrap_or(program).display();
    eprintln!("\nIn another terminal, in the folder {}:\n", root().display());
    eprintln!("  export AWS_ENDPOINT_URL={}", localstack.url());
    for (name, value) in AWS {
        eprintln!("  export {name}={value}");
    }
    eprintln!();
    for words in ["publish shop examples/orders/events.jsonl", "dead list", "dead show 1", "dead redrive"] {
        eprintln!("  {program} --config {CONFIG} {words}");
    }
    eprintln!("\nctrl-c ends it all.\n");
}
