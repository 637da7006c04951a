#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
fn placed<T>(event: Event<T>, cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
