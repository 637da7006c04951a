use reactor_guest::prelude::*;

#[reactor]
fn placed(_event: Event<Raw>, _cx: Context) -> Outcome {
    Ok(())
}

fn main() {}
