//! The host's side of the contract: what each import does, and what it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::bindings::reactor::guest::{attempt, clock, config, emit, log, random, state, types};
use super::limits::{HostFault, Limits, MemoryMeter};
use super::module::Shared;
use crate::event::{Fault, Identity, Version};
use crate::pipeline::invoke::{Call, Emit, emitted_id};

/// Overhead that a buffered entry is charged beside its bytes, so that many empty ones count, too.
const ENTRY: usize = 64;

/// Everything a run has and has done; the data of its wasmtime store.
pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    pub(super) call: Call,
    pub(super) memory: MemoryMeter,
    pub(super) host_calls: u32,
    pub(super) reads: BTreeMap<String, Option<(Bytes, Version)>>,
    pub(super) writes: BTreeMap<String, Option<Bytes>>,
    pub(super) emits: Vec<Emit>,
    /// The last line logged as an error: the SDK reports a panic that way, just before the trap.
    pub(super) last_error: Option<String>,
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
        Self {
            shared,
            call,
            memory,
            host_calls: 0,
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            emits: Vec::new(),
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

    /// Counts a host call.
    fn enter(&mut self) -> wasmtime::Result<()> {
        let most = self.limits().host_calls;
        if self.host_calls >= most {
            return Err(HostFault::error(Fault::HostCallLimit, format!("more than {most} host calls")));
        }
        self.host_calls += 1;
        Ok(())
    }

    fn check_key(&self, key: &str) -> Result<(), state::Error> {
        let most = self.limits().state_key;
        if (1..=most).contains(&key.len()) {
            return Ok(());
        }
        Err(state::Error::InvalidKey(format!("the key has {} bytes; 1 to {most} are allowed", key.len())))
    }

    fn read(&mut self, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        if let Some(own) = self.writes.get(key) {
            return Ok(own.as_ref().map(|value| value.to_vec()));
        }
        if !self.reads.contains_key(key) {
            let found = self.call.state.get(key).map_err(|error| {
                HostFault::error(Fault::Host, format!("cannot read state {:?}: {error:#}", clip(key, 100)))
            })?;
            self.read_bytes += key.len() + ENTRY + found.as_ref().map_or(0, |(value, _)| value.len());
            let most = self.limits().state_reads;
            if self.read_bytes > most {
                return Err(HostFault::error(Fault::StateLimit, format!("more than {most} bytes of state read")));
            }
            self.reads.insert(key.to_owned(), found);
        }
        Ok(self.reads.get(key).and_then(|read| read.as_ref()).map(|(value, _)| value.to_vec()))
    }

    fn write(&mut self, key: String, value: Option<Vec<u8>>) -> wasmtime::Result<()> {
        let size = |key: &str, value: Option<usize>| key.len() + ENTRY + value.unwrap_or(0);
        let old = self.writes.get(&key).map_or(0, |old| size(&key, old.as_ref().map(Bytes::len)));
        let after = self.write_bytes - old + size(&key, value.as_ref().map(Vec::len));
        let most = self.limits().state_writes;
        if after > most {
            return Err(HostFault::error(Fault::StateLimit, format!("more than {most} bytes of state written")));
        }
        self.write_bytes = after;
        self.writes.insert(key, value.map(Bytes::from));
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

impl state::Host for Host {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, state::Error>> {
        self.enter()?;
        match self.check_key(&key) {
            Ok(()) => self.read(&key).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), state::Error>> {
        self.enter()?;
        if let Err(error) = self.check_key(&key) {
            return Ok(Err(error));
        }
        if value.len() > self.limits().state_value {
            return Ok(Err(state::Error::ValueTooLarge(value.len() as u64)));
        }
        self.write(key, Some(value)).map(Ok)
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), state::Error>> {
        self.enter()?;
        match self.check_key(&key) {
            Ok(()) => self.write(key, None).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl emit::Host for Host {
    fn publish(&mut self, event: emit::NewEvent) -> wasmtime::Result<String> {
        self.enter()?;
        let spec = &self.shared.spec;
        let granted = spec.emit.iter().find(|(pattern, _)| pattern.matches(&event.event_type, event.version));
        let Some((_, channel)) = granted else {
            let name = clip(&event.event_type, 200).escape_debug();
            let detail = format!("no line of the `emit` table matches `{name}` version {}", event.version);
            return Err(HostFault::error(Fault::EmitDenied, detail));
        };
        if self.call.event.hop >= spec.hop_limit {
            let detail = format!("the chain of emitted events would be longer than {}", spec.hop_limit);
            return Err(HostFault::error(Fault::HopLimit, detail));
        }
        let bytes = event.data.len()
            + event.event_type.len()
            + event.content_type.len()
            + event.subject.as_ref().map_or(0, String::len)
            + event.partition_key.as_ref().map_or(0, String::len);
        let after = self.emit_bytes.saturating_add(bytes);
        if self.emits.len() >= spec.limits.emits || after > spec.limits.emit_bytes {
            let detail =
                format!("more than {} events or {} bytes of events emitted", spec.limits.emits, spec.limits.emit_bytes);
            return Err(HostFault::error(Fault::EmitLimit, detail));
        }
        let index = u32::try_from(self.emits.len()).unwrap_or(u32::MAX);
        let id = emitted_id(self.call.identity, &spec.reactor, index);
        let channel = channel.clone();
        self.emit_bytes = after;
        self.emits.push(Emit {
            channel,
            event_type: event.event_type,
            version: event.version,
            subject: event.subject,
            partition_key: event.partition_key.or_else(|| self.call.event.partition_key.clone()),
            content_type: event.content_type,
            data: event.data.into(),
        });
        Ok(id)
    }
}

impl config::Host for Host {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.enter()?;
        Ok(self.shared.spec.config.get(&key).cloned())
    }
}

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
            (log::Level::Warn, "truncated: the attempt has logged as much as it may".to_owned())
        } else {
            (level, escape(&message))
        };
        let (reactor, attempt) = (self.shared.spec.reactor.as_str(), self.call.attempt);
        let event = self.call.event.id.as_str();
        match level {
            log::Level::Trace => tracing::trace!(target: "reactor::guest", reactor, event, attempt, "{text}"),
            log::Level::Debug => tracing::debug!(target: "reactor::guest", reactor, event, attempt, "{text}"),
            log::Level::Info => tracing::info!(target: "reactor::guest", reactor, event, attempt, "{text}"),
            log::Level::Warn => tracing::warn!(target: "reactor::guest", reactor, event, attempt, "{text}"),
            log::Level::Error => tracing::error!(target: "reactor::guest", reactor, event, attempt, "{text}"),
        }
        Ok(())
    }
}

impl clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<types::Timestamp> {
        self.enter()?;
        Ok(u64::try_from(self.shared.spec.clock.wall().as_millisecond()).unwrap_or(0))
    }
}

impl random::Host for Host {
    fn next(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.shared.spec.clock.random())
    }
}

/// The start of a text, at most `most` bytes, cut between characters.
pub(super) fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// One line without control characters or characters that turn the direction of writing: guests must not be able to
/// forge log lines or steer a terminal.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
