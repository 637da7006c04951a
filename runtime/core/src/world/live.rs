//! The world built from the host's own parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{HttpAnswer, HttpBody, HttpClient, HttpError, HttpHead, World};
use crate::clock::Clock;
use crate::event::Version;

/// A reactor's state as its runs see it.
pub trait StateView: Send + Sync + 'static {
    /// See [`World::state`].
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>>;
}

impl<S: StateView> StateView for Arc<S> {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        (**self).get(key)
    }
}

/// One reactor's world, built once rather than for every run.
#[derive(Clone)]
pub struct Live<S> {
    /// Its state.
    pub state: S,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// The client that sends its requests.
    pub http: Arc<dyn HttpClient>,
}

impl<S: StateView> World for Live<S> {
    fn state(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        self.state.get(key)
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn elapsed(&self) -> Duration {
        self.clock.now().since_start()
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }

    fn config(&self, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        self.http.send(head, body)
    }
}
