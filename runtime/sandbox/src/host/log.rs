//! Log lines from the guest.

use reactor_core::guest::LOG_TARGET;

use super::super::bindings::reactor::guest::log;
use super::{Host, clip};

impl log::Host for Host {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.enter()?;
        if level == log::Level::Error {
            self.last_error = Some(clip(&message, 2_000).to_owned());
        }
        if self.log_truncated {
            return Ok(());
        }
        self.log_lines += 1;
        self.log_bytes = self.log_bytes.saturating_add(message.len());
        let limits = self.limits();
        self.log_truncated = self.log_lines > limits.log_lines || self.log_bytes > limits.log_bytes;
        let (level, text) = if self.log_truncated {
            (log::Level::Warn, "truncated: the attempt has reached its limit of log lines".to_owned())
        } else {
            (level, message)
        };
        // The log writer escapes it. The span of the run names the reactor, the event and the attempt.
        match level {
            log::Level::Trace => tracing::trace!(target: LOG_TARGET, "{text}"),
            log::Level::Debug => tracing::debug!(target: LOG_TARGET, "{text}"),
            log::Level::Info => tracing::info!(target: LOG_TARGET, "{text}"),
            log::Level::Warn => tracing::warn!(target: LOG_TARGET, "{text}"),
            log::Level::Error => tracing::error!(target: LOG_TARGET, "{text}"),
        }
        Ok(())
    }
}
