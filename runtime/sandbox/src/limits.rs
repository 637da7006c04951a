//! How much a run may use, and the counters that enforce it.

use wasmtime::ResourceLimiter;

use reactor_core::event::Fault;

use super::http::HttpLimits;

/// What a run may use of the host, besides time and memory. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Host calls of every kind.
    pub host_calls: u32,
    /// Arguments of one host call.
    pub call_bytes: usize,
    /// Log lines; the first excess line is replaced by "truncated", the rest are discarded.
    pub log_lines: u32,
    /// Log text, summed.
    pub log_bytes: usize,
    /// Emitted events.
    pub emits: usize,
    /// Emitted events, payloads and envelopes summed.
    pub emit_bytes: usize,
    /// A state key.
    pub state_key: usize,
    /// A state value.
    pub state_value: usize,
    /// State writes waiting for the commit, keys and values summed.
    pub state_writes: usize,
    /// State values read, keys and values summed; they stay in memory so that repeated reads agree.
    pub state_reads: usize,
    /// HTTP requests.
    pub http: HttpLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            host_calls: 10_000,
            call_bytes: 2 << 20,
            log_lines: 1_000,
            log_bytes: 64 << 10,
            emits: 100,
            emit_bytes: 1 << 20,
            state_key: 1_024,
            state_value: 1 << 20,
            state_writes: 8 << 20,
            state_reads: 64 << 20,
            http: HttpLimits::default(),
        }
    }
}

/// The error with which a host call ends a run.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(super) struct HostFault {
    pub(super) fault: Fault,
    pub(super) detail: String,
}

impl HostFault {
    /// The error as a wasmtime error.
    pub(super) fn error(fault: Fault, detail: impl Into<String>) -> wasmtime::Error {
        wasmtime::Error::new(Self { fault, detail: detail.into() })
    }
}

/// Memories and tables of one run, summed; a limit per memory would allow any number of memories.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    budget: usize,
    used: usize,
    peak: usize,
    /// Bytes of the last growth that was granted, in case it fails after all.
    granted: usize,
    denied: bool,
}

impl MemoryMeter {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, used: 0, peak: 0, granted: 0, denied: false }
    }

    /// Maximum bytes in use at once.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// The denied growth, as a message; `None` if every growth was granted.
    pub(super) fn denied(&self) -> Option<String> {
        self.denied.then(|| format!("its memories and tables together may have {} bytes", self.budget))
    }

    fn grow(&mut self, current: usize, desired: usize, most: Option<usize>) -> bool {
        let more = desired.saturating_sub(current);
        let after = self.used.saturating_add(more);
        if after > self.budget || most.is_some_and(|most| desired > most) {
            self.denied = true;
            return false;
        }
        self.used = after;
        self.peak = self.peak.max(after);
        self.granted = more;
        true
    }

    fn failed(&mut self) {
        self.used = self.used.saturating_sub(self.granted);
        self.granted = 0;
        self.denied = true;
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, most))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        const ELEMENT: usize = size_of::<usize>();
        let bytes = |elements: usize| elements.saturating_mul(ELEMENT);
        Ok(self.grow(bytes(current), bytes(desired), most.map(bytes)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }
}
