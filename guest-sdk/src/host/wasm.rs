//! The host as a component sees it: plain functions, so that what is not called is not imported.

use std::time::Duration;

use crate::context::{Attempt, Context, Level};
use crate::emit::NewEvent;
use crate::event::{Event, Payload, Raw};
use crate::outcome::{Failure, Outcome};

/// What wit-bindgen made of `wit/reactor.wit`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "reactor",
        pub_export_macro: true,
        export_macro_name: "export_reactor",
        default_bindings_module: "reactor_guest::__private::bindings",
    });
}

pub use bindings::{Guest, export_reactor};

use bindings::reactor::guest;

/// The way to the host.
#[derive(Debug)]
pub(crate) struct Host(());

/// Runs a handler on an event, as the exported function does.
pub fn run<T: Payload>(
    event: guest::types::Event,
    handler: fn(Event<T>, &Context) -> Outcome,
) -> Result<(), guest::types::Failure> {
    std::panic::set_hook(Box::new(|panic| guest::log::write(guest::log::Level::Error, &panic.to_string())));
    let event = Event::from(event).typed();
    event.and_then(|event| handler(event, &Context { host: Host(()) })).map_err(Into::into)
}

impl From<guest::types::Event> for Event<Raw> {
    fn from(event: guest::types::Event) -> Self {
        Self {
            id: event.id,
            event_type: event.event_type,
            version: event.version,
            source: event.source,
            time: event.time,
            subject: event.subject,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            partition_key: event.partition_key,
            content_type: event.content_type,
            data: Raw(event.data),
        }
    }
}

impl From<Failure> for guest::types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { reason, after } => {
                let after = after.map(|after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                Self::Retry(guest::types::Retry { reason, after })
            }
            Failure::Reject { reason } => Self::Reject(reason),
        }
    }
}

impl Host {
    pub(crate) fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        guest::state::get(key).map_err(refused)
    }

    pub(crate) fn state_set(&self, key: &str, value: Vec<u8>) -> Result<(), String> {
        guest::state::set(key, &value).map_err(refused)
    }

    pub(crate) fn state_delete(&self, key: &str) -> Result<(), String> {
        guest::state::delete(key).map_err(refused)
    }

    pub(crate) fn publish(&self, event: NewEvent) -> String {
        guest::emit::publish(&guest::emit::NewEvent {
            event_type: event.event_type,
            version: event.version,
            subject: event.subject,
            partition_key: event.partition_key,
            content_type: event.content_type,
            data: event.data,
        })
    }

    pub(crate) fn config(&self, key: &str) -> Option<String> {
        guest::config::get(key)
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Trace => guest::log::Level::Trace,
            Level::Debug => guest::log::Level::Debug,
            Level::Info => guest::log::Level::Info,
            Level::Warn => guest::log::Level::Warn,
            Level::Error => guest::log::Level::Error,
        };
        guest::log::write(level, message);
    }

    pub(crate) fn attempt(&self) -> Attempt {
        let current = guest::attempt::current();
        Attempt {
            reactor: current.reactor,
            number: current.number,
            max_attempts: current.max_attempts,
            idempotency_key: current.idempotency_key,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        guest::clock::now()
    }

    pub(crate) fn random(&self) -> u64 {
        guest::random::next()
    }
}

fn refused(error: guest::state::Error) -> String {
    match error {
        guest::state::Error::InvalidKey(why) => why,
        guest::state::Error::ValueTooLarge(size) => format!("a state value of {size} bytes is too large"),
    }
}
