//! What a reactor can do while it handles an event.

use std::fmt::Display;
use std::str::FromStr;

use crate::host::Host;
use crate::outcome::{Failure, reject};
use crate::state::State;

/// The run that is under way, and the way to everything outside of it.
#[derive(Debug)]
pub struct Context {
    pub(crate) host: Host,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details of the code's way.
    Trace,
    /// Facts for the author.
    Debug,
    /// Facts for the operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

impl Context {
    /// The reactor's own key-value state. The configuration has to grant it: `allow = { state = true }`.
    pub fn state(&self) -> State<'_> {
        State { cx: self }
    }

    /// A value of the reactor's `config` table; values that are not strings in the file arrive as JSON.
    pub fn config(&self, key: &str) -> Option<String> {
        self.host.config(key)
    }

    /// A value of the reactor's `config` table, parsed. One that cannot be parsed is rejected, with its key but without
    /// the value, which may be a secret.
    pub fn config_as<T>(&self, key: &str) -> Result<Option<T>, Failure>
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.config(key) else { return Ok(None) };
        let parsed = text.parse().map(Some);
        parsed.map_err(|error| reject(format_args!("the value of config `{key}` is of no use: {error}")))
    }

    /// Writes a line to the host's log.
    pub fn log(&self, level: Level, message: impl Display) {
        self.host.log(level, &message.to_string());
    }

    /// A line for the operator.
    pub fn info(&self, message: impl Display) {
        self.log(Level::Info, message);
    }

    /// A line about something odd.
    pub fn warn(&self, message: impl Display) {
        self.log(Level::Warn, message);
    }

    /// The reactor's name in the configuration.
    pub fn reactor(&self) -> String {
        self.host.attempt().reactor
    }

    /// Which attempt at this event this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.host.attempt().number
    }

    /// How many attempts the policy allows in all.
    pub fn max_attempts(&self) -> u32 {
        self.host.attempt().max_attempts
    }

    /// The same for every attempt at this event by this reactor, and for no other: send it to systems that can
    /// recognise a repeated request.
    pub fn idempotency_key(&self) -> String {
        self.host.attempt().idempotency_key
    }

    /// The wall clock, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        self.host.now()
    }

    /// 64 uniform random bits.
    pub fn random(&self) -> u64 {
        self.host.random()
    }
}

/// What is known of the run.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) reactor: String,
    pub(crate) number: u32,
    pub(crate) max_attempts: u32,
    pub(crate) idempotency_key: String,
}
