//! Write consumers for Reactor: a function from an event to an outcome.
//!
//! ```
//! use reactor_guest::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "camelCase")]
//! struct OrderPlaced {
//!     order_id: String,
//!     quantity: u32,
//! }
//!
//! #[derive(Serialize)]
//! #[serde(rename_all = "camelCase")]
//! struct Reserved<'a> {
//!     order_id: &'a str,
//!     left: u32,
//! }
//!
//! #[reactor]
//! fn placed(event: Event<OrderPlaced>, cx: &Context) -> Outcome {
//!     let stock: u32 = cx.state().get("stock")?.unwrap_or(100);
//!     let left = stock.checked_sub(event.data.quantity).or_reject("out of stock")?;
//!     cx.state().set("stock", &left)?;
//!     cx.emit("inventory.reserved", &Reserved { order_id: &event.data.order_id, left })
//! }
//! # use reactor_guest::testing::{Run, json};
//! # let mut run = Run::new(placed);
//! # run.event("order.placed", json!({ "orderId": "o-1", "quantity": 98 })).assert_done();
//! # run.event("order.placed", json!({ "orderId": "o-2", "quantity": 3 })).assert_rejected("out of stock");
//! ```
//!
//! # What the host promises
//!
//! The host creates a fresh instance for every attempt and calls the handler once, with one event. If it returns `Ok`,
//! its state writes, its emitted events and the mark that this event is done commit in one transaction; if it fails in
//! any way, none of that happens. Delivery is at least once; the effects commit at most once. Nothing else carries over
//! from one event to the next: statics start over each time, and data that has to last goes into the [`State`].
//!
//! # How a run ends
//!
//! | the handler | the event |
//! |---|---|
//! | returns `Ok(())` | is done |
//! | returns any error through `?`, or [`retry`], [`retry_after`] | runs again, as the reactor's retry policy says |
//! | returns [`reject`], or uses [`or_reject`](OrFail::or_reject) | goes to the dead letters at once |
//! | panics | is a trap, and runs again; the message and place of the panic are in the log |
//!
//! Data that cannot be read as the handler's type is rejected before the handler is called, with the reason and the
//! place in the data.
//!
//! # What else came with an event
//!
//! Message attributes of SQS and SNS, extensions of CloudEvents, and the account, region and resources of EventBridge
//! are [attributes](Context::attribute), with their types:
//!
//! ```
//! use reactor_guest::prelude::*;
//!
//! #[reactor]
//! fn billed(event: Event<Raw>, cx: &Context) -> Outcome {
//!     let tenant = cx.attribute("tenant").and_then(Attribute::as_str).or_reject("no tenant")?;
//!     cx.state().set(tenant, &event.id)?;
//!     Ok(())
//! }
//! # use reactor_guest::testing::{Run, json};
//! let mut run = Run::new(billed).attribute("tenant", "acme");
//! run.event("order.placed", json!({})).assert_done();
//! assert_eq!(run.state_keys(), ["acme"]);
//! ```
//!
//! # A crate
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! reactor-guest = "0.1"
//! serde = { version = "1", features = ["derive"] }
//!
//! [profile.release]
//! lto = true
//! codegen-units = 1
//! panic = "abort"
//! ```
//!
//! `cargo build --release --target wasm32-unknown-unknown` builds a module that the host can load. A crate has one
//! `#[reactor]`; one that takes several types of event uses [`Event<Raw>`](Raw) and [parses](Event::parse) by type.
//!
//! # Tests
//!
//! Handlers run natively under `cargo test`; see `reactor_guest::testing`.
//!
//! # Allocation
//!
//! On wasm32-unknown-unknown the feature `bump-allocator` (a default) installs an allocator that never frees, which
//! suits an instance that lives for one event; on WASI memory is shared with the C library, whose allocator stays. A
//! crate that has its own allocator, or needs an enormous number of short-lived allocations within its memory limit,
//! depends on this one with `default-features = false`.

// The expansion of `#[reactor]` names this crate, even in its own tests.
#[cfg(test)]
extern crate self as reactor_guest;

mod attribute;
mod event;
mod place;
mod timestamp;

mod outcome;

mod config;
mod context;
mod emit;
mod http;
mod log;
mod state;

mod bump;
mod host;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(hidden)]
pub mod __private;

pub use attribute::{Attribute, AttributeValue};
pub use config::ConfigError;
pub use context::Context;
pub use emit::NewEvent;
pub use event::{Event, FromData, Raw};
pub use http::{Http, HttpError, Request, Response, Sent};
pub use log::Level;
pub use outcome::{Failure, OrFail, Outcome, reject, retry, retry_after};
pub use state::{State, StateError};
pub use timestamp::Timestamp;

/// Makes a function the handler of this module, which the host calls with each event.
///
/// The function is `fn name(event: Event<T>, cx: &Context) -> Outcome`, where `T` is [`Raw`] or implements
/// [`serde::Deserialize`]. It stays an ordinary function, so that tests can call it. A crate has one.
pub use reactor_guest_macros::reactor;

/// Everything that a handler usually needs: `use reactor_guest::prelude::*;`
pub mod prelude {
    pub use crate::{
        Attribute, Context, Event, Failure, Level, OrFail, Outcome, Raw, Timestamp, reactor, reject, retry, retry_after,
    };
}
