//! The guest's standard output and error: lines in the host's log, within the limits of log lines.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use reactor_core::guest::LOG_TARGET;

use crate::limits::Limits;

/// Maximum length of a line; a longer one is split.
const MAX_LINE: usize = 4 << 10;

/// A stream whose lines go to the log at this level.
pub(super) fn lines(level: Level, limits: &Limits) -> Lines {
    let rest = Rest { level, text: Vec::new(), lines: limits.log_lines, bytes: limits.log_bytes, over: false };
    Lines(Arc::new(Mutex::new(rest)))
}

/// All handles of a stream share the same unfinished line.
#[derive(Clone)]
pub(super) struct Lines(Arc<Mutex<Rest>>);

/// The unfinished line, and what may still be logged.
struct Rest {
    level: Level,
    text: Vec<u8>,
    lines: u32,
    bytes: usize,
    over: bool,
}

impl Rest {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte != b'\n' {
                self.text.push(*byte);
            }
            if *byte == b'\n' || self.text.len() >= MAX_LINE {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let text = std::mem::take(&mut self.text);
        if self.over {
            return;
        }
        self.over = self.lines == 0 || self.bytes < text.len();
        if self.over {
            tracing::warn!(target: LOG_TARGET, "truncated: the attempt has reached its limit of printed lines");
            return;
        }
        (self.lines, self.bytes) = (self.lines - 1, self.bytes - text.len());
        let text = String::from_utf8_lossy(&text);
        if self.level == Level::WARN {
            tracing::warn!(target: LOG_TARGET, "{text}");
        } else {
            tracing::info!(target: LOG_TARGET, "{text}");
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.end();
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi::p2::Pollable for Lines {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi::p2::OutputStream for Lines {
    fn write(&mut self, bytes: bytes::Bytes) -> wasmtime_wasi::p2::StreamResult<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> wasmtime_wasi::p2::StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> wasmtime_wasi::p2::StreamResult<usize> {
        Ok(MAX_LINE)
    }
}
