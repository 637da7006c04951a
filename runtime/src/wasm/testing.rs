//! Modules for tests, from core WebAssembly and the contract alone, without a guest toolchain.

use anyhow::Context;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../../guest-sdk/wit/reactor.wit");

/// A core module with the component-type section of the world `reactor` added: what a guest toolchain emits.
///
/// # Errors
/// The bytes are no core module.
pub fn typed_core(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("reactor.wit", CONTRACT).context("the contract")?;
    let world = resolve.select_world(&[package], Some("reactor"))?;
    let mut typed = core.to_vec();
    wit_component::embed_component_metadata(&mut typed, &resolve, world, StringEncoding::UTF8)?;
    Ok(typed)
}

/// A component from a core module that imports and exports by the canonical names (`reactor:guest/log@0.1.0`, ...).
///
/// # Errors
/// The module does not fit the world `reactor`.
pub fn component(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(&typed_core(core)?)?.encode()
}
