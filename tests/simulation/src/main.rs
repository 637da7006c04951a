//! `cargo xtask simulate`: runs the host under seeds, and shrinks what it finds.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for people who work on the host")]
#![allow(clippy::disallowed_methods, reason = "how long it looks is counted by the machine's clock")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use reactor_simulation::plan::Plan;
use reactor_simulation::run::run;
use reactor_simulation::shrink::shrink;

/// Runs the production code of the host under simulated surroundings that a seed decides
#[derive(Debug, Parser)]
struct Simulate {
    /// Run this seed, and print what happened
    #[arg(long)]
    seed: Option<u64>,
    /// Run this many seeds
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Go on for this many hours instead of `--runs`
    #[arg(long)]
    hours: Option<f64>,
}

fn main() -> ExitCode {
    let asked = Simulate::parse();
    if let Some(seed) = asked.seed {
        let plan = Plan::of(seed);
        let report = run(&plan);
        println!("{}\n{}", plan.describe(), report.story);
        report.broken.iter().for_each(|what| println!("broken: {what}"));
        return if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (start, end) = (Instant::now(), asked.hours.map(|hours| Duration::from_secs_f64(hours * 3_600.0)));
    let (mut seed, mut runs, mut accepted, mut modules, mut restarts, mut lasted) = (asked.from, 0, 0, 0, 0, 0.0);
    loop {
        let goes_on = end.map_or(runs < asked.runs, |end| start.elapsed() < end);
        if !goes_on {
            break;
        }
        let plan = Plan::of(seed);
        let report = run(&plan);
        if !report.broken.is_empty() {
            println!("seed {seed}: {}", report.broken.join("; "));
            let (plan, report) = shrink(plan, report, 400);
            println!("{}\n{}", plan.describe(), report.story);
            println!("seed {seed} is broken; `cargo xtask simulate --seed {seed}` runs it again");
            return ExitCode::FAILURE;
        }
        (seed, runs, accepted) = (seed + 1, runs + 1, accepted + report.accepted);
        (modules, restarts) = (modules + report.runs, restarts + report.restarts);
        lasted += report.lasted.as_secs_f64();
    }
    println!(
        "{runs} runs from seed {}: {accepted} events accepted, {modules} runs of modules, {restarts} ends and crashes of \
         the host, {:.1} days by their own clocks, in {:.1} s; nothing broken",
        asked.from,
        lasted / 86_400.0,
        start.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
