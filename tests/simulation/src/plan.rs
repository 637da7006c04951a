//! What happens in a run: all of it follows from a seed, and can be made smaller piece by piece.

use std::fmt::Write;
use std::time::Duration;

use crate::dice::Dice;
use crate::disk::{Crash, CrashAt, Faults};
use crate::guest::{Behaviour, Data};
use crate::queue::QueueFaults;

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it comes from; decides what the plan leaves open: times, the order of tasks, which calls fail.
    pub seed: u64,
    /// The configuration.
    pub config: String,
    /// Whether runs of a reactor change a common count, so that they conflict.
    pub counts: bool,
    /// Whether reactor `a` keeps the order of its keys.
    pub ordered: bool,
    /// Most attempts at an event.
    pub max_attempts: u32,
    /// What happens when, in order.
    pub steps: Vec<(Duration, Step)>,
    /// Crashes at certain writes.
    pub crashes: Vec<CrashAt>,
    /// What goes wrong with the disk.
    pub disk: Faults,
    /// What goes wrong with remote queues.
    pub queues: QueueFaults,
}

/// Something that happens at a certain time.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A producer publishes to the local channel `in`.
    Publish(Data),
    /// A producer sends to the remote channel `queue`.
    Send(Data),
    /// A message that cannot be decoded is sent to `queue`, or published.
    Garbage {
        /// To the remote channel.
        remote: bool,
    },
    /// The host is told to end (SIGTERM).
    Terminate,
    /// The host is killed (SIGKILL), or the power fails.
    End(Crash),
    /// Another process of the host takes the store over, while this one still runs.
    TakeOver,
    /// The wall clock jumps by so many seconds.
    Jump(i64),
    /// The wall clock stands still, or goes on.
    Freeze(bool),
    /// A person redrives every dead letter, or drops it.
    Letters {
        /// Drop, and not redrive.
        drop: bool,
    },
}

impl Plan {
    /// What a seed says.
    pub fn of(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let keys = dice.of(1..6);
        let count = *dice.pick(&[3, 8, 20, 60]);
        let span = *dice.pick(&[1, 30, 600]) * 1_000_000;
        let at = |dice: &Dice| Duration::from_micros(dice.of(0..span));
        let mut steps: Vec<(Duration, Step)> = Vec::new();
        for n in 0..count {
            let data = Data { n, key: format!("k{}", dice.of(0..keys)), does: behaviour(&dice) };
            let step = if dice.happens(500) { Step::Publish(data) } else { Step::Send(data) };
            steps.push((at(&dice), step));
        }
        let calm = dice.happens(150);
        let mut crashes = Vec::new();
        if !calm {
            for _ in 0..dice.of(0..3) {
                steps.push((at(&dice), Step::Garbage { remote: dice.happens(500) }));
            }
            for _ in 0..dice.of(0..3) {
                steps.push((at(&dice), Step::Terminate));
            }
            for _ in 0..dice.of(0..3) {
                steps.push((at(&dice), Step::End(crash(&dice))));
            }
            if dice.happens(250) {
                steps.push((at(&dice), Step::TakeOver));
            }
            for _ in 0..dice.of(0..3) {
                let by = *dice.pick(&[31_536_000, 3_600, -3_600, -31_536_000]);
                steps.push((at(&dice), Step::Jump(by)));
            }
            if dice.happens(200) {
                steps.push((at(&dice), Step::Freeze(true)));
            }
            for _ in 0..dice.of(0..3) {
                steps.push((at(&dice), Step::Letters { drop: dice.happens(400) }));
            }
            for _ in 0..dice.of(0..4) {
                crashes.push(CrashAt { write: dice.of(1..120), after: dice.happens(500), crash: crash(&dice) });
            }
        }
        steps.sort_by_key(|(at, _)| *at);
        crashes.sort_by_key(|crash| crash.write);
        let some = |often: u64| if calm || dice.happens(400) { 0 } else { dice.of(0..often) };
        let disk = Faults { full: some(200), slow: some(20), unsynced: some(20) };
        let queues = if dice.happens(300) {
            QueueFaults::default()
        } else {
            QueueFaults { fail: some(200), lose: some(150), repeat: some(60) }
        };
        let (ordered, max_attempts) = (dice.happens(600), u32::try_from(dice.of(1..5)).unwrap_or(1));
        let config = config(&dice, ordered, max_attempts);
        Self { seed, config, counts: dice.happens(300), ordered, max_attempts, steps, crashes, disk, queues }
    }

    /// In how many pieces it could be made smaller.
    pub fn size(&self) -> usize {
        let faults = [
            self.disk.full,
            self.disk.slow,
            self.disk.unsynced,
            self.queues.fail,
            self.queues.lose,
            self.queues.repeat,
        ];
        self.steps.len() + self.crashes.len() + faults.iter().filter(|often| **often > 0).count()
    }

    /// The plan in words, a line each.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "seed {}; disk {:?}; queues {:?}", self.seed, self.disk, self.queues);
        for crash in &self.crashes {
            let _ = writeln!(text, "{crash:?}");
        }
        for (at, step) in &self.steps {
            let _ = writeln!(text, "{:>12.6}  {step:?}", at.as_secs_f64());
        }
        let _ = writeln!(text, "{}", self.config);
        text
    }
}

fn crash(dice: &Dice) -> Crash {
    *dice.pick(&[Crash::Kill, Crash::PowerCut])
}

fn behaviour(dice: &Dice) -> Behaviour {
    match dice.of(0..20) {
        0..10 => Behaviour::Ok,
        10..13 => Behaviour::Flaky(u32::try_from(dice.of(1..4)).unwrap_or(1)),
        13..16 => Behaviour::Emit(u32::try_from(dice.of(1..4)).unwrap_or(1)),
        16 => Behaviour::Reject,
        17 => Behaviour::Trap,
        18 => Behaviour::Kill,
        _ => Behaviour::Slow(dice.of(1..20)),
    }
}

fn config(dice: &Dice, ordered: bool, max_attempts: u32) -> String {
    let mut text = String::from("[runtime]\ndata-dir = \"data\"\ndrain = \"25s\"\n");
    let settle = dice.pick(&["completed", "completed", "stored"]);
    let _ = write!(
        text,
        "[channels.in]\nkind = \"local\"\n\
         [channels.derived]\nkind = \"local\"\n\
         [channels.queue]\nkind = \"queue\"\nqueue = \"queue\"\nsettle = \"{settle}\"\n\
         [channels.out]\nkind = \"queue\"\nqueue = \"out\"\n"
    );
    let mut reactor = |name: &str, from: &str, on: &str, to: &str, ordered: bool| {
        let concurrency = dice.of(1..6);
        let emit = if to.is_empty() { String::new() } else { format!("emit = {{ derived = \"{to}\" }}\n") };
        let order = if ordered { "order-by = \"/data/key\"\n" } else { "" };
        let parks = if ordered && dice.happens(400) { "on-exhausted = \"park-key\"" } else { "" };
        let copies = if dice.happens(300) { "channel = \"out\"" } else { "" };
        let comma = if parks.is_empty() || copies.is_empty() { "" } else { ", " };
        let letter = format!("dead-letter = {{ {copies}{comma}{parks} }}\n");
        let rate = if dice.happens(150) { "rate = \"20/s\"\n" } else { "" };
        let breaker = if dice.happens(200) { "breaker = { failures = 3, initial = \"2s\" }\n" } else { "" };
        let _ = write!(
            text,
            "[reactors.{name}]\nmodule = \"{name}.wasm\"\nfrom = [\"{from}\"]\non = [\"{on}\"]\n\
             concurrency = {concurrency}\ntimeout = \"30s\"\nallow = {{ state = true }}\n\
             config = {{ to = \"{to}\" }}\n{emit}{order}{letter}{rate}{breaker}\
             retry = {{ max-attempts = {max_attempts}, initial = \"1s\", max = \"20s\" }}\n"
        );
    };
    reactor("a", "in", "t", "derived", ordered);
    reactor("b", "queue", "t", "out", false);
    reactor("c", "derived", "derived", "", dice.happens(500));
    text
}
