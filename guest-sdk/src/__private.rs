//! Items that the expansion of `#[reactor]` refers to. Not part of the API.

use crate::context::Context;
use crate::event::{Event, FromData};
use crate::outcome::Outcome;

#[cfg(target_arch = "wasm32")]
pub use crate::host::{Guest, bindings, run};

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
