//! The content of a file, and how a core module becomes a component.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use wasmparser::{BinaryReaderError, Chunk, Encoding, Imports, Parser, Payload, Validator};

use super::compile::Refusal;
use super::contract;
use super::cost::{Meter, TooCostly, name_of};
use super::error::LoadError;
use super::grants::Grants;

/// Maximum number of functions in all modules of a file; more take longer to compile than a start may last.
const MAX_FUNCTIONS: u64 = 100_000;

/// Maximum number of interfaces that a file may import; this host has a few dozen.
pub(super) const MAX_IMPORTS: usize = 1_000;

/// Maximum nesting of modules and components, and their total number. Wrapped by the encoder, a module has a depth of
/// two and a handful of parts; a million levels, which fit in a file, take minutes to compile.
const MAX_DEPTH: usize = 16;
const MAX_PARTS: usize = 1_000;

/// Rejects a file that is not a module, imports more than it is granted, or costs too much to compile; reads it once.
pub(super) fn inspect(path: &Path, bytes: &[u8], grants: Grants) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty(path.to_owned()));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm(path.to_owned(), describe(bytes)));
    }
    let invalid = |error: &dyn std::fmt::Display| LoadError::Invalid(path.to_owned(), error.to_string());
    let found = survey(bytes).map_err(|error| invalid(&error))?;
    if let Some(cost) = &found.cost {
        return Err(LoadError::TooCostly(path.to_owned(), too_costly(bytes, cost)));
    }
    if found.functions > MAX_FUNCTIONS {
        return Err(invalid(&format!("it has {} functions, and at most {MAX_FUNCTIONS} are allowed", found.functions)));
    }
    if found.depth > MAX_DEPTH || found.parts > MAX_PARTS {
        return Err(invalid(&format!(
            "it holds more than {MAX_PARTS} modules and components, or nests them deeper than {MAX_DEPTH}"
        )));
    }
    if found.component {
        return Ok(());
    }
    if found.imports.len() > MAX_IMPORTS {
        return Err(too_many_imports(path));
    }
    let imports: Vec<String> = found.imports.into_iter().map(str::to_owned).collect();
    let denied = grants.check(&imports);
    if !denied.is_empty() {
        return Err(LoadError::Denied { path: path.to_owned(), imports: denied });
    }
    if !found.typed {
        return Err(LoadError::NoComponentType(path.to_owned()));
    }
    if !found.handle {
        return Err(LoadError::NoHandle(path.to_owned()));
    }
    Ok(())
}

/// Why a file with too many imports is rejected: a list of all that are not granted would be of no use.
pub(super) fn too_many_imports(path: &Path) -> LoadError {
    LoadError::Invalid(path.to_owned(), format!("it imports more than {MAX_IMPORTS} interfaces"))
}

/// The file's content as a component.
pub(super) fn encoded(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if Parser::is_component(bytes) {
        return Ok(bytes.into());
    }
    let invalid = |error: BinaryReaderError| Refusal::Invalid(error.to_string());
    let core = without_types(bytes).map_err(invalid)?;
    // The encoder does not distinguish a broken module from a mismatch, but the remedies differ.
    contract::encode(core).map(Cow::Owned).map_err(|error| match Validator::new().validate_all(bytes) {
        Ok(_) => Refusal::Mismatch(format!("{:#}", error.root_cause())),
        Err(broken) => invalid(broken),
    })
}

#[derive(Default)]
struct Survey<'a> {
    component: bool,
    typed: bool,
    /// Whether a core module has an export named `handle`.
    handle: bool,
    functions: u64,
    /// Deepest level of nesting; 1 = no nesting.
    depth: usize,
    parts: usize,
    /// The modules that core functions are imported from.
    imports: BTreeSet<&'a str>,
    /// Why it is too expensive to compile, if it is.
    cost: Option<TooCostly>,
}

fn too_costly(bytes: &[u8], cost: &TooCostly) -> String {
    let TooCostly::Function { module, index, .. } = cost else { return cost.to_string() };
    match name_of(bytes, *module, *index) {
        Some(name) => format!("function {index} (`{name}`) {cost}"),
        None => format!("function {index} {cost}"),
    }
}

/// Walks the sections and adds up the compile cost, up to the limit.
fn survey(bytes: &[u8]) -> Result<Survey<'_>, BinaryReaderError> {
    let mut found = Survey::default();
    let (mut level, mut meter) = (0_usize, Meter::default());
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        found.cost = meter.take(&payload)?;
        if found.cost.is_some() {
            break;
        }
        match payload {
            Payload::Version { encoding, .. } => {
                found.component |= level == 0 && encoding == Encoding::Component;
                level += 1;
                found.parts += 1;
                found.depth = found.depth.max(level);
                if found.depth > MAX_DEPTH || found.parts > MAX_PARTS {
                    break;
                }
            }
            Payload::End(_) => level = level.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => found.functions += u64::from(count),
            Payload::ImportSection(imports) if !found.component => {
                for group in imports {
                    if found.imports.len() > MAX_IMPORTS {
                        break;
                    }
                    found.imports.insert(match group? {
                        Imports::Single(_, import) => import.module,
                        Imports::Compact1 { module, .. } | Imports::Compact2 { module, .. } => module,
                    });
                }
            }
            Payload::ExportSection(exports) if !found.component => {
                for export in exports {
                    found.handle |= export?.name == "handle";
                }
            }
            payload => found.typed |= is_type(&payload),
        }
    }
    Ok(found)
}

fn is_type(payload: &Payload) -> bool {
    matches!(payload, Payload::CustomSection(section) if section.name().starts_with("component-type"))
}

/// A core module without its component-type sections.
fn without_types(bytes: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut parser = Parser::new(0);
    let (mut rest, mut kept) = (bytes, Vec::with_capacity(bytes.len()));
    while let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? {
        let (section, after) = rest.split_at(consumed);
        rest = after;
        if !is_type(&payload) {
            kept.extend_from_slice(section);
        }
        if matches!(payload, Payload::End(_)) {
            break;
        }
    }
    Ok(kept)
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
