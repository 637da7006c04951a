//! One run: a fresh instance, one call of `handle`, and the outcome.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use reactor_core::attribute::{Attribute, AttributeValue};
use reactor_core::event::{Event, Fault, Outcome, Version};
use reactor_core::guest::{Call, Effect, Guest, Run, Usage};

use super::bindings::ReactorPre;
use super::bindings::previous::ReactorPre as PreviousPre;
use super::bindings::reactor::guest::types;
use super::host::{Host, clip};
use super::limits::HostFault;
use super::meter::{CpuMeter, Metered};
use super::module::Shared;
use super::previous;

/// Bytes kept of a guest's reason and of a fault's detail; both end up in dead letters.
const MAX_REASON: usize = 4 << 10;
const MAX_DETAIL: usize = 8 << 10;

/// A linked module, by the contract that it was built for.
#[derive(Clone)]
pub(super) enum Ready {
    /// The current contract.
    Present(ReactorPre<Host>),
    /// The previous one.
    Previous(PreviousPre<Host>),
}

/// A loaded module.
pub(super) struct Module {
    pub(super) ready: Ready,
    pub(super) shared: Arc<Shared>,
}

impl Guest for Module {
    fn run(&self, call: Call) -> BoxFuture<'static, Run> {
        Box::pin(run(self.ready.clone(), self.shared.clone(), call))
    }

    fn digest(&self) -> &str {
        &self.shared.digest
    }
}

type Answer = wasmtime::Result<Result<(), types::Failure>>;

async fn run(ready: Ready, shared: Arc<Shared>, call: Call) -> Run {
    // The semaphore is never closed; without a slot the pool would fail, which is reported as the host's fault.
    let _slot = shared.engine.slots.clone().acquire_owned().await.ok();
    let meter = CpuMeter::new();
    let event = call.event.clone();
    let mut store = store(&shared, call, &meter);
    let answer = {
        let work = Metered::new(invoke(&ready, &mut store, &event), meter.clone());
        tokio::time::timeout(shared.spec.timeout, AssertUnwindSafe(work).catch_unwind()).await
    };
    let host = store.into_data();
    let outcome = match answer {
        Ok(Ok(Ok(answer))) => answered(answer),
        Ok(Ok(Err(error))) => faulted(&error, &host),
        Ok(Err(panic)) => fault(Fault::Host, format!("the host panicked during the run: {}", panic_text(&*panic))),
        Err(_) => fault(Fault::Timeout, format!("not finished after {:?}", shared.spec.timeout)),
    };
    finish(host, outcome, meter.wall())
}

fn store(shared: &Arc<Shared>, call: Call, meter: &Arc<CpuMeter>) -> Store<Host> {
    let (budget, call_bytes) = (shared.spec.cpu, shared.spec.limits.call_bytes);
    let mut store = Store::new(&shared.engine.wasm, Host::new(shared.clone(), call));
    store.limiter(|host| &mut host.memory);
    store.set_hostcall_fuel(call_bytes);
    store.set_epoch_deadline(1);
    if shared.wasi {
        store.call_hook(|mut context, crossing| context.data_mut().crossing(crossing));
    }
    let meter = meter.clone();
    store.epoch_deadline_callback(move |_| {
        if meter.spent() >= budget {
            return Err(HostFault::error(Fault::CpuLimit, format!("not finished after {budget:?} of CPU time")));
        }
        // tokio's own yield also gives timers and sockets their turn; waking oneself does not.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

/// Creates an instance for a call and drops it: the cost of a fresh sandbox, independent of the guest.
pub(super) async fn make_instance(module: &Module, call: Call) -> wasmtime::Result<()> {
    let mut store = store(&module.shared, call, &CpuMeter::new());
    match &module.ready {
        Ready::Present(ready) => ready.instantiate_async(&mut store).await.map(drop),
        Ready::Previous(ready) => ready.instantiate_async(&mut store).await.map(drop),
    }
}

/// Calls `handle` according to the contract; the futures of the two contracts differ in size.
fn invoke<'r>(ready: &'r Ready, store: &'r mut Store<Host>, event: &'r Event) -> BoxFuture<'r, Answer> {
    match ready {
        Ready::Present(ready) => Box::pin(invoke_present(ready, store, event)),
        Ready::Previous(ready) => Box::pin(invoke_previous(ready, store, event)),
    }
}

async fn invoke_present(ready: &ReactorPre<Host>, store: &mut Store<Host>, event: &Event) -> Answer {
    let reactor = ready.instantiate_async(&mut *store).await?;
    store.data_mut().started = true;
    let attributes: Vec<_> = event.attributes.iter().map(guest_attribute).collect();
    reactor.call_handle(store, guest_event(event, &attributes)).await
}

async fn invoke_previous(ready: &PreviousPre<Host>, store: &mut Store<Host>, event: &Event) -> Answer {
    let reactor = ready.instantiate_async(&mut *store).await?;
    store.data_mut().started = true;
    let answer = reactor.call_handle(store, previous::guest_event(event)).await?;
    Ok(answer.map_err(previous::failure))
}

fn guest_attribute(attribute: &Attribute) -> types::Attribute<'_> {
    let value = match &attribute.value {
        AttributeValue::Text(text) => types::AttributeValue::Text(text),
        AttributeValue::Number(digits) => types::AttributeValue::Number(digits),
        AttributeValue::Boolean(value) => types::AttributeValue::Boolean(*value),
        AttributeValue::Binary(bytes) => types::AttributeValue::Bytes(bytes),
    };
    types::Attribute { name: &attribute.name, type_name: &attribute.kind, value }
}

fn guest_event<'e>(event: &'e Event, attributes: &'e [types::Attribute<'e>]) -> types::Event<'e> {
    types::Event {
        id: &event.id,
        event_type: &event.event_type,
        version: event.version,
        source: &event.source,
        time: event.time.map(|time| u64::try_from(time.as_millisecond()).unwrap_or(0)),
        subject: event.subject.as_deref(),
        correlation_id: &event.correlation_id,
        causation_id: event.causation_id.as_deref(),
        partition_key: event.partition_key.as_deref(),
        content_type: &event.content_type,
        data: &event.data,
        attributes,
    }
}

fn answered(answer: Result<(), types::Failure>) -> Outcome {
    let cut = |reason: String| clip(&reason, MAX_REASON).to_owned();
    match answer {
        Ok(()) => Outcome::Done,
        Err(types::Failure::Retry(retry)) => {
            Outcome::Retry { reason: cut(retry.reason), after: retry.after.map(Duration::from_millis) }
        }
        Err(types::Failure::Reject(reason)) => Outcome::Reject { reason: cut(reason) },
    }
}

/// Interprets a wasmtime error.
fn faulted(error: &wasmtime::Error, host: &Host) -> Outcome {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let reason = error.root_cause().to_string();
    let (kind, mut detail) = if let Some(own) = error.downcast_ref::<HostFault>() {
        (own.fault, own.detail.clone())
    } else if let Some(denied) = host.memory.denied() {
        (Fault::MemoryLimit, format!("{denied}; the module asked for more and then failed: {reason}"))
    } else if reason.contains("fuel allocated for hostcalls") {
        let most = host.shared.spec.limits.call_bytes;
        (Fault::HostCallLimit, format!("more than {most} bytes handed to the host at once"))
    } else if error.is::<Trap>() || backtrace.is_some() {
        (Fault::Trap, reason)
    } else if host.started {
        // The result breaks the rules of the component model: text that is not UTF-8, a list beyond the memory.
        (Fault::Trap, format!("{error:#}"))
    } else {
        (Fault::Host, format!("cannot make an instance: {error:#}"))
    };
    if let Some(said) = host.last_error.as_ref().filter(|_| matches!(kind, Fault::Trap | Fault::MemoryLimit)) {
        detail = format!("{detail}\nlast error logged: {said}");
    }
    if let Some(backtrace) = backtrace.filter(|backtrace| !backtrace.frames().is_empty()) {
        detail = format!("{detail}\n{backtrace}");
    }
    fault(kind, detail)
}

/// A fault with a bounded detail. The code that prints it escapes it.
fn fault(fault: Fault, detail: impl AsRef<str>) -> Outcome {
    Outcome::Fault { fault, detail: clip(detail.as_ref(), MAX_DETAIL).to_owned() }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// The guest's effects count only if it reported success. Its emitted events come first.
fn finish(host: Host, outcome: Outcome, wall: Duration) -> Run {
    let usage = Usage { wall, memory: host.memory.peak(), host_calls: host.host_calls };
    let version = |read: Option<(bytes::Bytes, Version)>| read.map_or(Version(0), |(_, version)| version);
    let reads = host.reads.into_iter().map(|(key, read)| (key, version(read))).collect();
    if outcome != Outcome::Done {
        return Run { outcome, reads, effects: Vec::new(), usage };
    }
    let mut effects = host.emits;
    effects.reserve_exact(host.writes.len());
    effects.extend(host.writes.into_iter().map(|(key, value)| match value {
        Some(value) => Effect::Set { key, value },
        None => Effect::Delete { key },
    }));
    Run { outcome, reads, effects, usage }
}
