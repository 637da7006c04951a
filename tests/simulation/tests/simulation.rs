//! Seeds hold, decide everything, and find what is planted.
#![allow(clippy::print_stdout, reason = "the figures are what these tests print")]

use reactor_core::planted::{Bug, plant};
use reactor_simulation::plan::Plan;
use reactor_simulation::run::run;
use reactor_simulation::shrink::shrink;

/// Seeds that are run.
const SEEDS: u64 = 120;
/// Seeds within which each planted bug has to be found.
const ENOUGH: u64 = 400;

#[test]
fn what_must_hold_holds_whatever_the_seed() {
    let (mut runs, mut restarts) = (0, 0);
    for seed in 0..SEEDS {
        let report = run(&Plan::of(seed));
        assert!(report.broken.is_empty(), "seed {seed}: {:?}\n{}", report.broken, report.story);
        (runs, restarts) = (runs + report.runs, restarts + report.restarts);
    }
    // A simulation in which nothing happens breaks nothing.
    assert!(runs > SEEDS * 10 && restarts > SEEDS * 2, "{runs} runs, {restarts} restarts");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 1_000..1_040 {
        let plan = Plan::of(seed);
        let (first, second) = (run(&plan), run(&plan));
        let differs = first.story.lines().zip(second.story.lines()).find(|(one, other)| one != other);
        assert!(first.story == second.story, "seed {seed}: {differs:?}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..ENOUGH).find(|seed| !run(&Plan::of(*seed)).broken.is_empty());
        plant(None);
        println!("{bug:?}: {found:?}");
        assert!(found.is_some(), "{bug:?} is not found within {ENOUGH} seeds");
    }
}

#[test]
fn what_fails_is_made_small() {
    let bug = Bug::DropUnsent;
    plant(Some(bug));
    let failing =
        (0..ENOUGH).map(Plan::of).map(|plan| (run(&plan), plan)).find(|(report, _)| !report.broken.is_empty());
    let (report, plan) = failing.expect("a seed that finds it");
    let size = plan.size();
    let (small, report) = shrink(plan, report, 300);
    plant(None);
    assert!(small.size() < size.div_ceil(2), "{size} pieces became {}", small.size());
    assert!(!report.broken.is_empty());
}
