//! Charges for reserved orders through a provider that fails at times, and refunds released ones.
//!
//! | event | effect |
//! |---|---|
//! | `inventory.reserved` | a charge, `payment.captured` |
//! | `inventory.reserved` above the config's `limit` | rejected: a dead letter |
//! | `inventory.released` of a charged order | `payment.refunded` |
//!
//! State: `charge/<orderId>` = the charge. Config: `limit`, in cents.

mod provider;

use std::time::Duration;

use reactor_guest::prelude::*;
use serde::{Deserialize, Serialize};

use provider::Trouble;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reserved {
    order_id: String,
    customer: String,
    /// In cents.
    amount: u64,
    currency: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Released {
    order_id: String,
}

/// A charge, as kept in the state and as published.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Charge {
    order_id: String,
    customer: String,
    amount: u64,
    currency: String,
    /// What the provider knows the charge by.
    reference: String,
}

/// Takes `inventory.reserved` and `inventory.released`.
#[reactor]
pub fn payments(event: Event<Raw>, cx: &Context) -> Outcome {
    match event.event_type.as_str() {
        "inventory.reserved" => capture(event.parse()?, cx),
        "inventory.released" => refund(&event.parse()?, cx),
        other => reject(format_args!("{other} is not for the payments")),
    }
}

fn capture(event: Event<Reserved>, cx: &Context) -> Outcome {
    let order = event.data;
    let key = format!("charge/{}", order.order_id);
    if cx.state().get::<Charge>(&key)?.is_some() {
        cx.info("charged before; nothing to do");
        return Ok(());
    }
    let limit: u64 = cx.config_parsed("limit")?.unwrap_or(100_000);
    if order.amount > limit {
        return reject(format_args!("amount {} is above the limit of {limit}", order.amount));
    }
    // The provider recognises a repeated request by the key, so an attempt that failed after the provider had already
    // charged does not charge again.
    match provider::charge(&order.order_id, cx.idempotency_key(), cx.attempt()) {
        Ok(reference) => {
            let Reserved { order_id, customer, amount, currency } = order;
            let charge = Charge { order_id, customer, amount, currency, reference };
            cx.state().set(&key, &charge)?;
            cx.emit("payment.captured", &charge)
        }
        Err(trouble @ Trouble::Busy) => retry_after(Duration::from_millis(200), trouble),
        Err(trouble) => Err(trouble.into()),
    }
}

fn refund(event: &Event<Released>, cx: &Context) -> Outcome {
    let key = format!("charge/{}", event.data.order_id);
    let Some(charge) = cx.state().get::<Charge>(&key)? else {
        cx.info("was not charged; nothing to refund");
        return Ok(());
    };
    cx.state().delete(&key)?;
    cx.emit("payment.refunded", &charge)
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Ending, Run, Value, json};

    use super::*;

    fn reserved(id: &str, amount: u64) -> Value {
        json!({ "orderId": id, "customer": "c-1", "amount": amount, "currency": "EUR", "warehouse": "eu-1" })
    }

    #[test]
    fn a_reserved_order_is_charged_once() {
        let mut run = Run::new(payments).attempt(3);
        let ended = run.event("inventory.reserved", reserved("o-1", 2500)).assert_done();
        assert_eq!(ended.emit().event_type, "payment.captured");
        assert_eq!(run.state_of::<Value>("charge/o-1").unwrap()["reference"], "ch_test/event-1");
        run.event("inventory.reserved", reserved("o-1", 2500)).assert_done().assert_silent();
    }

    #[test]
    fn an_amount_above_the_limit_is_rejected() {
        let mut run = Run::new(payments).attempt(3).config("limit", 1000);
        run.event("inventory.reserved", reserved("o-1", 1000)).assert_done();
        run.event("inventory.reserved", reserved("o-2", 1001)).assert_rejected("1001 is above the limit of 1000");
    }

    #[test]
    fn trouble_of_the_provider_is_a_retry() {
        let first = |id: &str| Run::new(payments).event("inventory.reserved", reserved(id, 1)).ending;
        let endings: Vec<_> = (1..=20).map(|number| first(&format!("o-{number}"))).collect();
        let dropped = Ending::Retried { reason: "the payment provider dropped the connection".into(), after: None };
        let after = Some(Duration::from_millis(200));
        let busy = Ending::Retried { reason: "the payment provider is busy".into(), after };
        for ending in [&Ending::Done, &dropped, &busy] {
            assert!(endings.contains(ending), "no {ending:?} among 20 orders");
        }
    }

    #[test]
    fn a_released_order_is_refunded_once() {
        let mut run = Run::new(payments).attempt(3);
        run.event("inventory.released", json!({ "orderId": "o-1" })).assert_done().assert_silent();
        run.event("inventory.reserved", reserved("o-1", 2500)).assert_done();
        let ended = run.event("inventory.released", json!({ "orderId": "o-1" })).assert_done();
        assert_eq!(ended.emit().json::<Value>()["amount"], 2500);
        run.event("inventory.released", json!({ "orderId": "o-1" })).assert_done().assert_silent();
    }
}
