//! The host, through the guest's imports.

use crate::attribute::{Attribute, AttributeValue};
use crate::context::{Attempt, Context};
use crate::emit::Published;
use crate::event::{Event, FromData, Raw};
use crate::http::{Answer, HttpError, Sent};
use crate::log::Level;
use crate::outcome::{Failure, Outcome};
use crate::state::StateError;
use crate::timestamp::Timestamp;

#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "reactor-with-http",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "reactor_guest::__private::bindings",
    });
}

use bindings::reactor::guest::types;
use bindings::reactor::guest::{attempt, clock, config, emit, log, random, state};

#[doc(hidden)]
pub use bindings::Guest;

/// Runs a handler on the event from the host: the body of the export `handle`.
#[doc(hidden)]
pub fn run<T: FromData>(
    handler: fn(Event<T>, &Context) -> Outcome,
    mut event: types::Event,
) -> Result<(), types::Failure> {
    // A trap carries no message, so the panic hook logs it first.
    std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    let attributes = std::mem::take(&mut event.attributes).into_iter().map(Attribute::from).collect();
    let outcome = Event::from(event).into_typed().and_then(|event| handler(event, &Context::new(Host, attributes)));
    outcome.map_err(types::Failure::from)
}

/// Represents the imports; holds no data.
#[derive(Debug)]
pub(crate) struct Host;

#[allow(clippy::unused_self, clippy::needless_pass_by_value, reason = "the native stand-in holds and keeps data")]
impl Host {
    pub(crate) fn attempt(&self) -> Attempt {
        let attempt::Attempt { reactor, number, max_attempts, idempotency_key } = attempt::current();
        Attempt { reactor, number, max_attempts, idempotency_key }
    }

    pub(crate) fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(state::get(key)?)
    }

    pub(crate) fn state_set(&self, key: &str, value: Vec<u8>) -> Result<(), StateError> {
        Ok(state::set(key, &value)?)
    }

    pub(crate) fn state_delete(&self, key: &str) -> Result<(), StateError> {
        Ok(state::delete(key)?)
    }

    pub(crate) fn publish(&self, event: Published) -> String {
        let Published { event_type, version, subject, partition_key, content_type, data } = event;
        emit::publish(&emit::NewEvent { event_type, version, subject, partition_key, content_type, data })
    }

    pub(crate) fn send(&self, request: Sent) -> Result<Answer, HttpError> {
        super::send::send(request)
    }

    pub(crate) fn config(&self, key: &str) -> Option<String> {
        config::get(key)
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        log::write(level.into(), message);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(clock::now())
    }

    pub(crate) fn random(&self) -> u64 {
        random::next()
    }
}

impl From<types::Event> for Event<Raw> {
    fn from(event: types::Event) -> Self {
        Self {
            id: event.id,
            event_type: event.event_type,
            version: event.version,
            source: event.source,
            time: event.time.map(Timestamp::from_millis),
            subject: event.subject,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            partition_key: event.partition_key,
            content_type: event.content_type,
            data: Raw::new(event.data),
        }
    }
}

impl From<types::Attribute> for Attribute {
    fn from(attribute: types::Attribute) -> Self {
        let value = match attribute.value {
            types::AttributeValue::Text(text) => AttributeValue::Text(text),
            types::AttributeValue::Number(digits) => AttributeValue::Number(digits),
            types::AttributeValue::Boolean(value) => AttributeValue::Boolean(value),
            types::AttributeValue::Bytes(bytes) => AttributeValue::Bytes(bytes),
        };
        Self { name: attribute.name, type_name: attribute.type_name, value }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { reason, after } => Self::Retry(types::Retry {
                reason,
                after: after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            }),
            Failure::Reject { reason } => Self::Reject(reason),
        }
    }
}

impl From<state::Error> for StateError {
    fn from(error: state::Error) -> Self {
        match error {
            state::Error::InvalidKey(reason) => Self::InvalidKey(reason),
            state::Error::ValueTooLarge(bytes) => Self::ValueTooLarge(bytes),
        }
    }
}

impl From<Level> for log::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
