//! Analytics: counts events of each type and sums up the revenue.

use reactor_guest::{Context, Event, Outcome, Raw, reactor};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    quantity: u64,
    amount_cents: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    amount_cents: u64,
    currency: String,
}

/// Handles everything.
#[reactor]
pub fn count(event: Event<Raw>, cx: &Context) -> Outcome {
    add(cx, &format!("count:{}", event.event_type), 1)?;
    match event.event_type.as_str() {
        "order.placed" => {
            let order: Order = event.parse()?;
            add(cx, "orders:unit-price-sum", unit_price(&order))
        }
        "payment.captured" => {
            let payment: Payment = event.parse()?;
            add(cx, &format!("revenue:{}", payment.currency), payment.amount_cents)
        }
        _ => Ok(()),
    }
}

fn add(cx: &Context, key: &str, amount: u64) -> Outcome {
    let sum: u64 = cx.state().get(key)?.unwrap_or(0);
    cx.state().set(key, &sum.saturating_add(amount))?;
    Ok(())
}

/// Cents per piece. It has the bug that the demo is about: an order of quantity 0 divides by zero, so the event is
/// poison.
fn unit_price(order: &Order) -> u64 {
    order.amount_cents / order.quantity
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Run, json};

    use super::*;

    #[test]
    fn events_are_counted_by_type_and_payments_added_up() {
        let mut run = Run::new(count);
        for _ in 0..2 {
            run.event("payment.captured", json!({ "amountCents": 250, "currency": "EUR" })).assert_done();
        }
        assert_eq!(run.state_of("count:payment.captured"), Some(2));
        assert_eq!(run.state_of("revenue:EUR"), Some(500));
    }

    #[test]
    fn what_is_not_known_is_counted_too() {
        let mut run = Run::new(count);
        run.event_bytes("some.thing", "not JSON").assert_done().assert_silent();
        assert_eq!(run.state_of("count:some.thing"), Some(1));
    }

    #[test]
    fn an_order_of_nothing_is_poison() {
        let mut run = Run::new(count);
        run.event("order.placed", json!({ "quantity": 0, "amountCents": 100 })).assert_trapped("divide by zero");
        assert!(run.state_keys().is_empty(), "what a trap cut short was not counted");
    }
}
