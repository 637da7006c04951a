//! The operations available to a handler.

use std::cell::OnceCell;
use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attribute::Attribute;
use crate::config::{self, ConfigError};
use crate::emit::NewEvent;
use crate::host::Host;
use crate::http::Http;
use crate::log::Level;
use crate::outcome::Outcome;
use crate::state::State;
use crate::timestamp::Timestamp;

/// The operations of a handler besides computing: everything that reaches beyond its own memory goes through here.
///
/// Each group of methods is an import of the finished module, and only groups in use are imported: a handler that never
/// calls [`state`](Self::state) needs no grant for it. Effects (state and emitted events) happen when the run commits;
/// until then they are invisible, and if the run fails they never happen.
#[derive(Debug)]
pub struct Context {
    host: Host,
    attributes: Vec<Attribute>,
    attempt: OnceCell<Attempt>,
}

/// The current run, as the host describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) reactor: String,
    pub(crate) number: u32,
    pub(crate) max_attempts: u32,
    pub(crate) idempotency_key: String,
}

impl Context {
    pub(crate) fn new(host: Host, attributes: Vec<Attribute>) -> Self {
        Self { host, attributes, attempt: OnceCell::new() }
    }

    /// What came with the event besides its own fields, by name: a message attribute of SQS or SNS, an extension of a
    /// `CloudEvent`, `account`, `region` or `resources` of an EventBridge event. Names are compared exactly.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Everything that came with the event besides its own fields. If several have the same name, the first one counts.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The reactor's own key-value state; needs `allow = { state = true }`.
    pub fn state(&self) -> State<'_> {
        State { host: &self.host }
    }

    /// HTTP requests to the origins that `allow = { http = [...] }` grants.
    pub fn http(&self) -> Http<'_> {
        Http { host: &self.host }
    }

    /// Publishes an event with this data, as JSON, when the run commits. Its type must match a line of the reactor's
    /// `emit` table; otherwise the run ends there as `emit-denied`.
    ///
    /// Returns an [`Outcome`], so that it can be the last expression of a handler.
    pub fn emit<T: Serialize + ?Sized>(&self, event_type: impl Into<String>, data: &T) -> Outcome {
        self.new_event(event_type).publish(data).map(drop)
    }

    /// An event to publish that needs more than type and data: a version, a subject, an ordering key, raw bytes.
    pub fn new_event(&self, event_type: impl Into<String>) -> NewEvent<'_> {
        NewEvent::new(&self.host, event_type.into())
    }

    /// A value of the reactor's `config` table; values that are not strings in the file arrive as JSON.
    pub fn config(&self, key: &str) -> Option<String> {
        self.host.config(key)
    }

    /// A value of the reactor's `config` table as a `T`: a number, a boolean, a string, a list, a table.
    ///
    /// ```
    /// # use reactor_guest::prelude::*;
    /// # fn f(cx: &Context) -> Outcome {
    /// let limit: u64 = cx.config_parsed("limit")?.unwrap_or(100_000);
    /// # Ok(()) }
    /// ```
    pub fn config_parsed<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        self.host.config(key).map(|text| config::parse(key, &text)).transpose()
    }

    /// Writes a line to the host's log, where it appears with the run's ids. Bounded per attempt.
    pub fn log(&self, level: Level, message: impl Display) {
        self.host.log(level, &message.to_string());
    }

    /// Logs a detail of the code path.
    pub fn trace(&self, message: impl Display) {
        self.log(Level::Trace, message);
    }

    /// Logs a fact for the author.
    pub fn debug(&self, message: impl Display) {
        self.log(Level::Debug, message);
    }

    /// Logs a fact for the operator: `cx.info(format_args!("{left} left"))`.
    pub fn info(&self, message: impl Display) {
        self.log(Level::Info, message);
    }

    /// Logs something unusual.
    pub fn warn(&self, message: impl Display) {
        self.log(Level::Warn, message);
    }

    /// Logs a failure.
    pub fn error(&self, message: impl Display) {
        self.log(Level::Error, message);
    }

    /// The number of the current attempt at this event, from 1.
    pub fn attempt(&self) -> u32 {
        self.current().number
    }

    /// The total number of attempts that the retry policy allows.
    pub fn max_attempts(&self) -> u32 {
        self.current().max_attempts
    }

    /// A key that is the same for every attempt at this event by this reactor, and different for all others: send it to
    /// systems that can recognise a repeated request.
    pub fn idempotency_key(&self) -> &str {
        &self.current().idempotency_key
    }

    /// The reactor's name in `reactors.toml`.
    pub fn reactor(&self) -> &str {
        &self.current().reactor
    }

    /// The wall clock, from the host.
    pub fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// 64 uniform random bits, from the host.
    pub fn random(&self) -> u64 {
        self.host.random()
    }

    /// Requested once, since each request is a call into the host.
    fn current(&self) -> &Attempt {
        self.attempt.get_or_init(|| self.host.attempt())
    }
}
