//! Contract 0.1.0: modules built for it still run. Their event has no attributes; everything else is as in the current
//! contract.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use reactor_core::event::Event;

use super::bindings::previous::reactor::guest::types as previous;
use super::bindings::reactor::guest::{attempt, clock, config, emit, log, random, state, types};
use super::grants::Grants;
use super::host::Host;

/// The version in the names of imports.
const VERSION: &str = "@0.1.0";

/// Whether an import is from this contract.
pub(super) fn is_import(import: &str) -> bool {
    import.starts_with("reactor:guest/") && import.ends_with(VERSION)
}

type Caller<'c> = StoreContextMut<'c, Host>;

/// Links the granted interfaces only.
pub(super) fn link(linker: &mut Linker<Host>, grants: Grants) -> wasmtime::Result<()> {
    let name = |interface: &str| format!("reactor:guest/{interface}{VERSION}");
    linker.instance(&name("types"))?;
    linker
        .instance(&name("attempt"))?
        .func_wrap("current", |mut host: Caller<'_>, ()| Ok((attempt::Host::current(host.data_mut())?,)))?;
    linker
        .instance(&name("config"))?
        .func_wrap("get", |mut host: Caller<'_>, (key,): (String,)| Ok((config::Host::get(host.data_mut(), key)?,)))?;
    linker.instance(&name("log"))?.func_wrap(
        "write",
        |mut host: Caller<'_>, (level, message): (log::Level, String)| {
            log::Host::write(host.data_mut(), level, message)
        },
    )?;
    linker
        .instance(&name("clock"))?
        .func_wrap("now", |mut host: Caller<'_>, ()| Ok((clock::Host::now(host.data_mut())?,)))?;
    linker
        .instance(&name("random"))?
        .func_wrap("next", |mut host: Caller<'_>, ()| Ok((random::Host::next(host.data_mut())?,)))?;
    if grants.state {
        let mut interface = linker.instance(&name("state"))?;
        interface.func_wrap("get", |mut host: Caller<'_>, (key,): (String,)| {
            Ok((state::Host::get(host.data_mut(), key)?,))
        })?;
        interface.func_wrap("set", |mut host: Caller<'_>, (key, value): (String, Vec<u8>)| {
            Ok((state::Host::set(host.data_mut(), key, value)?,))
        })?;
        interface.func_wrap("delete", |mut host: Caller<'_>, (key,): (String,)| {
            Ok((state::Host::delete(host.data_mut(), key)?,))
        })?;
    }
    if grants.emit {
        let mut interface = linker.instance(&name("emit"))?;
        interface.func_wrap("publish", |mut host: Caller<'_>, (event,): (emit::NewEvent,)| {
            Ok((emit::Host::publish(host.data_mut(), event)?,))
        })?;
    }
    Ok(())
}

/// The event in the form of this contract.
pub(super) fn guest_event(event: &Event) -> previous::Event<'_> {
    previous::Event {
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
    }
}

/// How a run ended, in terms of the current contract.
pub(super) fn failure(failure: previous::Failure) -> types::Failure {
    match failure {
        previous::Failure::Retry(previous::Retry { reason, after }) => {
            types::Failure::Retry(types::Retry { reason, after })
        }
        previous::Failure::Reject(reason) => types::Failure::Reject(reason),
    }
}
