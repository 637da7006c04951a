//! Getting a host ready: names, reactors, routes, connections, and what the last owner left.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::channel::Remote;
use crate::clock::Clock;
use crate::config::model::{Config, Settle};
use crate::event::ChannelId;
use crate::store::{StoreClient, StoreError, StoreOwner};
use crate::world::{HttpClient, Live};

use super::admit;
use super::claim::Slots;
use super::commit::Committer;
use super::delivery::Deliveries;
use super::emit::{Destination, Destinations};
use super::host::{Host, Parts};
use super::inlet::{Inlet, Opening};
use super::invoke::Guest;
use super::life::Life;
use super::outbox::Outlet;
use super::outlets::Outlets;
use super::reactor::Reactor;
use super::requested::Requests;
use super::room::until_there_is_room;
use super::schedule::{ReactorSpec, Scheduler};
use super::signal::{Phase, Signals};
use super::state::{ReactorState, Room};

impl Host {
    /// Takes the store over from its last owner and gets ready to run.
    pub async fn new(parts: Parts) -> Result<Self, StoreError> {
        let Parts { config, store, clock, http, remotes, guests, guest_threads, signals } = parts;
        signals.enter(Phase::Starting);
        let (to_self, inputs) = mpsc::unbounded_channel();
        let (commits, queue) = mpsc::unbounded_channel();
        let channel_ids = numbered(&config, &*store, &signals, &*clock).await?;
        let destination = |(name, channel)| (String::clone(name), Destination::of(channel, channel_ids[name]));
        let destinations: Destinations = Arc::new(config.channels.iter().map(destination).collect());
        let around = (&*signals, &clock, &http);
        let reactors = reactors(&config, &store, guests, around, &destinations).await?;
        let specs: Vec<_> = reactors.iter().map(|reactor| ReactorSpec::of(&reactor.config)).collect();
        let permits = config.runtime.concurrency;
        let channels = admit::intakes(&config, &*store, &reactors, &channel_ids, &signals)?;
        let in_memory = Arc::new(AtomicUsize::new(0));
        tokio::spawn(
            Committer {
                store: Arc::clone(&store),
                inputs: to_self.clone(),
                signals: Arc::clone(&signals),
                clock: Arc::clone(&clock),
                in_memory: Arc::clone(&in_memory),
            }
            .run(queue),
        );
        let mut host = Self {
            epoch: (store.host_time()?, clock.now()),
            foreign_seen: Some(store.foreign_changes()?),
            deliveries: Deliveries::new(Scheduler::new(&specs, permits, config.runtime.queue_memory)),
            slots: Slots::new(permits, guest_threads, Arc::clone(&store), Arc::clone(&clock), to_self.clone()),
            by_id: reactors.iter().enumerate().map(|(index, reactor)| (reactor.id, index)).collect(),
            in_memory,
            conflicts: 0,
            ended: 0,
            guessed: HashMap::new(),
            inlets: Vec::new(),
            requests: Requests::default(),
            acknowledgers: JoinSet::new(),
            outlets: Outlets::default(),
            life: Life::new(false),
            signals,
            shown: None,
            tidying: None,
            config,
            store,
            clock,
            http,
            reactors,
            channels,
            inputs,
            to_self,
            commits,
        };
        host.connect(&remotes)?;
        host.recover().await?;
        Ok(host)
    }

    /// What a host that follows this one in the same process shares with it.
    pub(super) fn lasting(&self) -> Parts {
        Parts {
            config: Arc::clone(&self.config),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            http: Arc::clone(&self.http),
            remotes: BTreeMap::new(),
            guests: BTreeMap::new(),
            guest_threads: self.slots.guest_threads(),
            signals: Arc::clone(&self.signals),
        }
    }

    /// Gets ready to receive from, and to send to, the remote channels.
    fn connect(&mut self, remotes: &BTreeMap<String, Remote>) -> Result<(), StoreError> {
        for (name, channel) in &self.config.channels {
            let Some(settle) = channel.settle() else { continue };
            let missing = || StoreError::Other(format!("channel `{name}` was given no connection"));
            let remote = remotes.get(name).ok_or_else(missing)?;
            let id = self.store.channel_id(name)?;
            let wake = Arc::new(Notify::new());
            let size = self.store.outbox_size(id)?;
            let (store, clock, sink) = (Arc::clone(&self.store), Arc::clone(&self.clock), Arc::clone(&remote.sink));
            let inputs = self.to_self.clone();
            let (signals, woken) = (Arc::clone(&self.signals), Arc::clone(&wake));
            let outlet = Outlet { name: name.clone(), id, sink, store, clock, wake: woken, inputs, signals };
            self.outlets.open(id, wake, size, outlet.run());
            let Some(intake) = self.channels.iter().position(|intake| intake.channel.id == id) else { continue };
            let source = Arc::clone(remote.source.as_ref().ok_or_else(missing)?);
            if settle == Settle::Completed && Arc::clone(&source).leasing().is_none() {
                let why = format!("channel `{name}` has no leases, which `settle = \"completed\"` needs");
                return Err(StoreError::Other(why));
            }
            let readers: Vec<_> = self.channels[intake].readers.iter().map(|r| &self.reactors[*r].config).collect();
            let lease = channel.lease(readers.iter().copied());
            let concurrency = readers.iter().map(|reactor| reactor.concurrency).sum();
            let signals = self.signals.inlet(name);
            let opening = Opening { name: name.clone(), id, intake, source, settle, lease, concurrency, signals };
            let number = self.inlets.len();
            self.inlets.push(Inlet::open(number, opening, &self.to_self, &mut self.acknowledgers, &self.clock));
        }
        Ok(())
    }
}

/// The reactors, each with its guest and a number, which new ones get now.
async fn reactors(
    config: &Config,
    store: &Arc<dyn StoreOwner>,
    mut guests: BTreeMap<String, Arc<dyn Guest>>,
    (signals, clock, http): (&Signals, &Arc<dyn Clock>, &Arc<dyn HttpClient>),
    destinations: &Destinations,
) -> Result<Vec<Reactor>, StoreError> {
    let room = Arc::new(Room::new(config.runtime.queue_memory, config.reactors.len()));
    let mut reactors = Vec::new();
    for (name, reactor) in &config.reactors {
        let guest = guests
            .remove(name)
            .ok_or_else(|| StoreError::Other(format!("reactor `{name}` was given no module to run")))?;
        let id = until_there_is_room(signals, &**clock, || ready(store.reactor_id(name))).await?;
        let state = Arc::new(ReactorState::new(Arc::clone(store) as Arc<dyn StoreClient>, id, Arc::clone(&room)));
        let (clock, http) = (Arc::clone(clock), Arc::clone(http));
        let world = Live { state, clock, config: reactor.values(), http };
        let reactor = (reactor.clone(), config.runtime.hop_limit);
        reactors.push(Reactor::new(id, reactor, guest, world, signals.reactor(name), Arc::clone(destinations)));
    }
    Ok(reactors)
}

/// The numbers of the channels, which new ones get now.
async fn numbered(
    config: &Config,
    store: &dyn StoreClient,
    signals: &Signals,
    clock: &dyn Clock,
) -> Result<BTreeMap<String, ChannelId>, StoreError> {
    let mut numbers = BTreeMap::new();
    for name in config.channels.keys() {
        let number = until_there_is_room(signals, clock, || ready(store.channel_id(name))).await?;
        numbers.insert(name.clone(), number);
    }
    Ok(numbers)
}
