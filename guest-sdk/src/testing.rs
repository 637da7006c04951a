//! Running a handler natively, under `cargo test`, without WebAssembly and without a host.
//!
//! ```
//! use reactor_guest::testing::Run;
//! use reactor_guest::{Context, Event, Outcome, reject};
//! use serde_json::{Value, json};
//!
//! fn count(event: Event<Value>, cx: &Context) -> Outcome {
//!     if event.data["bad"] == true {
//!         return Err(reject("bad"));
//!     }
//!     let seen: u32 = cx.state().get("seen")?.unwrap_or(0);
//!     cx.state().set("seen", &(seen + 1))?;
//!     Ok(())
//! }
//!
//! let first = Run::new(count).event("thing.happened", json!({}));
//! assert_eq!(first.state::<u32>("seen"), Some(1));
//!
//! // The next event sees what the first one left; what fails changes nothing.
//! let second = first.then(count).event("thing.happened", json!({ "bad": true }));
//! assert_eq!(second.outcome, Err(reject("bad")));
//! assert_eq!(second.state::<u32>("seen"), Some(1));
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::{Attempt, Context, Level};
use crate::event::{Event, Payload, Raw};
use crate::host::{Host, World};
use crate::outcome::Outcome;

/// A handler and the world that it will see.
#[derive(Debug)]
pub struct Run<T> {
    handler: fn(Event<T>, &Context) -> Outcome,
    world: World,
    envelope: Event<Raw>,
}

/// What a run did.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// As the host would have it after the commit: unchanged if the run failed.
    world: World,
}

impl<T: Payload> Run<T> {
    /// A handler in an empty world: no state, no configuration, the first of five attempts.
    pub fn new(handler: fn(Event<T>, &Context) -> Outcome) -> Self {
        let attempt = Attempt {
            reactor: "test".into(),
            number: 1,
            max_attempts: 5,
            idempotency_key: "test-idempotency-key".into(),
        };
        let world = World {
            state: BTreeMap::new(),
            config: BTreeMap::new(),
            attempt,
            now: 1_767_225_600_000,
            random: 0,
            emits: Vec::new(),
            logs: Vec::new(),
        };
        Self::within(handler, world)
    }

    fn within(handler: fn(Event<T>, &Context) -> Outcome, world: World) -> Self {
        let envelope = Event {
            id: "event-1".into(),
            event_type: String::new(),
            version: 1,
            source: "test".into(),
            time: Some(world.now),
            subject: None,
            correlation_id: "event-1".into(),
            causation_id: None,
            partition_key: None,
            content_type: "application/json".into(),
            data: Raw::default(),
        };
        Self { handler, world, envelope }
    }

    /// Sets a state key. Panics if the value cannot be written as JSON, as the test is wrong then.
    #[must_use]
    pub fn state(mut self, key: &str, value: impl Serialize) -> Self {
        let bytes = serde_json::to_vec(&value).unwrap_or_else(|error| panic!("state `{key}`: {error}"));
        self.world.state.insert(key.to_owned(), bytes);
        self
    }

    /// Sets a key of the configuration.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl ToString) -> Self {
        self.world.config.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets the number of the attempt, from 1.
    #[must_use]
    pub fn attempt(mut self, number: u32) -> Self {
        self.world.attempt.number = number;
        self
    }

    /// Sets the wall clock, in milliseconds since 1970.
    #[must_use]
    pub fn now(mut self, now: u64) -> Self {
        self.world.now = now;
        self
    }

    /// Changes anything of the envelope but type and payload.
    #[must_use]
    pub fn envelope(mut self, change: impl FnOnce(&mut Event<Raw>)) -> Self {
        change(&mut self.envelope);
        self
    }

    /// Runs the handler on an event of this type with this payload.
    pub fn event(self, event_type: &str, data: impl Serialize) -> Ended {
        let data = serde_json::to_vec(&data).unwrap_or_else(|error| panic!("the event's data: {error}"));
        self.event_bytes(event_type, data)
    }

    /// Runs the handler on an event of this type with these bytes as its payload.
    pub fn event_bytes(self, event_type: &str, data: Vec<u8>) -> Ended {
        let Self { handler, world, mut envelope } = self;
        envelope.event_type = event_type.to_owned();
        envelope.data = Raw(data);
        let before = world.clone();
        let cx = Context { host: Host { world: RefCell::new(world) } };
        let outcome = envelope.typed().and_then(|event| handler(event, &cx));
        let mut world = cx.host.world.into_inner();
        if outcome.is_err() {
            world = World { logs: world.logs, ..before };
        }
        Ended { outcome, world }
    }
}

impl Ended {
    /// The committed value of a state key. Panics if it is of another shape.
    pub fn state<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let bytes = self.world.state.get(key)?;
        Some(serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("state `{key}`: {error}")))
    }

    /// The payloads of the events of this type that the run published, in order.
    pub fn emitted(&self, event_type: &str) -> Vec<Value> {
        let of_type = self.world.emits.iter().filter(|event| event.event_type == event_type);
        of_type.map(|event| serde_json::from_slice(&event.data).unwrap_or(Value::Null)).collect()
    }

    /// The types of all events that the run published, in order.
    pub fn emitted_types(&self) -> Vec<&str> {
        self.world.emits.iter().map(|event| event.event_type.as_str()).collect()
    }

    /// The lines that the run logged, also if it failed.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.world.logs
    }

    /// The next run, on the state that this one left.
    pub fn then<T: Payload>(self, handler: fn(Event<T>, &Context) -> Outcome) -> Run<T> {
        Run::within(handler, World { emits: Vec::new(), logs: Vec::new(), ..self.world })
    }
}
