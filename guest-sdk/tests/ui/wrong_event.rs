#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
fn placed(event: String, cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
