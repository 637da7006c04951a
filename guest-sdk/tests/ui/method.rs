use reactor_guest::prelude::*;

struct Shop;

impl Shop {
    #[reactor]
    fn placed(&self, _event: Event<Raw>, _cx: &Context) -> Outcome {
        Ok(())
    }
}

fn main() {}
