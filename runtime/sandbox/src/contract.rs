//! The contract as text, and as the section that tells the encoder what component to make of a core module.

use anyhow::Context;
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use super::previous;

/// The contract that this host was built with.
pub(super) const CONTRACT: &str = include_str!("../../../guest-sdk/wit/reactor.wit");
/// The previous contract, for which modules may have been built.
const PREVIOUS: &str = include_str!("contract/reactor-0.1.0.wit");
/// The standard packages that it uses, each after the ones that it uses itself.
const STANDARD: [(&str, &str); 3] = [
    ("io.wit", include_str!("../../../guest-sdk/wit/deps/io/io.wit")),
    ("clocks.wit", include_str!("../../../guest-sdk/wit/deps/clocks/clocks.wit")),
    ("http.wit", include_str!("../../../guest-sdk/wit/deps/http/http.wit")),
];

/// Adds the component-type section of the widest world to a core module, from the contract whose interfaces it imports.
pub(super) fn with_type(mut core: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let contract = if imports_previous(&core) { PREVIOUS } else { CONTRACT };
    let mut resolve = Resolve::default();
    for (name, text) in STANDARD {
        resolve.push_str(name, text).context("a standard package")?;
    }
    let package = resolve.push_str("reactor.wit", contract).context("the contract")?;
    let world = resolve.select_world(&[package], Some("reactor-with-http"))?;
    wit_component::embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)?;
    Ok(core)
}

/// Whether a core module imports interfaces of the previous contract. Bytes that are not a module import nothing.
fn imports_previous(core: &[u8]) -> bool {
    for payload in Parser::new(0).parse_all(core) {
        match payload {
            Ok(Payload::ImportSection(section)) => {
                let mut imports = section.into_imports();
                return imports.any(|import| import.is_ok_and(|import| previous::is_import(import.module)));
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Makes a component of a core module, which must have no component-type section. Interfaces that it does not import
/// are left out.
///
/// The guest's own section is never read: the reader overflows the stack on types that refer to themselves, and a
/// module that needs more than this host's contract cannot run here anyway.
pub(super) fn encode(core: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(&with_type(core)?)?.encode()
}
