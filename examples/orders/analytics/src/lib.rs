//! Analytics: how many events of each type there were, and how much money came in.

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
    cx.state().set(key, &(sum + amount))?;
    Ok(())
}

/// Cents per piece. It has the bug that the demo is about: an order of nothing divides by zero, and the event is poison.
fn unit_price(order: &Order) -> u64 {
    order.amount_cents / order.quantity
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::Run;
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_counted_by_type_and_payments_added_up() {
        let paid = json!({ "amountCents": 250, "currency": "EUR" });
        let run = Run::new(count).event("payment.captured", &paid);
        let run = run.then(count).event("payment.captured", &paid);
        assert_eq!(run.state::<u64>("count:payment.captured"), Some(2));
        assert_eq!(run.state::<u64>("revenue:EUR"), Some(500));
    }

    #[test]
    fn what_is_not_known_is_counted_too() {
        let run = Run::new(count).event_bytes("some.thing", b"not JSON".to_vec());
        assert_eq!(run.state::<u64>("count:some.thing"), Some(1));
    }

    #[test]
    #[should_panic(expected = "divide by zero")]
    fn an_order_of_nothing_is_poison() {
        Run::new(count).event("order.placed", json!({ "quantity": 0, "amountCents": 100 }));
    }
}
