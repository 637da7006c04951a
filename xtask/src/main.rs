//! `cargo xtask demo|test|bench`: everything a fresh machine needs, in one command each.

mod demo;
mod run;
mod toolchain;

use anyhow::{Result, bail};
use run::{cargo, say};

const USAGE: &str = "\
cargo xtask demo              build everything, run the order flow on the embedded store, show what happened
cargo xtask test [FILTER...]  build everything, run every test
cargo xtask bench             print figures: end to end, store, sandbox, decode and route";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match args.first().map(String::as_str) {
        Some("demo") => demo::demo(),
        Some("test") => test(&rest),
        Some("bench") => bench(),
        Some("help" | "--help" | "-h") => {
            eprintln!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("there is no `cargo xtask {other}`\n\n{USAGE}"),
        None => bail!("say what to do\n\n{USAGE}"),
    }
}

/// Builds the guests, then runs every test of the workspace.
fn test(filter: &[&str]) -> Result<()> {
    toolchain::ready()?;
    say("building the guests");
    toolchain::build_guests()?;
    say("building and running the tests (the first build takes some minutes)");
    cargo(&[&["test", "--workspace"], filter].concat())
}

/// Runs the programs that print figures.
fn bench() -> Result<()> {
    toolchain::ready()?;
    say("building the guests");
    toolchain::build_guests()?;
    say("building for release (some minutes at the first time), then measuring");
    cargo(&["bench", "--package", "reactor-runtime", "--benches"])
}
