use reactor_guest::prelude::*;

#[reactor(on = "order.placed")]
fn placed(_event: Event<Raw>, _cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
