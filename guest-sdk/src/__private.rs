//! Items that the expansion of `#[reactor]` refers to. Not part of the API.

#[cfg(target_arch = "wasm32")]
use crate::attribute::Attribute;
use crate::context::Context;
use crate::event::{Event, FromData};
#[cfg(target_arch = "wasm32")]
use crate::host::{
    Host,
    bindings::reactor::guest::{log, types},
};
use crate::outcome::Outcome;

#[cfg(target_arch = "wasm32")]
pub use crate::host::bindings::{self, Guest};

/// Runs a handler on the event from the host: the body of the export `handle`.
#[cfg(target_arch = "wasm32")]
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

/// The first argument of a handler.
#[diagnostic::on_unimplemented(
    message = "the first argument of a reactor is an `Event`, not `{Self}`",
    label = "make it `Event<{Self}>`"
)]
pub trait IsEvent {
    /// The type that its data is read as.
    type Data;
}

impl<T> IsEvent for Event<T> {
    type Data = T;
}

/// The second argument of a handler.
#[diagnostic::on_unimplemented(
    message = "the second argument of a reactor is `&Context`, not `{Self}`",
    label = "make it `&Context`"
)]
pub trait IsContext {}

impl IsContext for &Context {}

/// What a handler returns.
#[diagnostic::on_unimplemented(message = "a reactor returns `Outcome`, not `{Self}`", label = "make it `Outcome`")]
pub trait IsOutcome {}

impl IsOutcome for Outcome {}

/// Fails to compile, at the type, if it is not an event.
pub const fn check_event<T: IsEvent>() {}

/// Fails to compile, at the type, if an event's data cannot be read as this type.
pub const fn check_data<T: FromData>() {}

/// Fails to compile, at the type, if it is not a context.
pub const fn check_context<T: IsContext>() {}

/// Fails to compile, at the type, if it is not an outcome.
pub const fn check_outcome<T: IsOutcome>() {}
