//! Log lines: on stderr, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::plain::log::Fields;

use super::status::{Above, AboveJson};
use super::{Global, LogFormat};

/// What an operator needs: information and above. The SDK tells at length which places it looked for a region and
/// credentials in; what comes of it is told at first use.
pub(super) const USUAL: &str = "info,aws_config=error,aws_smithy_runtime=error,aws_runtime=error";

/// Begins to log what `RUST_LOG` says, or else this.
pub(super) fn start(global: &Global, filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let lines = fmt().with_env_filter(filter).with_ansi(global.colored());
    match global.log {
        LogFormat::Text => lines.with_writer(|| Above).with_target(false).compact().fmt_fields(Fields).init(),
        LogFormat::Json => lines.with_writer(|| AboveJson).json().flatten_event(true).init(),
    }
}
