//! The end-to-end cost of an event, and its lower bounds, for the tally guest: every event is durable before it is
//! acknowledged, and its effects before it is settled; the guest parses JSON, reads and writes one state key, and gets
//! a fresh instance for each event of about 500 bytes. Prints figures; asserts nothing.
//!
//! `reactor bench` does the same for any reactor; here the guest's work also exists as native code. Options:
//! `--seconds N`, `--json`; `--no-history` to keep no ended attempts; `--smoke` to check that it runs.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use reactor_cli::bench::{Plan, Samples, Subject, measure};
use reactor_core::event::{Event, Message};
use reactor_host::decode::{Settings, decode};

fn main() {
    let seconds = if host::is_smoke() { 0.2 } else { host::number("--seconds", 8) as f64 };
    let (mut config, mut modules) = host::load(host::TALLY);
    if std::env::args().any(|arg| arg == "--no-history") {
        config.runtime.history = Duration::ZERO;
    }
    let settings = Settings::new(&config.channels["in"]);
    let decoded = decode(&host::event(0, 0), &settings).expect("an event");
    let events: Vec<Event> = decoded.events.into_iter().map(|decoded| decoded.event).collect();
    let samples = Samples::new(&events, Some("/account")).expect("samples");
    let tally = modules.remove("tally").expect("its module");
    let subject = Subject::new(config, "tally", tally, samples);
    let plan = Plan { seconds, events: None, rate: 200.0 };
    let mut native = Native::new(settings);
    let report = measure(subject, plan, Some(&mut |message| native.handle(message)), &mut |_| ()).expect("figures");
    if std::env::args().any(|arg| arg == "--json") {
        println!("{}", serde_json::to_string(&report).expect("JSON"));
    } else {
        println!("{report}");
    }
}

/// The guest's work, without a sandbox.
struct Native {
    settings: Settings,
    state: HashMap<String, Vec<u8>>,
}

#[derive(Deserialize)]
struct Added {
    account: String,
    amount: u64,
}

impl Native {
    fn new(settings: Settings) -> Self {
        Self { settings, state: HashMap::new() }
    }

    fn handle(&mut self, message: &Message) {
        for decoded in decode(message, &self.settings).expect("an event").events {
            let Added { account, amount } = serde_json::from_slice(&decoded.event.data).expect("what the guest takes");
            let old = self.state.get(&account).map(|old| serde_json::from_slice(old).expect("a number"));
            let total = old.unwrap_or(0_u64) + amount;
            self.state.insert(account, serde_json::to_vec(&total).expect("a number"));
        }
    }
}
