//! Counts every event by type, and sums up what was ordered.
//!
//! It takes `**` and emits nothing. Every run changes a shared counter, so it is best run one at a time
//! (`concurrency = 1`); more would be as right, but runs that met the same counter would be repeated.
//!
//! State: `count/<event type>` = events seen, `ordered/<currency>` = cents in `order.placed`.

use reactor_guest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct OrderPlaced {
    /// In cents.
    amount: u64,
    currency: String,
}

#[reactor]
fn analytics(event: Event<Raw>, cx: &Context) -> Outcome {
    add(cx, &format!("count/{}", event.event_type), 1)?;
    if event.event_type == "order.placed" {
        let OrderPlaced { amount, currency } = event.parse()?.data;
        add(cx, &format!("ordered/{currency}"), amount)?;
    }
    Ok(())
}

fn add(cx: &Context, key: &str, amount: u64) -> Outcome {
    cx.state().update(key, |sum: Option<u64>| sum.unwrap_or(0).saturating_add(amount))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Run, json};

    use super::*;

    #[test]
    fn events_are_counted_by_type() {
        let mut run = Run::new(analytics);
        for event_type in ["payment.captured", "inventory.reserved", "payment.captured"] {
            run.event(event_type, json!({ "any": "thing" })).assert_done().assert_silent();
        }
        assert_eq!(run.state_of("count/payment.captured"), Some(2));
        assert_eq!(run.state_of("count/inventory.reserved"), Some(1));
    }

    #[test]
    fn orders_are_summed_up_by_currency() {
        let mut run = Run::new(analytics);
        for (amount, currency) in [(250, "EUR"), (100, "USD"), (50, "EUR")] {
            run.event("order.placed", json!({ "amount": amount, "currency": currency })).assert_done();
        }
        assert_eq!(run.state_of("ordered/EUR"), Some(300));
        assert_eq!(run.state_of("ordered/USD"), Some(100));
    }

    #[test]
    fn an_order_that_cannot_be_read_is_not_counted() {
        let mut run = Run::new(analytics);
        run.event("order.placed", json!({ "amount": "much" })).assert_rejected("/amount");
        assert!(run.state_keys().is_empty());
    }

    #[test]
    fn data_that_is_no_json_is_counted() {
        let mut run = Run::new(analytics);
        run.event_bytes("picture.taken", [0xff, 0xd8]).assert_done();
        assert_eq!(run.state_of("count/picture.taken"), Some(1));
    }
}
