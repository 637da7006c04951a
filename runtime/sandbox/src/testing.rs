//! Modules for tests, built from core WebAssembly and the contract alone, without a guest toolchain.

use super::contract;

/// Adds the component-type section of the world `reactor` to a core module, as a guest toolchain does.
///
/// # Errors
/// The bytes are not a core module.
pub fn typed_core(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    contract::with_type(core.to_vec())
}

/// A component from a core module that imports and exports by the canonical names (`reactor:guest/log@0.2.0`, ...).
///
/// # Errors
/// The module does not match the world `reactor`.
pub fn component(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    contract::encode(core.to_vec())
}
