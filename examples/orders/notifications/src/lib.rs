//! Tells customers what became of their orders: one message for each order and kind of news.
//!
//! It takes `order.*`, `inventory.*` and `payment.*`, and emits `notification.sent`, which a mailer would take. Events
//! that are no news for a customer end as done without a message.
//!
//! State: `sent/<orderId>/<event type>` = the message, `count/<orderId>` = how many there were.

use reactor_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// What the events of an order have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AboutOrder {
    order_id: String,
}

/// A message, as kept in the state and as published.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    order_id: &'a str,
    about: &'a str,
    text: String,
    /// When it happened, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u64>,
}

/// Takes what happens to orders.
#[reactor]
pub fn notifications(event: Event<AboutOrder>, cx: &Context) -> Outcome {
    let order_id = &event.data.order_id;
    let Some(text) = news(&event.event_type) else {
        cx.debug(format_args!("{} is no news for a customer", event.event_type));
        return Ok(());
    };
    let key = format!("sent/{order_id}/{}", event.event_type);
    if cx.state().get_bytes(&key)?.is_some() {
        cx.info("told before; nothing to do");
        return Ok(());
    }
    let text = format!("Your order {order_id} {text}.");
    let message = Message { order_id, about: &event.event_type, text, time: event.time.map(Timestamp::as_millis) };
    cx.state().set(&key, &message)?;
    cx.state().update(format!("count/{order_id}"), |count: Option<u32>| count.unwrap_or(0).saturating_add(1))?;
    cx.info(&message.text);
    cx.emit("notification.sent", &message)
}

fn news(event_type: &str) -> Option<&'static str> {
    Some(match event_type {
        "order.placed" => "has arrived",
        "order.cancelled" => "is cancelled",
        "inventory.rejected" => "is out of stock",
        "payment.captured" => "is paid",
        "payment.refunded" => "is refunded",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Run, Value, json};

    use super::*;

    #[test]
    fn news_is_told_once_for_each_order() {
        let mut run = Run::new(notifications);
        let ended = run.event("payment.captured", json!({ "orderId": "o-1", "amount": 5 })).assert_done();
        assert_eq!(ended.emit().json::<Value>()["text"], "Your order o-1 is paid.");
        run.event("payment.captured", json!({ "orderId": "o-1" })).assert_done().assert_silent();
        run.event("payment.captured", json!({ "orderId": "o-2" })).assert_done().assert_emitted("notification.sent");
        run.event("payment.refunded", json!({ "orderId": "o-1" })).assert_done().assert_emitted("notification.sent");
        assert_eq!((run.state_of("count/o-1"), run.state_of("count/o-2")), (Some(2), Some(1)));
    }

    #[test]
    fn what_is_no_news_is_done_without_a_message() {
        let mut run = Run::new(notifications);
        run.event("inventory.reserved", json!({ "orderId": "o-1" })).assert_done().assert_silent();
        assert!(run.state_keys().is_empty());
    }

    #[test]
    fn an_event_without_an_order_is_rejected() {
        let mut run = Run::new(notifications);
        run.event("order.placed", json!({ "id": 1 })).assert_rejected("missing field `orderId`");
    }
}
