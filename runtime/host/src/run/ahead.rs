//! The world of a speculative run: its reactor's, with the state that the runs before it will have written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use reactor_core::event::Version;
use reactor_core::guest::{Effect, Run};
use reactor_core::world::{HttpAnswer, HttpBody, HttpError, HttpHead, World};

use crate::reactor::ReactorWorld;

/// Shared by all that follow a head.
pub(crate) struct Ahead {
    world: Arc<ReactorWorld>,
    written: Mutex<HashMap<String, (Option<Bytes>, Version)>>,
}

impl Ahead {
    pub(crate) fn new(world: Arc<ReactorWorld>) -> Self {
        Self { world, written: Mutex::default() }
    }

    /// Shows the writes of a run whose commit will have this number.
    pub(crate) fn show(&self, run: &Run, number: Version) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = run.effects.iter().filter_map(Effect::write);
        written.extend(writes.map(|(key, value)| (key.clone(), (value.cloned(), number))));
    }
}

impl World for Ahead {
    fn state(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        match written {
            Some((value, number)) => Ok(value.map(|value| (value, number))),
            None => self.world.state(key),
        }
    }

    fn wall(&self) -> Timestamp {
        self.world.wall()
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    fn random(&self) -> u64 {
        self.world.random()
    }

    fn config(&self, key: &str) -> Option<String> {
        self.world.config(key)
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.world.environment()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.world.sleep(duration)
    }

    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        self.world.send(head, body)
    }
}
