//! Log lines: on stderr, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::{Global, LogFormat};

/// The SDK tells at length which places it looked for a region and credentials in; what comes of it is told at first use.
const FILTER: &str = "info,aws_config=error,aws_smithy_runtime=error,aws_runtime=error";

/// Begins to log. Without `RUST_LOG`, what an operator needs: information and above.
pub(super) fn start(global: &Global) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let lines = fmt().with_env_filter(filter).with_writer(super::status::Above::default).with_ansi(global.colored());
    match global.log {
        LogFormat::Text => lines.with_target(false).compact().init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
