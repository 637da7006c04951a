#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
fn placed(event: Event<String>, cx: &mut Context) -> Outcome {
    Ok(())
}

fn main() {}
