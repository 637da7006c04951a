//! Payments: charges for what inventory has reserved, through a payment service that sometimes fails.
//!
//! The service is simulated, and its failures depend only on the order and the attempt, so that a demo always has the
//! same result.

use std::time::Duration;

use reactor_guest::{Context, Event, Failure, Outcome, reactor, reject, retry, retry_after};
use serde::{Deserialize, Serialize};

/// Stock has been reserved for an order.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    order_id: String,
    amount_cents: u64,
    currency: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Captured<'a> {
    order_id: &'a str,
    amount_cents: u64,
    currency: &'a str,
    charge: &'a str,
}

/// Handles `inventory.reserved`.
#[reactor]
pub fn capture(event: Event<Reserved>, cx: &Context) -> Outcome {
    let Reserved { order_id, amount_cents, currency } = &event.data;
    let limit = cx.config_parsed("limit-cents")?.unwrap_or(1_000_000);
    if *amount_cents > limit {
        return Err(reject(format_args!("{amount_cents} cents are more than the limit of {limit}")));
    }
    // The key is the same in every attempt, so the service would charge only once even if a response got lost.
    let charge = cx.idempotency_key();
    charge_card(order_id, cx.attempt())?;
    cx.state().set(format!("charge:{order_id}"), amount_cents)?;
    cx.emit("payment.captured", &Captured { order_id, amount_cents: *amount_cents, currency, charge })
}

/// The payment service. Orders `...-slow` are throttled once, `...-flaky` fail twice, `...-down` never succeed.
fn charge_card(order_id: &str, attempt: u32) -> Result<(), Failure> {
    match order_id.rsplit('-').next() {
        Some("slow") if attempt == 1 => Err(retry_after(Duration::from_millis(200), "429: too many requests")),
        Some("flaky") if attempt <= 2 => Err(retry("503: service unavailable")),
        Some("down") => Err(retry("connection refused")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Ended, Ending, Run, Value, json};

    use super::*;

    fn pay(order: &str, amount: u64, attempt: u32) -> Ended {
        let reserved = json!({ "orderId": order, "amountCents": amount, "currency": "EUR" });
        Run::new(capture).config("limit-cents", 5_000).attempt(attempt).event("inventory.reserved", reserved)
    }

    #[test]
    fn a_payment_is_captured_and_recorded() {
        let ended = pay("o1", 900, 1).assert_done().assert_emitted("payment.captured");
        assert_eq!(ended.emit().json::<Value>()["amountCents"], 900);
        assert_eq!(ended.writes["charge:o1"].as_deref(), Some(&b"900"[..]));
    }

    #[test]
    fn a_failing_service_is_tried_again() {
        pay("o1-flaky", 900, 1).assert_retried("503: service unavailable");
        pay("o1-flaky", 900, 3).assert_done();
        pay("o1-down", 900, 5).assert_retried("connection refused");
    }

    #[test]
    fn a_busy_service_says_when_to_come_back() {
        let ending = pay("o1-slow", 900, 1).assert_silent().ending;
        assert!(matches!(ending, Ending::Retried { after: Some(after), .. } if after.as_millis() == 200), "{ending:?}");
        pay("o1-slow", 900, 2).assert_done();
    }

    #[test]
    fn too_much_is_rejected_at_once() {
        pay("o1", 5_000, 1).assert_done();
        pay("o1", 5_001, 1).assert_rejected("5001 cents are more than the limit of 5000");
    }
}
