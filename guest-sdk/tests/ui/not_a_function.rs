#![allow(unused)]

use reactor_guest::{Context, Event, Outcome, reactor};

#[reactor]
struct Placed;

fn main() {}
