//! The order flow, from nothing to a table of what happened.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{cargo, run, say, target_dir};
use crate::toolchain;

/// Builds the host and the example consumers, publishes the sample events and runs them.
pub(crate) fn demo() -> Result<()> {
    toolchain::ready()?;
    say("building the host (the first build takes some minutes)");
    cargo(&["build", "--package", "reactor-runtime"])?;
    let data = target_dir().join("demo");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot clear {}", data.display()))?;
    }
    let program = target_dir().join("debug").join("reactor");
    let reactor = |args: &[&str]| {
        eprintln!("\n$ reactor {}", args.join(" "));
        run(Command::new(&program).arg("--data-dir").arg(&data).args(args))
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
