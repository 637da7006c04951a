//! Runs the benchmarks, and writes their figures into the page about them.

use std::fs;
use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::emulator::{Emulator, fauxqs, localstack};
use crate::foreground::{self, Ended};
use crate::run::{cargo, cargo_command, joined, root, say, show, target_dir};
use crate::toolchain;

/// The benchmarks that need only this machine, in the order of the page.
const BENCHES: &[&str] = &["end_to_end", "shapes", "growth", "density", "observe", "store", "decode", "route"];
/// A smoke run only checks that the benchmarks run, so it skips the wait for an optimised build.
const DEV: [&str; 2] = ["--profile", "dev"];
const PAGE: &str = "docs/PERFORMANCE.md";

/// Runs some of the benchmarks, or all. With `--write` their output goes into the page.
pub(crate) fn bench(options: &[&str]) -> Result<()> {
    let (flags, names): (Vec<&str>, Vec<&str>) = options.iter().copied().partition(|option| option.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| !["--smoke", "--write"].contains(flag)) {
        bail!("there is no option {unknown}; there are --smoke and --write");
    }
    if let Some(unknown) = names.iter().find(|name| !BENCHES.contains(name)) {
        bail!("there is no bench {unknown}; there are {} and sqs", BENCHES.join(", "));
    }
    let (smoke, write) = (flags.contains(&"--smoke"), flags.contains(&"--write"));
    let names = if names.is_empty() { BENCHES.to_vec() } else { names };
    toolchain::ready()?;
    say("building the guests");
    toolchain::build_guests()?;
    say("building the benches (some minutes at the first time), then measuring");
    let mut what = vec!["bench", "--package", "reactor-cli"];
    what.extend(smoke.then_some(DEV).into_iter().flatten());
    let selected: Vec<&str> = names.iter().flat_map(|name| ["--bench", name]).collect();
    cargo(&[what.as_slice(), &selected, &["--no-run"]].concat())?;
    for name in names {
        let smoke = if smoke { ["--", "--smoke"].as_slice() } else { &[] };
        say(name);
        measure(name, &mut cargo_command(&[what.as_slice(), &["--bench", name], smoke].concat()), write)?;
    }
    Ok(())
}

/// Runs one benchmark and shows its output.
fn measure(name: &str, bench: &mut Command, write: bool) -> Result<()> {
    let path = target_dir().join(format!("bench-{name}.txt"));
    let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if foreground::run(bench.stdout(file))? == Ended::Stopped {
        bail!("the bench was interrupted");
    }
    let figures = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::stdout().write_all(figures.as_bytes())?;
    if figures.trim().is_empty() {
        bail!("`{}` has printed nothing", show(bench));
    }
    if write { put(name, figures.trim()) } else { Ok(()) }
}

/// Writes figures into the page, in the block that follows the mark with this name.
fn put(name: &str, figures: &str) -> Result<()> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let mark = format!("<!-- {name} -->\n```text\n");
    let missing = || format!("{PAGE} has no block marked <!-- {name} -->");
    let begin = page.find(&mark).with_context(missing)? + mark.len();
    let end = begin + page[begin..].find("```").with_context(missing)?;
    let page = format!("{}{figures}\n{}", &page[..begin], &page[end..]);
    fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))
}

/// Runs the benchmark that reads a queue.
pub(crate) fn sqs(options: &[&str]) -> Result<()> {
    toolchain::ready()?;
    let (own, options): (Vec<&str>, Vec<&str>) =
        options.iter().copied().partition(|option| ["--localstack", "--write"].contains(option));
    let smoke = options.contains(&"--smoke");
    let start: fn() -> Result<Emulator> =
        if own.contains(&"--localstack") { || localstack::start(0) } else { fauxqs::start };
    let mut what = vec!["bench", "--package", "reactor-cli", "--bench", "sqs"];
    what.extend(smoke.then_some(DEV).into_iter().flatten());
    let emulator = std::thread::scope(|scope| {
        let emulator = scope.spawn(start);
        say("building the guests");
        toolchain::build_guests()?;
        say("building the bench (some minutes at the first time)");
        cargo(&[what.as_slice(), &["--no-run"]].concat())?;
        joined(emulator)
    })?;
    let mut bench = cargo_command(&[what.as_slice(), &["--"], &options].concat());
    emulator.serve(&mut bench).env("REACTOR_BENCH_ENDPOINT", emulator.url());
    bench.env("REACTOR_BENCH_EMULATOR", emulator.process().to_string());
    measure("sqs", &mut bench, own.contains(&"--write"))
}
