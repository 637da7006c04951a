//! Seam: the sandbox. wasmtime appears nowhere else.

mod bindings;
mod cache;
mod contract;
mod engine;
mod error;
mod format;
mod grants;
mod host;
mod limits;
mod meter;
mod module;
mod run;
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineOptions};
pub use error::LoadError;
pub use grants::DeniedImport;
pub use limits::Limits;
pub use module::{GuestSpec, LoadedModule, MAX_MODULE};
