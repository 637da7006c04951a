//! Counts every event by type, sums up what was ordered, and keeps the highest price per unit.
//!
//! It takes `**` and emits nothing. Every run changes a shared counter, so it is best run one at a time
//! (`concurrency = 1`); more would be as right, but runs that met the same counter would be repeated.
//!
//! State: `count/<event type>` = events seen; of `order.placed`, `ordered/<currency>` = cents in all, and
//! `dearest/<currency>` = the highest average price per unit, in cents.

use reactor_guest::prelude::*;
use serde::Deserialize;

/// What analytics reads of an order, in any version.
#[derive(Debug, Deserialize)]
pub struct OrderPlaced {
    quantity: u64,
    /// In cents, for the whole order.
    amount: u64,
    currency: String,
}

/// Takes every event there is.
#[reactor]
pub fn analytics(event: Event<Raw>, cx: &Context) -> Outcome {
    add(cx, &format!("count/{}", event.event_type), 1)?;
    if event.event_type == "order.placed" {
        let order: OrderPlaced = event.parse()?.data;
        add(cx, &format!("ordered/{}", order.currency), order.amount)?;
        let price = price_per_unit(&order);
        cx.state().update(format!("dearest/{}", order.currency), |top: Option<u64>| top.unwrap_or(0).max(price))?;
    }
    Ok(())
}

fn add(cx: &Context, key: &str, amount: u64) -> Outcome {
    cx.state().update(key, |sum: Option<u64>| sum.unwrap_or(0).saturating_add(amount))?;
    Ok(())
}

/// The demo's bug, left in on purpose: an order of zero units divides by zero. The trap drops everything that the run
/// did before it, every attempt meets it again, and the event ends as a dead letter to replay and to repair.
fn price_per_unit(order: &OrderPlaced) -> u64 {
    order.amount / order.quantity
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
            run.event("order.placed", json!({ "quantity": 2, "amount": amount, "currency": currency })).assert_done();
        }
        assert_eq!((run.state_of("ordered/EUR"), run.state_of("dearest/EUR")), (Some(300), Some(125)));
        assert_eq!((run.state_of("ordered/USD"), run.state_of("dearest/USD")), (Some(100), Some(50)));
    }

    #[test]
    fn zero_units_is_the_poison_of_the_demo() {
        let mut run = Run::new(analytics);
        let ended = run.event("order.placed", json!({ "quantity": 0, "amount": 5000, "currency": "EUR" }));
        assert_eq!(ended.assert_trapped("divide by zero").dropped_writes.len(), 2);
        assert!(run.state_keys().is_empty());
    }

    #[test]
    fn an_order_that_cannot_be_read_is_not_counted() {
        let mut run = Run::new(analytics);
        run.event("order.placed", json!({ "quantity": 1, "amount": "much" })).assert_rejected("/amount");
        assert!(run.state_keys().is_empty());
    }

    #[test]
    fn data_that_is_no_json_is_counted() {
        let mut run = Run::new(analytics);
        run.event_bytes("picture.taken", [0xff, 0xd8]).assert_done();
        assert_eq!(run.state_of("count/picture.taken"), Some(1));
    }
}
