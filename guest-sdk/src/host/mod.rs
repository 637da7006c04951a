//! Access to the host: the imports of the WIT contract in a guest, an in-memory stand-in everywhere else.
//!
//! Both have the same inherent methods instead of a shared trait object, because a vtable would make every guest import
//! every interface, used or not.

mod attempt;
mod exchange;
mod published;
mod state_error;

pub(crate) use attempt::Attempt;
pub(crate) use exchange::Answer;
pub use exchange::{HttpError, Sent};
pub(crate) use published::Published;
pub use state_error::StateError;

#[cfg(target_arch = "wasm32")]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
mod send;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::Host;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::Host;
