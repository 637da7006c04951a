//! Seam: the world of a run, which is all that it can learn from its host. A run gets one with its call, and asks nothing
//! else: so whoever wraps it sees every question and every answer, and can give the same answers again without the host.
//!
//! What follows from the call and the module alone (the event, the attempt, the ids of emitted events, whether a limit or a
//! grant allows something) is no question to the world.

mod http;
mod live;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use http::{HttpAnswer, HttpBody, HttpClient, HttpError, HttpHead, NoHttp};
pub use live::{Live, StateView};

use crate::event::Version;

/// Answers what a run asks, in the order in which it asks.
///
/// The answers to `sleep` and `send` take time. They, and the pieces of a body, may come in any order; a run can learn
/// that order, so it belongs to the answers.
pub trait World: Send + Sync + 'static {
    /// A value of the reactor's state and its version; `None` if the key is absent. Asked once per key of a run; may
    /// block for a page read.
    ///
    /// # Errors
    /// It cannot be read. That ends the run as the host's fault.
    fn state(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>>;

    /// The wall clock.
    fn wall(&self) -> Timestamp;

    /// The time since some fixed point; never goes back.
    fn elapsed(&self) -> Duration;

    /// Uniform random bits.
    fn random(&self) -> u64;

    /// A value of the reactor's configuration.
    fn config(&self, key: &str) -> Option<String>;

    /// All of its configuration, in the order of the keys: the environment of a module for WASI.
    fn environment(&self) -> Vec<(String, String)>;

    /// Ends when so much time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Sends a request, which the module's grants and limits allow, and gives the answer as soon as its head is there.
    /// Nothing is sent, and no time counts, before the answer is polled for the first time: it may have to wait for others.
    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>>;
}
