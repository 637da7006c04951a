use reactor_guest::prelude::*;

#[reactor]
extern "C" fn placed(_event: Event<Raw>, _cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
