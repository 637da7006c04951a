//! How the shape of the work matters: one event for ten reactors beside ten events for one, and one hot key in order
//! beside no order at all, in turns in one run, from publishing on. Prints medians; asserts nothing.
//!
//! Options: `--events N`, `--rounds N`; `--smoke` for a few, to check that it runs.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use host::{ACCOUNTS, event, median, reactor};

const FAN_OUT: usize = 10;
const CHANNEL: &str = "[channels.in]\nkind = \"local\"\n";

struct Shape {
    name: &'static str,
    config: String,
    /// The number of accounts that events write to.
    accounts: usize,
    /// Reactors that want each event.
    readers: usize,
}

fn main() {
    let (events, rounds) = if host::is_smoke() { (200, 1) } else { (50_000, 5) };
    let (deliveries, rounds) = (host::number("--events", events), host::number("--rounds", rounds));
    let one = |name, extra: &str, accounts| {
        let config = format!("{CHANNEL}{}", reactor("r", "added", extra));
        Shape { name, config, accounts, readers: 1 }
    };
    let ten: String = (0..FAN_OUT).map(|n| reactor(&format!("r{n}"), "added", "")).collect();
    let order = "order-by = \"/data/account\"";
    let shapes = [
        one("one reactor, no order", "", ACCOUNTS),
        Shape {
            name: "ten reactors for each event",
            config: format!("{CHANNEL}{ten}"),
            accounts: ACCOUNTS,
            readers: FAN_OUT,
        },
        one("10,000 keys, each in order", order, ACCOUNTS),
        one("one key, in order", order, 1),
        one("one key, no order", "", 1),
        one("one at a time", "concurrency = 1", ACCOUNTS),
    ];
    let mut spent: Vec<Vec<(f64, f64)>> = vec![Vec::new(); shapes.len()];
    for _ in 0..rounds {
        for (shape, spent) in shapes.iter().zip(&mut spent) {
            let events = deliveries / shape.readers;
            let flood = host::flood(host::rig(&shape.config), (0..events).map(|id| event(id, id % shape.accounts)));
            assert_eq!(flood.done as usize, events * shape.readers, "{}: every delivery ends well", shape.name);
            let count = deliveries as f64;
            spent.push((count / flood.took.as_secs_f64(), flood.cpu.as_secs_f64() * 1e6 / count));
        }
    }
    println!("{deliveries} deliveries, {rounds} rounds in turns, medians");
    let mut first = None;
    for (shape, spent) in shapes.iter().zip(spent) {
        let (rate, cpu) = (median(spent.iter().map(|one| one.0)), median(spent.iter().map(|one| one.1)));
        let base = *first.get_or_insert((rate, cpu));
        println!(
            "  {:<30} {rate:>8.0} deliveries/s ({:.2})   {cpu:>6.1} us CPU each ({:.2})",
            shape.name,
            rate / base.0,
            cpu / base.1
        );
    }
}
