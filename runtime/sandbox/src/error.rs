//! Why a module could not be loaded, in messages that say what to do.

use std::path::PathBuf;

use super::grants::DeniedImport;

/// Why a module could not be loaded. The file's name is part of each message.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("{} does not exist; build the module, or correct `module` in the reactor's table", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file has no content.
    #[error("{} is empty; build the module again", .0.display())]
    Empty(PathBuf),
    /// The file is larger than a module may be.
    #[error("{} has {size} bytes, and a module may have at most {most}; build it with the profile `guest` and without debug information", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        most: u64,
    },
    /// The file is not WebAssembly.
    #[error("{} is not WebAssembly: it {}", .0.display(), .1)]
    NotWasm(PathBuf, String),
    /// The file is cut short, or breaks the rules of the format.
    #[error("{} is not a valid module ({}); build it again", .0.display(), .1)]
    Invalid(PathBuf, String),
    /// Compiling the file would take too long or too much memory, judging by its declarations.
    #[error("{} would take too long to compile: {}; split large functions, and build it with optimizations", .0.display(), .1)]
    TooCostly(PathBuf, String),
    /// Compiling the file exceeded its time or memory limit.
    #[error("{} is not compiled: {}", .0.display(), .1)]
    Compiling(PathBuf, String),
    /// A core module without a component type.
    #[error("{} is a core module without a component type; build it with the reactor-guest SDK", .0.display())]
    NoComponentType(PathBuf),
    /// Imports that are not granted.
    #[error("{} imports what it is not granted: {}", .path.display(), list(.imports))]
    Denied {
        /// The file.
        path: PathBuf,
        /// Each import with its remedy.
        imports: Vec<DeniedImport>,
    },
    /// There is no `handle`.
    #[error("{} exports no `handle`; write one with the SDK's `#[reactor]` attribute", .0.display())]
    NoHandle(PathBuf),
    /// Imports or `handle` have types other than those of the contract.
    #[error("{} does not fit this host's contract ({}); build it with this version's SDK", .0.display(), .1)]
    Mismatch(PathBuf, String),
    /// The reactor's memory is more than the engine provides, or less than the module starts with.
    #[error("{}: {}", .0.display(), .1)]
    Memory(PathBuf, String),
    /// The host failed.
    #[error("cannot prepare {}: {}", .0.display(), .1)]
    Host(PathBuf, String),
}

fn list(denied: &[DeniedImport]) -> String {
    denied.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
