//! Runs the order flow, from a fresh checkout to a table of what happened.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, root, run, say, target_dir};
use crate::toolchain;

/// Where the README's commands look for the data.
fn data() -> PathBuf {
    root().join(".reactor")
}

/// Removes the store of the last demo. A store that something else created is not ours, and would spoil the numbers.
fn clear() -> Result<()> {
    let (data, mark) = (data(), data().join("made-by-the-demo"));
    if data.exists() {
        if !mark.exists() {
            bail!("{} is there, and no demo made it: move it away, or remove it, and try again", data.display());
        }
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot clear {}", data.display()))?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(&data).with_context(|| format!("cannot make {}", data.display()))?;
    std::fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))
}

/// Builds the host and the example consumers, publishes the sample events and runs them.
pub(crate) fn demo() -> Result<()> {
    toolchain::ready()?;
    say("building the host (the first build takes some minutes)");
    cargo(&["build", "--package", "reactor-cli"])?;
    clear()?;
    let program = target_dir().join("debug").join("reactor");
    let reactor = |args: &[&str]| {
        eprintln!("\n$ reactor {}", args.join(" "));
        run(Command::new(&program).arg("--data-dir").arg(data()).args(args))
    };
    say("building the example consumers");
    reactor(&["build"])?;
    say("publishing the sample events; the embedded store accepts them before anything runs");
    reactor(&["publish", "shop", "examples/orders/events.jsonl"])?;
    say("running the consumers until every event is dealt with");
    reactor(&["up", "--until-idle"])?;
    say("what could not succeed is kept, with its reason");
    reactor(&["dead", "list"])?;
    say("examples/orders/README.md says why each number is what it is");
    Ok(())
}
