//! The reactors of `reactors.toml`, as far as the totals depend on it.

use reactor_guest::testing::{Ended, Run, Value};
use reactor_guest::{Context, Event, FromData, Outcome, Raw};

/// A handler for any type of event.
pub(crate) trait Handler {
    fn deliver(&mut self, event: &Event<Raw>, attempt: u32) -> Ended;

    /// The keys of its state that hold a number, with that number.
    fn numbers(&self) -> Vec<(String, u64)>;
}

impl<T: FromData, F: Fn(Event<T>, &Context) -> Outcome> Handler for Run<T, F> {
    fn deliver(&mut self, event: &Event<Raw>, attempt: u32) -> Ended {
        Run::deliver(self, event, attempt)
    }

    fn numbers(&self) -> Vec<(String, u64)> {
        let keys = self.state_keys().into_iter();
        keys.filter_map(|key| Some((key.to_owned(), self.state_of::<Value>(key)?.as_u64()?))).collect()
    }
}

/// A reactor with its subscription and policies.
pub(crate) struct Reactor {
    pub(crate) name: &'static str,
    pub(crate) wants: fn(&Event<Raw>) -> bool,
    pub(crate) ordered: bool,
    pub(crate) max_attempts: u32,
    pub(crate) handler: Box<dyn Handler>,
}

impl Reactor {
    /// The lane of an event, if the reactor is ordered.
    pub(crate) fn lane(&self, event: &Event<Raw>) -> Option<String> {
        let data = self.ordered.then(|| data(event))?;
        Some(data["orderId"].to_string())
    }
}

fn data(event: &Event<Raw>) -> Value {
    serde_json::from_slice(event.data.as_bytes()).unwrap()
}

/// The shop's four reactors.
pub(crate) fn shop() -> [Reactor; 4] {
    [
        Reactor {
            name: "inventory",
            wants: |event| match event.event_type.as_str() {
                "order.placed" => event.version < 3,
                other => other == "order.cancelled",
            },
            ordered: true,
            max_attempts: 5,
            handler: Box::new(Run::new(example_inventory::orders).config("initial-stock", 50)),
        },
        Reactor {
            name: "payments",
            wants: |event| {
                event.event_type == "inventory.reserved"
                    && ["EUR", "USD"].map(Value::from).contains(&data(event)["currency"])
            },
            ordered: false,
            max_attempts: 4,
            handler: Box::new(Run::new(example_payments::capture).config("limit-cents", 100_000)),
        },
        Reactor {
            name: "notifications",
            wants: |event| ["order", "inventory", "payment"].contains(&event.event_type.split('.').next().unwrap()),
            ordered: false,
            max_attempts: 5,
            handler: Box::new(Run::new(example_notifications::notify)),
        },
        Reactor {
            name: "analytics",
            wants: |_| true,
            ordered: false,
            max_attempts: 3,
            handler: Box::new(Run::new(example_analytics::count)),
        },
    ]
}
