use reactor_guest::prelude::*;

#[reactor]
fn placed<'a>(_event: Event<Raw>, _cx: &'a Context) -> Outcome {
    Ok(())
}

fn main() {}
