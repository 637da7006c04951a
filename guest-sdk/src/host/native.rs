//! The in-memory host that `reactor_guest::testing` runs handlers against.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::context::Attempt;
use crate::emit::Published;
use crate::http::{Answer, HttpError, Sent};
use crate::log::Level;
use crate::state::StateError;
use crate::timestamp::Timestamp;

/// The limits of the WIT contract, so that a handler hits them in its unit tests.
const MAX_KEY: usize = 1024;
const MAX_VALUE: usize = 1024 * 1024;

/// A handle to the world of one run.
#[derive(Clone, Debug)]
pub(crate) struct Host(pub(crate) Rc<RefCell<World>>);

/// What a run finds and what it does.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) attempt: Attempt,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) now: Timestamp,
    pub(crate) random: u64,
    pub(crate) event_id: String,
    pub(crate) committed: BTreeMap<String, Vec<u8>>,
    pub(crate) writes: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) emits: Vec<Published>,
    pub(crate) logs: Vec<(Level, String)>,
    /// The responses to requests of a method to a URL.
    pub(crate) answers: Vec<Canned>,
    pub(crate) requests: Vec<Sent>,
}

/// A method, a URL, and the response.
pub(crate) type Canned = (String, String, Result<Answer, HttpError>);

impl Host {
    pub(crate) fn attempt(&self) -> Attempt {
        self.0.borrow().attempt.clone()
    }

    pub(crate) fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        let world = self.0.borrow();
        Ok(world.writes.get(key).cloned().unwrap_or_else(|| world.committed.get(key).cloned()))
    }

    pub(crate) fn state_set(&self, key: &str, value: Vec<u8>) -> Result<(), StateError> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(StateError::ValueTooLarge(value.len() as u64));
        }
        self.0.borrow_mut().writes.insert(key.to_owned(), Some(value));
        Ok(())
    }

    pub(crate) fn state_delete(&self, key: &str) -> Result<(), StateError> {
        check_key(key)?;
        self.0.borrow_mut().writes.insert(key.to_owned(), None);
        Ok(())
    }

    pub(crate) fn publish(&self, event: Published) -> String {
        let mut world = self.0.borrow_mut();
        world.emits.push(event);
        format!("{}/{}", world.event_id, world.emits.len())
    }

    pub(crate) fn send(&self, request: Sent) -> Result<Answer, HttpError> {
        let mut world = self.0.borrow_mut();
        let (method, url) = (&request.method, &request.url);
        let found = world.answers.iter().find(|(known, at, _)| known == method && at == url);
        let answer = found.map(|(_, _, answer)| answer.clone()).unwrap_or_else(|| {
            Err(HttpError::Failed(format!("{method} {url}: the test gives no answer to it; see `Run::answer`")))
        });
        world.requests.push(request);
        answer
    }

    pub(crate) fn config(&self, key: &str) -> Option<String> {
        self.0.borrow().config.get(key).cloned()
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        self.0.borrow_mut().logs.push((level, message.to_owned()));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    /// SplitMix64: every seed gives its own fixed sequence.
    pub(crate) fn random(&self) -> u64 {
        let mut world = self.0.borrow_mut();
        world.random = world.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = world.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

fn check_key(key: &str) -> Result<(), StateError> {
    match key.len() {
        1..=MAX_KEY => Ok(()),
        bytes => Err(StateError::InvalidKey(format!("it has {bytes} bytes; 1 to {MAX_KEY} are allowed"))),
    }
}
