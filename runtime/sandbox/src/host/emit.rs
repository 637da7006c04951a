//! Publishing: where each event goes, and how many are allowed.

use reactor_core::event::Fault;
use reactor_core::guest::{Effect, Emit, emitted_id};

use super::super::bindings::reactor::guest::emit;
use super::super::limits::HostFault;
use super::{Host, clip};

impl emit::Host for Host {
    fn publish(&mut self, event: emit::NewEvent) -> wasmtime::Result<String> {
        self.enter()?;
        let spec = &self.shared.spec;
        let granted = spec.emit.iter().find(|(pattern, _)| pattern.matches(&event.event_type, event.version));
        let Some((_, channel)) = granted else {
            let name = clip(&event.event_type, 200);
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
        let target = channel.clone();
        self.emit_bytes = after;
        let message = Emit {
            event_type: event.event_type,
            version: event.version,
            subject: event.subject,
            partition_key: event.partition_key.or_else(|| self.call.event.partition_key.clone()),
            content_type: event.content_type,
            data: event.data.into(),
        };
        self.emits.push(Effect::Put { target, message });
        Ok(id)
    }
}
