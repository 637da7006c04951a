//! The WebAssembly targets of the Rust toolchain, and the guests built with them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, say};

const TARGET: &str = "wasm32-unknown-unknown";
/// For the test guest that uses the standard library like an ordinary program.
const WASI: &str = "wasm32-wasip2";
/// Every guest of this repository.
const GUESTS: [&str; 8] = [
    "example-inventory",
    "example-payments",
    "example-notifications",
    "example-analytics",
    "guest-caller",
    "guest-moody",
    "guest-seen",
    "guest-tally",
];

/// Makes sure that guests can be built.
pub(crate) fn ready() -> Result<()> {
    add(TARGET)
}

/// Makes sure that the guests of the tests can be built, too.
pub(crate) fn ready_for_tests() -> Result<()> {
    add(TARGET)?;
    add(WASI)
}

fn add(target: &str) -> Result<()> {
    if is_installed(target)? {
        return Ok(());
    }
    say(&format!("adding the target {target} with rustup (some seconds)"));
    let added = Command::new("rustup").args(["target", "add", target]).status();
    match added {
        Ok(status) if status.success() && is_installed(target)? => Ok(()),
        Ok(status) => bail!(
            "`rustup target add {target}` failed ({status}).\n\
             It downloads the standard library for WebAssembly; check the network and the proxy settings, then try again."
        ),
        Err(error) => bail!(
            "this Rust toolchain lacks the target {target}, and rustup cannot be run ({error}).\n\
             Install rustup from https://rustup.rs, or add the target with your system's package manager."
        ),
    }
}

/// Builds every guest.
pub(crate) fn build_guests() -> Result<()> {
    let mut args = vec!["build", "--profile", "guest", "--target", TARGET];
    args.extend(GUESTS.iter().flat_map(|guest| ["--package", guest]));
    cargo(&args)
}

fn is_installed(target: &str) -> Result<bool> {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let output = output.context("cannot run rustc; install Rust from https://rustup.rs")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
