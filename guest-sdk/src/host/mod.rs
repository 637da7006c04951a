//! Access to the host: the imports of the WIT contract in a guest, an in-memory stand-in everywhere else.
//!
//! Both have the same inherent methods instead of a shared trait object, because a vtable would make every guest import
//! every interface, used or not.

#[cfg(target_arch = "wasm32")]
mod send;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::Host;
#[cfg(target_arch = "wasm32")]
pub use wasm::{Guest, bindings, run};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::Host;
