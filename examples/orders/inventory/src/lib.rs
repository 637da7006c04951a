//! Inventory: reserves stock for a placed order, and releases it when the order is cancelled.
//!
//! The host runs the events of one order one after the other (`order-by`), in the order in which they arrived. A
//! cancellation that arrives before its order is remembered, so that the order reserves nothing.

use reactor_guest::{Context, Event, Outcome, Raw, reactor, reject};
use serde::{Deserialize, Serialize};

/// An order, as the shop publishes it. Version 2 has a gift note, which inventory ignores.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    order_id: String,
    sku: String,
    quantity: u32,
    amount_cents: u64,
    currency: String,
}

/// An order that the customer has cancelled.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    order_id: String,
}

/// The state of an order.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum Order {
    /// Stock is reserved.
    Reserved {
        /// The article.
        sku: String,
        /// The number of pieces.
        quantity: u32,
    },
    /// There was not enough.
    Refused,
    /// Cancelled, perhaps before it was placed.
    Cancelled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reserved<'a> {
    order_id: &'a str,
    sku: &'a str,
    quantity: u32,
    amount_cents: u64,
    currency: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused<'a> {
    order_id: &'a str,
    sku: &'a str,
    wanted: u32,
    left: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Released<'a> {
    order_id: &'a str,
    sku: &'a str,
    quantity: u32,
}

/// Handles `order.placed` and `order.cancelled`.
#[reactor]
pub fn orders(event: Event<Raw>, cx: &Context) -> Outcome {
    match event.event_type.as_str() {
        "order.placed" => placed(&event.parse()?, cx),
        "order.cancelled" => cancelled(&event.parse()?, cx),
        other => Err(reject(format_args!("inventory knows nothing of `{other}`"))),
    }
}

fn placed(order: &OrderPlaced, cx: &Context) -> Outcome {
    if order.quantity == 0 {
        return Err(reject("an order of nothing: quantity is 0"));
    }
    let key = format!("order:{}", order.order_id);
    if let Some(known) = cx.state().get::<Order>(&key)? {
        cx.info(format_args!("order {} is already {known:?}", order.order_id));
        return Ok(());
    }
    let left = stock(&order.sku, cx)?;
    let Some(rest) = left.checked_sub(order.quantity) else {
        cx.state().set(&key, &Order::Refused)?;
        let refused = Refused { order_id: &order.order_id, sku: &order.sku, wanted: order.quantity, left };
        return cx.emit("inventory.refused", &refused);
    };
    cx.state().set(format!("stock:{}", order.sku), &rest)?;
    cx.state().set(&key, &Order::Reserved { sku: order.sku.clone(), quantity: order.quantity })?;
    cx.emit(
        "inventory.reserved",
        &Reserved {
            order_id: &order.order_id,
            sku: &order.sku,
            quantity: order.quantity,
            amount_cents: order.amount_cents,
            currency: &order.currency,
        },
    )
}

fn cancelled(order: &OrderCancelled, cx: &Context) -> Outcome {
    let key = format!("order:{}", order.order_id);
    let known = cx.state().get::<Order>(&key)?;
    cx.state().set(&key, &Order::Cancelled)?;
    let Some(Order::Reserved { sku, quantity }) = known else { return Ok(()) };
    let left = stock(&sku, cx)?;
    cx.state().set(format!("stock:{sku}"), &left.saturating_add(quantity))?;
    cx.emit("inventory.released", &Released { order_id: &order.order_id, sku: &sku, quantity })
}

/// The remaining stock of an article; the configured stock if it has not been ordered yet.
fn stock(sku: &str, cx: &Context) -> Result<u32, reactor_guest::Failure> {
    match cx.state().get(format!("stock:{sku}"))? {
        Some(left) => Ok(left),
        None => Ok(cx.config_parsed("initial-stock")?.unwrap_or(100)),
    }
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Run, Value, json};

    use super::*;

    fn order(quantity: u32) -> Value {
        json!({ "orderId": "o1", "sku": "tea", "quantity": quantity, "amountCents": 900, "currency": "EUR" })
    }

    #[test]
    fn an_order_reserves_stock() {
        let mut run = Run::new(orders).config("initial-stock", 5);
        let ended = run.event("order.placed", order(2)).assert_done().assert_emitted("inventory.reserved");
        assert_eq!(ended.emit().json::<Value>(), order(2));
        assert_eq!(run.state_of("stock:tea"), Some(3));
    }

    #[test]
    fn an_order_for_more_than_there_is_reserves_nothing() {
        let mut run = Run::new(orders).state("stock:tea", 1);
        run.event("order.placed", order(2)).assert_done().assert_emitted("inventory.refused");
        assert_eq!(run.state_of("stock:tea"), Some(1));
    }

    #[test]
    fn the_same_order_in_another_event_reserves_nothing_more() {
        let mut run = Run::new(orders);
        run.event("order.placed", order(2)).assert_done();
        run.event("order.placed", order(2)).assert_done().assert_silent();
        assert_eq!(run.state_of("stock:tea"), Some(98));
    }

    #[test]
    fn a_cancellation_gives_the_stock_back_once() {
        let mut run = Run::new(orders);
        run.event("order.placed", order(2)).assert_done();
        run.event("order.cancelled", json!({ "orderId": "o1" })).assert_done().assert_emitted("inventory.released");
        run.event("order.cancelled", json!({ "orderId": "o1" })).assert_done().assert_silent();
        assert_eq!(run.state_of("stock:tea"), Some(100));
    }

    #[test]
    fn a_cancellation_may_come_first() {
        let mut run = Run::new(orders);
        run.event("order.cancelled", json!({ "orderId": "o1" })).assert_done().assert_silent();
        run.event("order.placed", order(2)).assert_done().assert_silent();
        assert_eq!(run.state_of::<u32>("stock:tea"), None);
    }

    #[test]
    fn what_can_never_succeed_is_rejected() {
        let mut run = Run::new(orders);
        run.event("order.placed", order(0)).assert_rejected("an order of nothing");
        run.event("order.placed", json!({ "orderId": "o1" })).assert_rejected("missing field `sku`");
        run.event("order.shipped", json!({})).assert_rejected("`order.shipped`");
    }
}
