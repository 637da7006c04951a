//! Does what the event's data says, so that a test can provoke every outcome: `{"do": "reject"}`.

use std::hint::black_box;

use reactor_guest::{Context, Event, Outcome, reactor, reject, retry};
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Debug, Deserialize, Serialize)]
pub struct Wish {
    /// How the run is to end; with success if it is not given.
    #[serde(rename = "do", default)]
    pub mood: Mood,
    /// Of the attempts, the first so many end in this mood, the others in success; all of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Ordering key, for tests that use one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it says and gives as its reason, instead of its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// With success.
    #[default]
    Ok,
    /// With a request to be run again.
    Retry,
    /// With a rejection.
    Reject,
    /// With a panic.
    Panic,
    /// Never.
    Loop,
    /// When it has no memory left.
    Grow,
    /// With success, and an event that wishes the same again.
    Emit,
    /// With success, and an event of a type that is not allowed.
    EmitOther,
}

/// Fulfils the wish. State written before an unhappy end must never be seen; `runs` counts the happy ones.
#[reactor]
pub fn obey(event: Event<Wish>, cx: &Context) -> Outcome {
    if event.event_type == "reactor.dead-letter" {
        // So that dead letters can go round.
        return Err(reject("never in the mood for dead letters"));
    }
    let wish = event.data;
    cx.info(format_args!("in the mood for {:?}", wish.mood));
    if let Some(why) = &wish.why {
        cx.warn(why);
    }
    let runs: u64 = cx.state().get("runs")?.unwrap_or(0);
    cx.state().set("runs", &(runs + 1))?;
    if let Some(key) = &wish.key {
        let done: Vec<String> = cx.state().get(key)?.unwrap_or_default();
        cx.state().set(key, &[done, vec![event.id]].concat())?;
    }
    if wish.times.is_some_and(|times| cx.attempt() > times) {
        return Ok(());
    }
    match wish.mood {
        Mood::Ok => Ok(()),
        Mood::Retry => Err(retry(format_args!("not in the mood, attempt {}", cx.attempt()))),
        Mood::Reject => Err(reject(wish.why.as_deref().unwrap_or("never in the mood"))),
        Mood::Panic => panic!("{}", wish.why.as_deref().unwrap_or("in a bad mood")),
        Mood::Loop => loop {
            black_box(runs);
        },
        Mood::Grow => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(black_box(vec![1; 1 << 20]));
            }
        }
        Mood::Emit => cx.emit("mood", &wish),
        Mood::EmitOther => cx.emit("other", &wish),
    }
}
