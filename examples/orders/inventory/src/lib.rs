//! Reserves stock for orders, and gives it back when they are cancelled.
//!
//! | event | effect |
//! |---|---|
//! | `order.placed`, enough stock | stock falls, `inventory.reserved` |
//! | `order.placed`, too little stock | `inventory.rejected` |
//! | `order.cancelled` after its `order.placed` | stock rises again, `inventory.released` |
//! | `order.cancelled` before its `order.placed` | remembered, so that the order reserves nothing when it comes |
//!
//! State: `stock/<sku>` = units left, `order/<orderId>` = what became of the order.
//! Config: `warehouse`, and `initial-stock`, the units of every article that was never sold.

use reactor_guest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderPlaced {
    order_id: String,
    customer: String,
    sku: String,
    /// Units of the article; 0 for what has none, such as a voucher.
    quantity: u32,
    /// In cents, for the whole order.
    amount: u64,
    currency: String,
    /// Since version 2.
    #[serde(default)]
    gift_note: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderCancelled {
    order_id: String,
}

/// What became of an order, as kept in the state.
#[derive(Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
enum Order {
    Reserved { sku: String, quantity: u32, currency: String },
    OutOfStock,
    Cancelled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reserved<'a> {
    order_id: &'a str,
    customer: &'a str,
    warehouse: &'a str,
    sku: &'a str,
    quantity: u32,
    amount: u64,
    currency: &'a str,
    gift_wrap: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected<'a> {
    order_id: &'a str,
    customer: &'a str,
    sku: &'a str,
    asked: u32,
    left: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Released<'a> {
    order_id: &'a str,
    sku: &'a str,
    quantity: u32,
    currency: &'a str,
}

/// Takes `order.placed` and `order.cancelled`.
#[reactor]
pub fn inventory(event: Event<Raw>, cx: &Context) -> Outcome {
    match event.event_type.as_str() {
        "order.placed" => placed(&event.parse()?, cx),
        "order.cancelled" => cancelled(&event.parse()?, cx),
        other => reject(format_args!("{other} is not for the inventory")),
    }
}

fn placed(event: &Event<OrderPlaced>, cx: &Context) -> Outcome {
    let order = &event.data;
    let (order_key, stock_key) = (format!("order/{}", order.order_id), format!("stock/{}", order.sku));
    if let Some(known) = cx.state().get(&order_key)? {
        cx.info(match known {
            Order::Cancelled => "cancelled before it was placed; nothing to reserve",
            Order::Reserved { .. } | Order::OutOfStock => "placed before; nothing to do",
        });
        return Ok(());
    }
    let left: u32 = match cx.state().get(&stock_key)? {
        Some(left) => left,
        None => cx.config_parsed("initial-stock")?.unwrap_or(100),
    };
    let OrderPlaced { order_id, customer, sku, currency, .. } = order;
    let Some(rest) = left.checked_sub(order.quantity) else {
        cx.state().set(&order_key, &Order::OutOfStock)?;
        let asked = order.quantity;
        return cx.emit("inventory.rejected", &Rejected { order_id, customer, sku, asked, left });
    };
    cx.state().set(&stock_key, &rest)?;
    cx.state()
        .set(&order_key, &Order::Reserved { sku: sku.clone(), quantity: order.quantity, currency: currency.clone() })?;
    let reserved = Reserved {
        order_id,
        customer,
        warehouse: &cx.config("warehouse").or_retry("config `warehouse` is missing")?,
        sku,
        quantity: order.quantity,
        amount: order.amount,
        currency,
        gift_wrap: order.gift_note.is_some(),
    };
    cx.emit("inventory.reserved", &reserved)
}

fn cancelled(event: &Event<OrderCancelled>, cx: &Context) -> Outcome {
    let order_id = &event.data.order_id;
    let order_key = format!("order/{order_id}");
    let known = cx.state().get(&order_key)?;
    cx.state().set(&order_key, &Order::Cancelled)?;
    let Some(Order::Reserved { sku, quantity, currency }) = known else {
        cx.info("nothing was reserved");
        return Ok(());
    };
    cx.state().update(format!("stock/{sku}"), |left: Option<u32>| left.unwrap_or(0).saturating_add(quantity))?;
    cx.emit("inventory.released", &Released { order_id, sku: &sku, quantity, currency: &currency })
}

#[cfg(test)]
mod tests {
    use reactor_guest::testing::{Run, Value, json};

    use super::*;

    fn order(id: &str, quantity: u32) -> Value {
        let (sku, amount) = ("mug", u64::from(quantity) * 1250);
        json!({ "orderId": id, "customer": "c-1", "sku": sku, "quantity": quantity, "amount": amount, "currency": "EUR" })
    }

    fn run() -> Run<Raw, impl Fn(Event<Raw>, &Context) -> Outcome> {
        Run::new(inventory).config("warehouse", "eu-1").config("initial-stock", 5)
    }

    #[test]
    fn an_order_takes_stock() {
        let mut run = run();
        let ended = run.event("order.placed", order("o-1", 2)).assert_done();
        let reserved: Value = ended.emit().json();
        assert_eq!((&reserved["quantity"], &reserved["amount"]), (&json!(2), &json!(2500)));
        assert_eq!(reserved["warehouse"], "eu-1");
        assert_eq!(reserved["giftWrap"], false);
        assert_eq!(run.state_of("stock/mug"), Some(3));
    }

    #[test]
    fn version_2_brings_a_gift_note() {
        let mut data = order("o-1", 1);
        data["giftNote"] = json!("happy birthday");
        let ended = run().envelope(|event| event.version = 2).event("order.placed", data).assert_done();
        assert_eq!(ended.emit().json::<Value>()["giftWrap"], true);
    }

    #[test]
    fn too_little_stock_is_an_answer_and_no_failure() {
        let mut run = run();
        let ended = run.event("order.placed", order("o-1", 6)).assert_done().assert_emitted("inventory.rejected");
        assert_eq!(ended.emit().json::<Value>()["left"], 5);
        assert_eq!(run.state_of::<u32>("stock/mug"), None);
    }

    #[test]
    fn the_same_order_in_another_event_is_ignored() {
        let mut run = run();
        run.event("order.placed", order("o-1", 2)).assert_done();
        run.event("order.placed", order("o-1", 2)).assert_done().assert_silent();
        assert_eq!(run.state_of("stock/mug"), Some(3));
    }

    #[test]
    fn a_cancelled_order_gives_its_stock_back_once() {
        let mut run = run();
        run.event("order.placed", order("o-1", 2)).assert_done();
        run.event("order.cancelled", json!({ "orderId": "o-1" })).assert_done().assert_emitted("inventory.released");
        run.event("order.cancelled", json!({ "orderId": "o-1" })).assert_done().assert_silent();
        assert_eq!(run.state_of("stock/mug"), Some(5));
    }

    #[test]
    fn a_cancellation_may_come_first() {
        let mut run = run();
        run.event("order.cancelled", json!({ "orderId": "o-1" })).assert_done().assert_silent();
        run.event("order.placed", order("o-1", 2)).assert_done().assert_silent();
        assert_eq!(run.state_of::<u32>("stock/mug"), None);
    }

    #[test]
    fn a_voucher_has_no_units_and_takes_no_stock() {
        let mut run = run();
        run.event("order.placed", order("o-1", 0)).assert_done().assert_emitted("inventory.reserved");
        assert_eq!(run.state_of("stock/mug"), Some(5));
    }

    #[test]
    fn what_is_no_order_is_rejected() {
        run().event("order.placed", json!({ "orderId": 7 })).assert_rejected("it is not OrderPlaced");
        run().event("order.shipped", json!({})).assert_rejected("order.shipped is not for the inventory");
    }
}
