//! Notifications: tells the customer what happens to an order, once for each thing that happens.

use reactor_guest::{Context, Event, Outcome, reactor};
use serde::{Deserialize, Serialize};

/// The fields that a notification needs of any event of the flow.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AboutAnOrder {
    order_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    order_id: &'a str,
    text: &'a str,
}

/// Handles `order.*`, `inventory.*` and `payment.*`.
#[reactor]
pub fn notify(event: Event<AboutAnOrder>, cx: &Context) -> Outcome {
    let order_id = &event.data.order_id;
    let Some(text) = text(&event.event_type) else { return Ok(()) };
    let key = format!("sent:{order_id}");
    let sent: u32 = cx.state().get(&key)?.unwrap_or(0);
    cx.state().set(&key, &(sent + 1))?;
    cx.info(format_args!("to the customer of {order_id}: {text}"));
    cx.emit("notification.sent", &Sent { order_id, text })
}

/// The text for the customer; `None` for internal events.
fn text(event_type: &str) -> Option<&'static str> {
    match event_type {
        "order.placed" => Some("We have your order."),
        "order.cancelled" => Some("Your order is cancelled."),
        "inventory.refused" => Some("We are sorry: it is out of stock."),
        "payment.captured" => Some("Thank you for your payment."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Run, Value, json};

    use super::*;

    #[test]
    fn each_thing_that_matters_is_told_once() {
        let mut run = Run::new(notify);
        run.event("order.placed", json!({ "orderId": "o1", "more": true })).assert_done();
        let ended = run.event("payment.captured", json!({ "orderId": "o1" })).assert_done();
        assert_eq!(ended.emit().json::<Value>()["text"], "Thank you for your payment.");
        assert_eq!(ended.logs[0].1, "to the customer of o1: Thank you for your payment.");
        assert_eq!(run.state_of("sent:o1"), Some(2));
    }

    #[test]
    fn what_is_internal_is_not_told() {
        Run::new(notify).event("inventory.reserved", json!({ "orderId": "o1" })).assert_done().assert_silent();
    }

    #[test]
    fn an_event_without_an_order_is_rejected() {
        Run::new(notify).event("order.placed", json!({})).assert_rejected("missing field `orderId`");
    }
}
