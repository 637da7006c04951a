//! What a file holds, and how a core module becomes a component.

use std::borrow::Cow;
use std::path::Path;

use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use super::error::LoadError;

/// Functions in all modules of a file; more take longer to compile than a start may last.
const MAX_FUNCTIONS: u64 = 100_000;

/// The file's content as a component.
pub(super) fn to_component<'a>(path: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty(path.to_owned()));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm(path.to_owned(), describe(bytes)));
    }
    let invalid = |error: &dyn std::fmt::Display| LoadError::Invalid(path.to_owned(), error.to_string());
    let found = survey(bytes).map_err(|error| invalid(&error))?;
    if found.functions > MAX_FUNCTIONS {
        return Err(invalid(&format!("it has {} functions, and {MAX_FUNCTIONS} are allowed", found.functions)));
    }
    if found.component {
        return Ok(bytes.into());
    }
    if !found.typed {
        return Err(LoadError::NoComponentType(path.to_owned()));
    }
    let encoded = ComponentEncoder::default().validate(true).module(bytes).and_then(|mut encoder| encoder.encode());
    encoded.map(Cow::Owned).map_err(|error| invalid(&format!("{error:#}")))
}

#[derive(Default)]
struct Survey {
    component: bool,
    typed: bool,
    functions: u64,
}

/// Walks the sections, without looking into code.
fn survey(bytes: &[u8]) -> Result<Survey, wasmparser::BinaryReaderError> {
    let mut found = Survey::default();
    let mut first = true;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding, .. } if first => {
                found.component = encoding == Encoding::Component;
                first = false;
            }
            Payload::CodeSectionStart { count, .. } => found.functions += u64::from(count),
            Payload::CustomSection(section) if section.name().starts_with("component-type") => found.typed = true,
            _ => {}
        }
    }
    Ok(found)
}

fn describe(bytes: &[u8]) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    let start = start.trim_start();
    if start.starts_with("(module") || start.starts_with("(component") || start.starts_with(";;") {
        return "is WebAssembly text; turn it into the binary format, for example with `wasm-tools parse`".to_owned();
    }
    if bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"\xcf\xfa\xed\xfe") {
        return "is a program for this machine; build it for `wasm32-unknown-unknown`".to_owned();
    }
    let shown: String = start.chars().take(16).collect();
    format!("begins with {shown:?}; correct `module` in the reactor's table")
}
