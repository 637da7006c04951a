//! Seam: the sandbox. No other crate uses wasmtime.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]
#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

mod bindings;
mod cache;
mod compile;
mod compiler;
mod contract;
mod cost;
mod engine;
mod error;
mod format;
mod grants;
mod host;
mod http;
pub mod http_client;
mod limits;
mod meter;
mod module;
mod previous;
mod run;
mod shared;
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
mod wasi;

pub use compile::compiled_for_another;
pub use compiler::{CompileLimits, Compiler};
pub use engine::{Engine, EngineOptions};
pub use error::LoadError;
pub use grants::DeniedImport;
pub use http::HttpLimits;
pub use limits::Limits;
pub use module::{GuestSpec, LoadedModule, MAX_MODULE};
