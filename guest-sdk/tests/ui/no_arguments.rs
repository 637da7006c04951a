use reactor_guest::prelude::*;

#[reactor]
fn placed() -> Outcome {
    Ok(())
}

fn main() {}
