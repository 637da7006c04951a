use reactor_guest::prelude::*;

#[reactor]
fn placed<T>(_event: Event<T>, _cx: &Context) -> Outcome {
    Ok(())
}

fn main() {}
