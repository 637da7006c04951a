//! The host of a native test: everything is in memory, and written down.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::context::{Attempt, Level};
use crate::emit::NewEvent;

/// Longest state key, in bytes, as in the real host.
const MAX_KEY: usize = 1_024;
/// Largest state value, in bytes, as in the real host.
const MAX_VALUE: usize = 1 << 20;

/// The way to the test's own host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) world: RefCell<World>,
}

/// What a test sets up and looks at.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) state: BTreeMap<String, Vec<u8>>,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) attempt: Attempt,
    pub(crate) now: u64,
    pub(crate) random: u64,
    pub(crate) emits: Vec<NewEvent>,
    pub(crate) logs: Vec<(Level, String)>,
}

impl Host {
    pub(crate) fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        check_key(key)?;
        Ok(self.world.borrow().state.get(key).cloned())
    }

    pub(crate) fn state_set(&self, key: &str, value: Vec<u8>) -> Result<(), String> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(format!("a state value of {} bytes is too large", value.len()));
        }
        self.world.borrow_mut().state.insert(key.to_owned(), value);
        Ok(())
    }

    pub(crate) fn state_delete(&self, key: &str) -> Result<(), String> {
        check_key(key)?;
        self.world.borrow_mut().state.remove(key);
        Ok(())
    }

    pub(crate) fn publish(&self, event: NewEvent) -> String {
        let mut world = self.world.borrow_mut();
        world.emits.push(event);
        format!("{}-{}", world.attempt.idempotency_key, world.emits.len() - 1)
    }

    pub(crate) fn config(&self, key: &str) -> Option<String> {
        self.world.borrow().config.get(key).cloned()
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        self.world.borrow_mut().logs.push((level, message.to_owned()));
    }

    pub(crate) fn attempt(&self) -> Attempt {
        self.world.borrow().attempt.clone()
    }

    pub(crate) fn now(&self) -> u64 {
        self.world.borrow().now
    }

    /// Different at every call, the same in every test run (splitmix64).
    pub(crate) fn random(&self) -> u64 {
        let mut world = self.world.borrow_mut();
        world.random = world.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = world.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

fn check_key(key: &str) -> Result<(), String> {
    match key.len() {
        1..=MAX_KEY => Ok(()),
        length => Err(format!("a state key has 1 to {MAX_KEY} bytes, and this one {length}")),
    }
}
