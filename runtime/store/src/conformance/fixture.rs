//! The building blocks of the cases.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use reactor_core::attribute::Attribute;
use reactor_core::event::{
    AttemptRecord, ChannelId, DeliveryId, HostTime, Identity, LaneKey, Message, Offset, Origin, ReactorId, Version,
};
use reactor_core::store::{
    Admitted, Batch, Commit, Committed, DeadLetter, Effect, Ending, NewDelivery, Place, Recovered, Request,
    StoreClient, StoreOwner, StoredDelivery, Target,
};

/// A store under test.
pub trait Harness {
    /// The store as its owner sees it.
    fn store(&self) -> &(dyn StoreOwner + 'static);
    /// Stops the owner cleanly and starts another.
    fn reopen(&mut self);
    /// Kills the owner and starts another, without a clean shutdown: what outlives a process must be there.
    fn crash(&mut self);
}

/// A day, a common window.
pub const DAY: Duration = Duration::from_secs(86_400);

/// Blocks on a future, with nothing else running.
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A write of a state key; `None` deletes it.
pub fn write(key: &str, value: Option<&str>) -> Effect {
    let key = key.to_owned();
    match value {
        Some(value) => Effect::Set { key, value: value.to_owned().into() },
        None => Effect::Delete { key },
    }
}

/// An effect that puts a message with this body.
pub fn put(target: Target, body: &str) -> Effect {
    Effect::Put { target, message: message(body) }
}

/// A message with a body.
pub fn message(body: &str) -> Message {
    Message::from_body(body.to_owned())
}

/// An identity that differs for every number.
pub fn key(number: u64) -> Identity {
    Identity::of(&[&number.to_le_bytes()])
}

/// A store with a channel and a reactor, and short names for the usual calls.
pub struct Fixture<'s, S: ?Sized = dyn StoreOwner> {
    /// The store, as its owner or a client sees it.
    pub store: &'s S,
    /// A channel.
    pub channel: ChannelId,
    /// A reactor.
    pub reactor: ReactorId,
}

/// A fixture with the usual names.
pub fn fixture(harness: &dyn Harness) -> Fixture<'_> {
    let store = harness.store();
    Fixture { store, channel: store.channel_id("shop").unwrap(), reactor: store.reactor_id("inventory").unwrap() }
}

/// The store's time, this many milliseconds after its creation.
pub fn at(millis: u64) -> HostTime {
    // Later than any wall clock today; a new store starts at the wall clock.
    HostTime(4_000_000_000_000 + millis)
}

/// An ended attempt.
pub fn record(number: u32) -> AttemptRecord {
    AttemptRecord {
        number,
        code: "retry".into(),
        error: format!("attempt {number} \"failed\""),
        at: Timestamp::from_second(1_700_000_000 + i64::from(number)).unwrap(),
        module: "ab".repeat(32),
    }
}

impl<S: StoreClient + ?Sized> Fixture<'_, S> {
    /// A delivery of the first record's event, with its own key.
    pub fn new_delivery(&self, number: u64, place: Place) -> NewDelivery {
        NewDelivery {
            reactor: self.reactor,
            origin: Origin { channel: self.channel, offset: Offset(1), part: 0 },
            key: key(number),
            window: DAY,
            lane: None,
            place,
            redrive: false,
        }
    }

    /// A delivery in a lane.
    pub fn in_lane(&self, number: u64, lane: u64, place: Place) -> NewDelivery {
        NewDelivery { lane: Some(key(lane)), ..self.new_delivery(number, place) }
    }

    /// A batch of these deliveries, as if read from the log.
    pub fn batch(&self, deliveries: Vec<NewDelivery>, now: HostTime) -> Batch {
        Batch { cursor: Some(Offset(1)), deliveries, ..Batch::new(self.channel, now) }
    }

    /// A commit of a successful first attempt without effects.
    pub fn done(&self, number: u64, delivery: DeliveryId) -> Commit {
        Commit {
            number: Version(number),
            delivery,
            reactor: self.reactor,
            attempt: 1,
            after: None,
            reads: Vec::new(),
            effects: Vec::new(),
            ending: Ending::Done,
            note: None,
            now: at(1),
        }
    }

    /// A commit of a failed attempt that waits for the next one.
    pub fn failed(&self, number: u64, delivery: DeliveryId, attempt: u32, due: HostTime) -> Commit {
        let ending = Ending::Wait { due, record: record(attempt), hold: Vec::new() };
        Commit { attempt, ending, ..self.done(number, delivery) }
    }

    /// A commit of a first attempt that ends in a dead letter.
    pub fn died(&self, number: u64, delivery: DeliveryId, letter: DeadLetter) -> Commit {
        let ending = Ending::Dead { letter, hold: Vec::new() };
        Commit { ending, ..self.done(number, delivery) }
    }

    /// A dead letter with every field set.
    pub fn letter(&self, number: u64) -> DeadLetter {
        let mut message = message("{\"a\":1}");
        message.attributes =
            vec![("k", "v").into(), ("k2", "ä\u{0}").into(), Attribute::binary("k3", "Binary", vec![0, 1, 255])];
        message.system.message_id = Some("m-1".into());
        DeadLetter {
            reactor: Some(self.reactor),
            origin: Origin { channel: self.channel, offset: Offset(1), part: 3 },
            message,
            event_id: Some("e-1".into()),
            event_type: Some("order.placed".into()),
            correlation_id: Some("c-1".into()),
            reason: "rejected".into(),
            detail: "out of stock".into(),
            history: vec![record(1)],
            parks: None,
            key: key(number),
            at: Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap(),
        }
    }

    /// Publishes these bodies.
    pub fn publish(&self, bodies: &[&str]) -> Offset {
        wait(self.store.append(self.channel, bodies.iter().map(|body| message(body)).collect())).unwrap()
    }

    /// The value of a state key, as text.
    pub fn value(&self, key: &str) -> Option<(String, u64)> {
        let found = self.store.state(self.reactor, key).unwrap();
        found.map(|(value, version)| (String::from_utf8(value.to_vec()).unwrap(), version.0))
    }

    /// All bodies in the channel's log.
    pub fn bodies(&self) -> Vec<String> {
        let records = self.store.read_log(self.channel, Offset(1), 1_000, usize::MAX).unwrap();
        records.iter().map(|record| String::from_utf8(record.message.body.to_vec()).unwrap()).collect()
    }

    /// The numbers of the spilled deliveries.
    pub fn spilled(&self) -> Vec<DeliveryId> {
        self.store.spilled(self.reactor, DeliveryId(0), 1_000).unwrap().iter().map(|d| d.id).collect()
    }

    /// The numbers of a lane's held deliveries.
    pub fn held(&self, lane: u64) -> Vec<DeliveryId> {
        self.store.held(self.reactor, key(lane), DeliveryId(0), 1_000).unwrap().iter().map(|d| d.id).collect()
    }

    /// The reactor's counts; each call checks that nothing is lost.
    pub fn counts(&self) -> reactor_core::store::ReactorStats {
        let stats = self.store.stats().unwrap().reactors;
        for one in &stats {
            assert_eq!(one.delivered, one.done + one.dead + one.dropped + one.active, "not conserved: {one:?}");
        }
        stats.into_iter().find(|stats| stats.name == "inventory").unwrap()
    }

    /// Sends the owner a request.
    pub fn request(&self, request: Request) {
        wait(self.store.request(request)).unwrap();
    }
}

impl<S: StoreOwner + ?Sized> Fixture<'_, S> {
    /// Enters deliveries.
    pub fn admit(&self, deliveries: Vec<NewDelivery>, now: HostTime) -> Vec<Admitted> {
        wait(self.store.enter(self.batch(deliveries, now))).unwrap().answers
    }

    /// Enters one delivery, which must be new.
    pub fn admit_one(&self, delivery: NewDelivery) -> DeliveryId {
        match self.admit(vec![delivery], at(0))[..] {
            [Admitted::New(id)] => id,
            ref other => panic!("not admitted: {other:?}"),
        }
    }

    /// A delivery in memory, with its own key.
    pub fn in_memory(&self, number: u64) -> DeliveryId {
        self.admit_one(self.new_delivery(number, Place::Memory))
    }

    /// Applies one commit.
    pub fn commit(&self, commit: Commit) -> Committed {
        self.commit_all(vec![commit])[0]
    }

    /// Applies several commits together.
    pub fn commit_all(&self, commits: Vec<Commit>) -> Vec<Committed> {
        wait(self.store.commit(commits.into())).unwrap()
    }

    /// Takes over from the previous owner.
    pub fn recover(&self, leased: &[ChannelId]) -> Recovered {
        wait(self.store.recover(leased)).unwrap()
    }

    /// Carries out a redrive.
    pub fn redrive(&self, request: u64, dead: u64) -> Option<StoredDelivery> {
        wait(self.store.redrive(request, dead)).unwrap()
    }

    /// Carries out a drop.
    pub fn drop_dead(&self, request: u64, dead: u64) -> Option<(ReactorId, LaneKey)> {
        wait(self.store.drop_dead(request, dead)).unwrap()
    }
}
