//! `cargo xtask demo|test|localstack|bench|simulate`: everything a fresh machine needs, in one command each.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

mod bench;
mod demo;
mod emulator;
mod foreground;
mod localstack;
mod run;
mod simulate;
mod test;
mod toolchain;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask demo              build everything, run the order flow on the embedded store, show what happened
cargo xtask test [FILTER...]  build everything, start LocalStack, run every test
cargo xtask localstack        run the order flow on a topic and queues of LocalStack, until ctrl-c
cargo xtask bench [NAME...]   print figures: end_to_end, shapes, growth, density, observe, store, decode, route;
                                --smoke: little of everything, to see that they run; --write: into docs/PERFORMANCE.md
cargo xtask bench sqs [OPTION...]  the same for queues, on fauxqs, or on LocalStack with --localstack;
                                --smoke and --write as above
cargo xtask simulate [OPTION...]  run the host under simulated surroundings: --runs N seeds, or as many as --hours H allow;
                                --seed N: one of them, with what happened

LocalStack needs Python 3.11, fauxqs Node.js 20; both are installed below target at their first use.";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["demo"] => demo::demo(),
        ["test", filter @ ..] => test::test(filter),
        ["localstack"] => localstack::localstack(),
        ["bench", "sqs", options @ ..] => bench::sqs(options),
        ["bench", options @ ..] => bench::bench(options),
        ["simulate", options @ ..] => simulate::simulate(options),
        ["help" | "--help" | "-h"] => {
            eprintln!("{USAGE}");
            Ok(())
        }
        [] => bail!("say what to do\n\n{USAGE}"),
        other => bail!("there is no `cargo xtask {}`\n\n{USAGE}", other.join(" ")),
    }
}
