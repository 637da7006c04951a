#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
fn placed() -> Outcome {
    Ok(())
}

fn main() {}
