use reactor_guest::prelude::*;

#[reactor]
fn placed(_event: Event<Raw>, _cx: &Context, _more: u32) -> Outcome {
    Ok(())
}

fn main() {}
