#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor(on = "order.placed")]
fn placed(event: Event<String>, cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
