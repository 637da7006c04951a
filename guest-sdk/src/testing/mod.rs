//! Runs handlers natively, under `cargo test`, without a Wasm build.
//!
//! A [`Run`] is a reactor with its state and config. For each event, it runs the handler once, as the host would, and
//! commits the effects of a success, so that the next event sees them.
//!
//! ```
//! use reactor_guest::prelude::*;
//! use reactor_guest::testing::{Run, json};
//!
//! #[derive(serde::Deserialize)]
//! struct Placed {
//!     quantity: u32,
//! }
//!
//! #[reactor]
//! fn placed(event: Event<Placed>, cx: &Context) -> Outcome {
//!     let stock: u32 = cx.state().get("stock")?.unwrap_or(100);
//!     let left = stock.checked_sub(event.data.quantity).or_reject("out of stock")?;
//!     cx.state().set("stock", &left)?;
//!     cx.emit("inventory.reserved", &json!({ "left": left }))
//! }
//!
//! let mut run = Run::new(placed).state("stock", 3);
//! run.event("order.placed", json!({ "quantity": 2 })).assert_done().assert_emitted("inventory.reserved");
//! run.event("order.placed", json!({ "quantity": 2 })).assert_rejected("out of stock");
//! assert_eq!(run.state_of("stock"), Some(1));
//! ```

mod ended;
mod run;

pub use serde_json::{Value, json};

pub use crate::http::Sent;

pub use ended::{Emitted, Ended, Ending};
pub use run::Run;

#[cfg(test)]
mod tests;
