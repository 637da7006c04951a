use reactor_guest::prelude::*;

struct OrderPlaced;

#[reactor]
fn placed(_event: OrderPlaced, _cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
