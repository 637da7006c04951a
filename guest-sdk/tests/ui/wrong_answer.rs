#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
fn placed(event: Event<String>, cx: &Context) -> u32 {
    7
}

fn main() {}
