//! Reactor's host.

pub mod cli;
pub mod clock;
pub mod config;
pub mod event;
pub mod json;
pub mod pipeline;
pub mod store;
pub mod subscription;
pub mod wasm;
