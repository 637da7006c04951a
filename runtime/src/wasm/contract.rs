//! The contract as text, and as the section that tells the encoder which component a core module is.

use anyhow::Context;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The contract that this host was built with.
pub(super) const CONTRACT: &str = include_str!("../../../guest-sdk/wit/reactor.wit");

/// Adds the component-type section of the world `reactor` to a core module.
pub(super) fn with_type(mut core: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("reactor.wit", CONTRACT).context("the contract")?;
    let world = resolve.select_world(&[package], Some("reactor"))?;
    wit_component::embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)?;
    Ok(core)
}

/// Makes a component of a core module, which must have no component-type section.
///
/// The guest's own section is never read: the reader overflows the stack on types that refer to themselves, and a
/// module that needs more than this host's contract cannot run here anyway.
pub(super) fn encode(core: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(&with_type(core)?)?.encode()
}
