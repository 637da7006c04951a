use reactor_guest::prelude::*;

struct OrderPlaced;

#[reactor]
fn placed(_event: Event<OrderPlaced>, _cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
