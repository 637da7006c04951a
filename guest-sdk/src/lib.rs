//! Write a [Reactor](https://docs.rs/reactor-guest) consumer in Rust.
//!
//! A consumer is one function. It gets an event, reads and writes its own state, emits events, and says how it went.
//! The host runs it in a fresh sandbox for every event and commits all it did in one transaction, or nothing.
//!
//! ```
//! use reactor_guest::{reactor, Context, Event, OrFail, Outcome};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct OrderPlaced { order_id: String, quantity: u32 }
//!
//! #[derive(Serialize)]
//! struct Reserved<'a> { order_id: &'a str, left: u32 }
//!
//! #[reactor]
//! fn placed(event: Event<OrderPlaced>, cx: &Context) -> Outcome {
//!     let stock: u32 = cx.state().get("stock")?.unwrap_or(100);
//!     let left = stock.checked_sub(event.data.quantity).or_reject("out of stock")?;
//!     cx.state().set("stock", &left)?;
//!     cx.emit("inventory.reserved", &Reserved { order_id: &event.data.order_id, left })
//! }
//!
//! # use reactor_guest::testing::Run;
//! # use serde_json::json;
//! let run = Run::new(placed).state("stock", 3).event("order.placed", json!({ "order_id": "o1", "quantity": 2 }));
//! assert_eq!(run.state::<u32>("stock"), Some(1));
//! assert_eq!(run.emitted("inventory.reserved"), [json!({ "order_id": "o1", "left": 1 })]);
//! ```
//!
//! # How a run ends
//!
//! - `Ok(())`: everything is committed and the event is done.
//! - `?` on any error, or [`retry`], [`retry_after`]: nothing is committed, and the host runs it again by its policy.
//! - [`reject`], [`OrFail::or_reject`]: nothing is committed, and the event becomes a dead letter at once.
//! - A panic: like a retry. Its message and place are in the host's log and in the dead letter.
//!
//! # Building
//!
//! `crate-type = ["cdylib", "rlib"]`, and `cargo build --release --target wasm32-unknown-unknown`. Only the interfaces
//! that the code uses are imported, so that the host can check them against what the configuration grants.

#[cfg(all(target_arch = "wasm32", feature = "bump-allocator"))]
mod allocator;
mod context;
mod emit;
mod event;
#[cfg_attr(target_arch = "wasm32", path = "host/wasm.rs")]
#[cfg_attr(not(target_arch = "wasm32"), path = "host/native.rs")]
mod host;
mod outcome;
mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use context::{Context, Level};
pub use emit::Emission;
pub use event::{Event, Payload, Raw};
pub use outcome::{Failure, OrFail, Outcome, reject, retry, retry_after};
pub use reactor_guest_macros::reactor;
pub use state::{State, StateError};

/// What the `#[reactor]` attribute expands to. Not for direct use.
#[doc(hidden)]
pub mod __private {
    use crate::{Event, Payload};

    /// Compiles only for a payload that can be read.
    pub fn readable<T: Payload>(_event: &Event<T>) {}

    #[cfg(target_arch = "wasm32")]
    pub use crate::host::{Guest, bindings, export_reactor, run};
}
