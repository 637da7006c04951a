//! The nouns of Reactor, and the seams between its parts. Nothing here does I/O.
//!
//! In reading order:
//!
//! - [`event`], [`attribute`], [`identity`], [`subscription`]: an [`event::Event`] is what happened, a delivery is one
//!   event on its way to one reactor, an attempt is one run of it.
//! - [`effect`]: what a run wants to happen, as one ordered list.
//! - [`clock`], [`backoff`]: time, sleep and randomness; delays that grow.
//! - [`guest`]: the seam to the sandbox, and [`world`], which is everything that a run can learn from its host.
//! - [`channel`]: the seam to remote queues and topics.
//! - [`store`]: the seam to the durable state, in two roles.
//! - [`json`]: reads JSON without building values; [`plain`]: makes untrusted text safe to print.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

pub mod attribute;
pub mod effect;
pub mod event;
pub mod identity;
pub mod subscription;

pub mod backoff;
pub mod clock;

pub mod guest;
pub mod world;

pub mod channel;
pub mod store;

pub mod json;
pub mod plain;

#[doc(hidden)]
pub mod planted;
