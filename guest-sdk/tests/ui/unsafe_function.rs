use reactor_guest::prelude::*;

#[reactor]
unsafe fn placed(_event: Event<Raw>, _cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
