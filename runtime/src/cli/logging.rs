//! Log lines: on stderr, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::{Global, LogFormat};

/// Begins to log. Without `RUST_LOG`, what an operator needs: information and above.
pub(super) fn start(global: &Global) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(global.colored());
    match global.log {
        LogFormat::Text => lines.with_target(false).compact().init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
