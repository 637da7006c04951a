//! Seam: the world of a run, which is everything that it can learn from its host. A run gets a world with its call and
//! asks nothing else, so a wrapper sees every question and answer and can replay the answers without the host.
//!
//! Facts that follow from the call and the module alone (the event, the attempt, the ids of emitted events, whether a
//! limit or a grant allows something) are not questions to the world.

mod http;
mod live;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use http::{HttpAnswer, HttpBody, HttpClient, HttpError, HttpHead, NoHttp};
pub use live::{Live, StateView};

use crate::event::Version;

/// Answers a run's questions in the order it asks them.
///
/// The answers to `sleep` and `send` take time. They and the chunks of a body may arrive in any order; a run can
/// observe that order, so it is part of the answers.
pub trait World: Send + Sync + 'static {
    /// A value of the reactor's state and its version; `None` if the key is absent. Called once per key in each run;
    /// may block for a page read.
    ///
    /// # Errors
    /// If it cannot be read. That ends the run as a fault of the host.
    fn state(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>>;

    /// The wall clock.
    fn wall(&self) -> Timestamp;

    /// The time since some fixed point; never goes back.
    fn elapsed(&self) -> Duration;

    /// Uniform random bits.
    fn random(&self) -> u64;

    /// A value of the reactor's configuration.
    fn config(&self, key: &str) -> Option<String>;

    /// Its whole configuration, ordered by key: the environment of a WASI module.
    fn environment(&self) -> Vec<(String, String)>;

    /// Completes after this duration.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Sends a request, which the module's grants and limits allow, and returns the response as soon as its head
    /// arrives. Before the first poll nothing is sent and no time counts: the request may have to wait for others.
    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>>;
}
