//! A reactor under test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ended::{Emitted, Ended, Ending};
use crate::attribute::{Attribute, AttributeValue};
use crate::context::{Attempt, Context};
use crate::event::{Event, FromData, Raw};
use crate::host::native::{Canned, Host, World};
use crate::http::{Answer, HttpError};
use crate::outcome::{Failure, Outcome};
use crate::timestamp::Timestamp;

/// A reactor under test: a handler with state, config, clock and the circumstances of its runs.
///
/// Set it up with the methods that return `Self`, then give it events. The clock stands still at 2026-01-01T00:00:00Z
/// and random numbers come from a fixed seed, unless you set them.
#[derive(Clone, Debug)]
pub struct Run<T, F> {
    handler: F,
    data: PhantomData<fn(T)>,
    state: BTreeMap<String, Vec<u8>>,
    config: BTreeMap<String, String>,
    answers: Vec<Canned>,
    now: Timestamp,
    seed: u64,
    attempt: u32,
    max_attempts: u32,
    envelope: Event<Raw>,
    attributes: Vec<Attribute>,
    events: u32,
}

impl<T: FromData, F: Fn(Event<T>, &Context) -> Outcome> Run<T, F> {
    /// A handler with no state and no config, in its first of five attempts.
    pub fn new(handler: F) -> Self {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let envelope = Event {
            id: String::new(),
            event_type: String::new(),
            version: 1,
            source: "test".to_owned(),
            time: Some(now),
            subject: None,
            correlation_id: "correlation-1".to_owned(),
            causation_id: None,
            partition_key: None,
            content_type: "application/json".to_owned(),
            data: Raw::default(),
        };
        Self {
            handler,
            data: PhantomData,
            state: BTreeMap::new(),
            config: BTreeMap::new(),
            answers: Vec::new(),
            now,
            seed: 0,
            attempt: 1,
            max_attempts: 5,
            envelope,
            attributes: Vec::new(),
            events: 0,
        }
    }

    /// Puts a value into the state, as JSON.
    ///
    /// # Panics
    /// If the value has no JSON form.
    #[must_use]
    #[track_caller]
    pub fn state<V: Serialize>(self, key: &str, value: V) -> Self {
        let bytes = serde_json::to_vec(&value).unwrap_or_else(|error| panic!("state `{key}`: {error}"));
        self.state_bytes(key, bytes)
    }

    /// Puts exactly these bytes into the state.
    #[must_use]
    pub fn state_bytes(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.state.insert(key.to_owned(), value.into());
        self
    }

    /// Sets a value of the config; a value that is not a string becomes JSON, as in the host.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        let text = match value.into() {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        self.config.insert(key.to_owned(), text);
        self
    }

    /// Sets the response to requests of this method to this URL: a status and a JSON body. A string is sent as it is.
    #[must_use]
    pub fn answer(mut self, method: &str, url: &str, status: u16, body: impl Into<serde_json::Value>) -> Self {
        let body = match body.into() {
            serde_json::Value::String(text) => text.into_bytes(),
            other => other.to_string().into_bytes(),
        };
        let answer = Answer { status, headers: Vec::new(), body };
        self.put_answer(method, url, Ok(answer));
        self
    }

    /// Makes requests of this method to this URL fail with this error.
    #[must_use]
    pub fn answer_error(mut self, method: &str, url: &str, error: HttpError) -> Self {
        self.put_answer(method, url, Err(error));
        self
    }

    fn put_answer(&mut self, method: &str, url: &str, answer: Result<Answer, HttpError>) {
        self.answers.retain(|(known, at, _)| known != method || at != url);
        self.answers.push((method.to_owned(), url.to_owned(), answer));
    }

    /// Sets the attempt number of the next events, from 1.
    #[must_use]
    pub fn attempt(mut self, number: u32) -> Self {
        self.attempt = number;
        self
    }

    /// Sets how many attempts the retry policy allows; 5 by default.
    #[must_use]
    pub fn max_attempts(mut self, count: u32) -> Self {
        self.max_attempts = count;
        self
    }

    /// Sets the time that the handler sees.
    #[must_use]
    pub fn now(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Sets the seed of the random numbers: each seed gives its own fixed sequence, the same for every event.
    #[must_use]
    pub fn random(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the envelope of the next events: `.envelope(|e| e.version = 2)`. An empty id is replaced by a new one
    /// for each event.
    #[must_use]
    pub fn envelope(mut self, change: impl FnOnce(&mut Event<Raw>)) -> Self {
        change(&mut self.envelope);
        self
    }

    /// Adds an attribute to the next events: `.attribute("tenant", "acme")`, `.attribute("weight", 12)`.
    #[must_use]
    pub fn attribute(self, name: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes([Attribute::new(name, value)])
    }

    /// The same for several, with custom types: `.attributes([Attribute::new("policy", "{}").of_type("String.Json")])`.
    /// An attribute with a known name replaces the earlier one.
    #[must_use]
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        for attribute in attributes {
            self.attributes.retain(|known| known.name != attribute.name);
            self.attributes.push(attribute);
        }
        self
    }

    /// Runs the handler on an event with this data, as JSON.
    ///
    /// # Panics
    /// If the data has no JSON form. A panic of the handler does not reach the test; it ends the run as
    /// [`Ending::Trapped`].
    #[track_caller]
    pub fn event<D: Serialize>(&mut self, event_type: &str, data: D) -> Ended {
        let data = serde_json::to_vec(&data).unwrap_or_else(|error| panic!("data of {event_type}: {error}"));
        self.event_bytes(event_type, data)
    }

    /// Runs the handler on an event with exactly these bytes as its data.
    pub fn event_bytes(&mut self, event_type: &str, data: impl Into<Vec<u8>>) -> Ended {
        self.events += 1;
        let mut event = self.envelope.clone();
        event.event_type = event_type.to_owned();
        event.data = Raw::new(data);
        if event.id.is_empty() {
            event.id = format!("event-{}", self.events);
        }
        self.run(&event)
    }

    /// The committed value of a key, read as JSON; `None` if it has none.
    ///
    /// # Panics
    /// If the value is not a `V`.
    #[track_caller]
    pub fn state_of<V: DeserializeOwned>(&self, key: &str) -> Option<V> {
        let bytes = self.state.get(key)?;
        Some(serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("state `{key}`: {error}")))
    }

    /// The keys that have a committed value, in order.
    pub fn state_keys(&self) -> Vec<&str> {
        self.state.keys().map(String::as_str).collect()
    }

    fn run(&mut self, event: &Event<Raw>) -> Ended {
        let world = Rc::new(RefCell::new(World {
            attempt: Attempt {
                reactor: "test".to_owned(),
                number: self.attempt,
                max_attempts: self.max_attempts,
                idempotency_key: format!("{}/{}", event.source, event.id),
            },
            config: self.config.clone(),
            now: self.now,
            random: self.seed,
            event_id: event.id.clone(),
            committed: std::mem::take(&mut self.state),
            writes: BTreeMap::new(),
            emits: Vec::new(),
            logs: Vec::new(),
            answers: self.answers.clone(),
            requests: Vec::new(),
        }));
        let context = Context::new(Host(Rc::clone(&world)), self.attributes.clone());
        let handled = catch_unwind(AssertUnwindSafe(|| {
            event.clone().into_typed().and_then(|event| (self.handler)(event, &context))
        }));
        let ending = match handled {
            Ok(Ok(())) => Ending::Done,
            Ok(Err(Failure::Retry { reason, after })) => Ending::Retried { reason, after },
            Ok(Err(Failure::Reject { reason })) => Ending::Rejected { reason },
            Err(panic) => Ending::Trapped { message: message(&*panic) },
        };
        self.end(ending, event, &mut world.borrow_mut())
    }

    fn end(&mut self, ending: Ending, event: &Event<Raw>, world: &mut World) -> Ended {
        self.state = std::mem::take(&mut world.committed);
        let emits = std::mem::take(&mut world.emits).into_iter();
        let emits = emits.enumerate().map(|(index, emit)| Emitted::new(index + 1, emit, event)).collect();
        let mut ended = Ended { ending, emits, writes: std::mem::take(&mut world.writes), ..Ended::default() };
        ended.logs = std::mem::take(&mut world.logs);
        ended.requests = std::mem::take(&mut world.requests);
        if ended.ending == Ending::Done {
            for (key, value) in &ended.writes {
                match value {
                    Some(value) => self.state.insert(key.clone(), value.clone()),
                    None => self.state.remove(key),
                };
            }
        } else {
            ended.dropped_emits = std::mem::take(&mut ended.emits);
            ended.dropped_writes = std::mem::take(&mut ended.writes);
        }
        ended
    }

    /// Passes an event that a handler emitted to this one, as the host would: without attributes.
    pub fn emitted(&mut self, emitted: &Emitted) -> Ended {
        let attributes = std::mem::take(&mut self.attributes);
        let ended = self.run(&emitted.clone().into_event());
        self.attributes = attributes;
        ended
    }

    /// Runs the handler on a whole event, with this attempt number: for tests of several handlers together.
    pub fn deliver(&mut self, event: &Event<Raw>, attempt: u32) -> Ended {
        self.attempt = attempt;
        self.run(event)
    }

    /// Advances the clock before the next event.
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}
