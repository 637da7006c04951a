//! What all runs of a module share.

use std::sync::Arc;

use super::code::Code;
use super::engine::Inner;
use super::http::Http;
use super::spec::GuestSpec;

/// What all runs of a module share.
pub(super) struct Shared {
    pub(super) spec: GuestSpec,
    pub(super) digest: String,
    pub(super) engine: Arc<Inner>,
    /// Whether the module imports WASI.
    pub(super) wasi: bool,
    /// For modules that import wasi:http.
    pub(super) http: Option<Arc<Http>>,
    /// Keeps the code for other modules with the same content.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is kept, not read"))]
    pub(super) code: Arc<Code>,
}
