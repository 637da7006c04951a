use reactor_guest::prelude::*;

#[reactor]
fn placed(_event: Event<Raw>, _cx: &Context) -> Result<(), String> {
    Ok(())
}

fn main() {}
