//! The host's side of the contract: what each import does and what it counts.

mod emit;
mod log;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::CallHook;

use reactor_core::event::{Fault, Identity, Version};
use reactor_core::guest::{Call, Effect};

use super::bindings::reactor::guest::{attempt, clock, config, random, types};
use super::http::Requests;
use super::limits::{HostFault, Limits, MemoryMeter};
use super::module::Shared;
use super::wasi::Wasi;

/// The data of a run's wasmtime store: what the run has and what it has done.
pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    pub(super) call: Call,
    pub(super) memory: MemoryMeter,
    pub(super) host_calls: u32,
    pub(super) reads: BTreeMap<String, Option<(Bytes, Version)>>,
    pub(super) writes: BTreeMap<String, Option<Bytes>>,
    /// Emitted events; the state writes are added when the run has ended.
    pub(super) emits: Vec<Effect>,
    /// Whether the instance was created; later failures are the guest's.
    pub(super) started: bool,
    /// The last line logged as an error: the SDK reports a panic that way, just before the trap.
    pub(super) last_error: Option<String>,
    /// Its WASI data, if its module imports any.
    pub(super) wasi: Option<Box<Wasi>>,
    read_bytes: usize,
    write_bytes: usize,
    emit_bytes: usize,
    log_lines: u32,
    log_bytes: usize,
    log_truncated: bool,
}

impl Host {
    pub(super) fn new(shared: Arc<Shared>, call: Call) -> Self {
        let memory = MemoryMeter::new(shared.spec.memory);
        let wasi = shared.wasi.then(|| Box::new(Wasi::new(&shared, &call)));
        Self {
            wasi,
            shared,
            call,
            memory,
            host_calls: 0,
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            emits: Vec::new(),
            started: false,
            last_error: None,
            read_bytes: 0,
            write_bytes: 0,
            emit_bytes: 0,
            log_lines: 0,
            log_bytes: 0,
            log_truncated: false,
        }
    }

    fn limits(&self) -> &Limits {
        &self.shared.spec.limits
    }

    /// Counts a call of the contract. If a module imports WASI, all its calls are counted on entry instead.
    fn enter(&mut self) -> wasmtime::Result<()> {
        if self.wasi.is_none() { self.count() } else { Ok(()) }
    }

    /// Checks every call between a module that imports WASI and the host.
    pub(super) fn crossing(&mut self, crossing: CallHook) -> wasmtime::Result<()> {
        if matches!(crossing, CallHook::CallingHost) {
            self.count()?;
        }
        // Reported at the next crossing of any kind: bytes are counted while they are sent.
        let requests = self.wasi.as_ref().and_then(|wasi| wasi.requests.as_ref());
        match requests.and_then(Requests::exceeded) {
            Some(detail) => Err(HostFault::error(Fault::HttpLimit, detail)),
            None => Ok(()),
        }
    }

    fn count(&mut self) -> wasmtime::Result<()> {
        let most = self.limits().host_calls;
        if self.host_calls >= most {
            return Err(HostFault::error(Fault::HostCallLimit, format!("more than {most} host calls")));
        }
        self.host_calls += 1;
        Ok(())
    }
}

impl types::Host for Host {}

impl attempt::Host for Host {
    fn current(&mut self) -> wasmtime::Result<attempt::Attempt> {
        self.enter()?;
        let reactor = &self.shared.spec.reactor;
        Ok(attempt::Attempt {
            reactor: reactor.clone(),
            number: self.call.attempt,
            max_attempts: self.call.max_attempts,
            idempotency_key: Identity::of(&[&self.call.identity.0, reactor.as_bytes()]).to_string(),
        })
    }
}

impl config::Host for Host {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.enter()?;
        Ok(self.call.world.config(&key))
    }
}

impl clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<types::Timestamp> {
        self.enter()?;
        Ok(u64::try_from(self.call.world.wall().as_millisecond()).unwrap_or(0))
    }
}

impl random::Host for Host {
    fn next(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.call.world.random())
    }
}

/// The beginning of a text, at most `most` bytes, cut between characters.
pub(super) fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
