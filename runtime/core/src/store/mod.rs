//! Seam: the durable state of a host. `sqlite` is the embedded default, `memory` the model to compare it with.
//!
//! A store has two roles. Any number of processes use it as a [`StoreClient`]: they publish, make requests, and read.
//! One process at a time, the host that runs reactors, opens it as its [`StoreOwner`]. An owner can do everything that
//! a client can.

mod client;
mod dead_letter;
mod history;
mod owner;
pub mod rejected;
mod types;

pub use client::StoreClient;
pub use dead_letter::*;
pub use history::*;
pub use owner::{StoreOwner, Work};
pub use types::*;

/// The result of a store call.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process runs this store.
    #[error("{path} is in use by another `reactor up` (process {pid}); stop it, or set another runtime.data-dir")]
    Locked {
        /// The data directory.
        path: String,
        /// The process that holds it, or `?`.
        pid: String,
    },
    /// The directory holds something else.
    #[error("{path} is not a Reactor data directory: {reason}; move it away, or set another runtime.data-dir")]
    Foreign {
        /// The file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// Written by a newer version.
    #[error("{path} was written by a newer Reactor (store version {found}, this one knows {known}); upgrade Reactor")]
    Newer {
        /// The file.
        path: String,
        /// Version in the file.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged: {detail}; nothing was changed; `reactor store verify` lists all damage: restore a back-up, or go on \
         without what is lost with `reactor store accept-loss`"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What was found, and where.
        detail: String,
    },
    /// Something in the data directory that the store will not follow, open or change.
    #[error("{path} is refused: {reason}")]
    Refused {
        /// The file or directory.
        path: String,
        /// What was found, and how to fix it.
        reason: String,
    },
    /// The store does not exist.
    #[error("there is no store in {path} yet; `reactor up` or `reactor publish` creates it")]
    Missing {
        /// The data directory.
        path: String,
    },
    /// Another process has held a lock for too long. Nothing of the call was applied.
    #[error("{path} is kept busy by {who}; nothing was written; wait until that process has finished, then try again")]
    Busy {
        /// The file.
        path: String,
        /// The process, if it is known.
        who: String,
    },
    /// The open files are no longer the store; the process must stop.
    #[error(
        "the store in {path} was removed, moved or replaced while it was in use: {detail}; what was written since is in \
         the files that were there before, if they still exist; this process must stop (docs/store.md says how to go \
         back to a copy)"
    )]
    Gone {
        /// The data directory.
        path: String,
        /// What was found.
        detail: String,
    },
    /// The disk is full. Nothing of the call was applied.
    #[error(
        "the disk that holds the store is full: nothing was written; free some space, then try again (a host \
         that runs goes on by itself)"
    )]
    Full,
    /// This owner has been replaced; it must stop at once.
    #[error("another host took over this store; this one must stop")]
    Fenced,
    /// A write or fsync failed; what reached the disk is unknown, so the process must stop.
    #[error("the store could not write or sync its file ({detail}); the host must stop")]
    Broken {
        /// What the operating system said.
        detail: String,
    },
    /// Anything else.
    #[error("store: {0}")]
    Other(String),
}
