#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
async fn placed(event: Event<String>, cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
