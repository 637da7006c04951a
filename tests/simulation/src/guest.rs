//! Modules: they do what their events say.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reactor_core::clock::Clock;
use reactor_core::event::{Fault, Outcome, Version};
use reactor_core::guest::{Call, Effect, Emit, Guest, Run};
use serde::{Deserialize, Serialize};

use crate::clock::SimClock;
use crate::dice::Dice;
use crate::disk::{Crash, Disk};
use crate::truth::Truth;

/// What an event has modules do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Succeed.
    Ok,
    /// Ask to run again so many times, then succeed.
    Flaky(u32),
    /// Succeed and emit so many events.
    Emit(u32),
    /// Reject the event.
    Reject,
    /// Trap, always.
    Trap,
    /// End the process of the host, always.
    Kill,
    /// Take so many seconds, then succeed.
    Slow(u64),
}

/// The data of every event of a simulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Its number.
    pub n: u32,
    /// Its ordering key.
    pub key: String,
    /// What it has modules do.
    pub does: Behaviour,
}

/// The state key in which a module lists the events of an ordering key that it has worked on, in order.
pub fn list_of(key: &str) -> String {
    format!("seen/{key}")
}

/// The state key of a module's count, which all of its runs change.
pub const COUNT: &str = "count";

/// See the module.
pub struct SimGuest {
    /// The reactor.
    pub reactor: &'static str,
    /// Whether each run changes the count, so that runs conflict.
    pub counts: bool,
    /// Time.
    pub clock: SimClock,
    /// Randomness.
    pub dice: Dice,
    /// Where runs are noted.
    pub truth: Truth,
    /// The process that a module may end.
    pub disk: Arc<Disk>,
}

impl Guest for SimGuest {
    fn run(&self, call: Call) -> BoxFuture<'static, Run> {
        let (reactor, counts) = (self.reactor, self.counts);
        let (clock, dice, truth) = (self.clock.clone(), self.dice.clone(), self.truth.clone());
        let disk = Arc::clone(&self.disk);
        Box::pin(async move {
            let attempt = call.attempt;
            let id = call.event.id.clone();
            let Ok(data) = serde_json::from_slice::<Data>(&call.event.data) else {
                return Run::ended(Outcome::Reject { reason: "no data".into() });
            };
            {
                let mut noted = truth.noted();
                noted.attempts.entry((reactor.to_owned(), id.clone())).or_default().push(attempt);
            }
            truth.tell(format!("{reactor}: attempt {attempt} at {id} begins"));
            let run = effects(&call, &data, counts);
            let time = match data.does {
                Behaviour::Slow(seconds) => Duration::from_secs(seconds),
                _ => Duration::from_micros(dice.of(0..20_000)),
            };
            clock.sleep(time).await;
            if data.does == Behaviour::Kill {
                disk.crash(Crash::Kill);
                return std::future::pending().await;
            }
            let run = match data.does {
                Behaviour::Reject => Run::ended(Outcome::Reject { reason: "simulated".into() }),
                Behaviour::Trap => Run::ended(Outcome::Fault { fault: Fault::Trap, detail: "simulated".into() }),
                Behaviour::Flaky(times) if attempt <= times => {
                    Run::ended(Outcome::Retry { reason: "not yet".into(), after: None })
                }
                _ => run.unwrap_or_else(|error| {
                    Run::ended(Outcome::Fault { fault: Fault::Host, detail: error.to_string() })
                }),
            };
            truth.noted().runs += 1;
            truth.tell(format!("{reactor}: attempt {attempt} at {id} ends: {:?}", run.outcome));
            run
        })
    }

    fn digest(&self) -> &str {
        "simulated"
    }
}

fn read(call: &Call, key: &str, reads: &mut Vec<(String, Version)>) -> anyhow::Result<String> {
    let found = call.world.state(key)?;
    let (value, version) = found.unwrap_or_default();
    reads.push((key.to_owned(), version));
    Ok(String::from_utf8_lossy(&value).into_owned())
}

/// What a run that succeeds does. One that emits touches no state: nothing but the fencing token says that it is done.
fn effects(call: &Call, data: &Data, counts: bool) -> anyhow::Result<Run> {
    let (mut reads, mut effects) = (Vec::new(), Vec::new());
    if let Behaviour::Emit(times) = data.does {
        return emits(call, data, times);
    }
    let list = list_of(&data.key);
    let before = read(call, &list, &mut reads)?;
    let after = if before.is_empty() { call.event.id.clone() } else { format!("{before},{}", call.event.id) };
    effects.push(Effect::Set { key: list, value: after.into() });
    if counts {
        let count: u64 = read(call, COUNT, &mut reads)?.parse().unwrap_or(0);
        effects.push(Effect::Set { key: COUNT.to_owned(), value: (count + 1).to_string().into() });
    }
    Ok(Run { reads, effects, ..Run::ended(Outcome::Done) })
}

fn emits(call: &Call, data: &Data, times: u32) -> anyhow::Result<Run> {
    let emitted = Data { does: Behaviour::Ok, ..data.clone() };
    let message = Emit {
        event_type: "derived".into(),
        version: 1,
        subject: None,
        partition_key: None,
        content_type: "application/json".into(),
        data: serde_json::to_vec(&emitted)?.into(),
    };
    let effects = (0..times).map(|_| Effect::Put { target: target_of(call), message: message.clone() }).collect();
    Ok(Run { effects, ..Run::ended(Outcome::Done) })
}

/// The channel that a reactor emits to, which its configuration names.
fn target_of(call: &Call) -> String {
    call.world.config("to").unwrap_or_default()
}
