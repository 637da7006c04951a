use reactor_guest::prelude::*;

#[reactor]
fn placed(_event: Event<Raw>) -> Outcome {
    Ok(())
}

fn main() {}
