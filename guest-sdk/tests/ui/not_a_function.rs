use reactor_guest::prelude::*;

#[reactor]
struct Placed {
    quantity: u32,
}

fn main() {}
