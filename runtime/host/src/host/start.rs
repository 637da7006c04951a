//! Getting a host ready: names, reactors, routes, connections, and what the last owner left.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::{Notify, mpsc};

use reactor_config::model::{Config, Settle};
use reactor_core::channel::Remote;
use reactor_core::clock::Clock;
use reactor_core::event::ChannelId;
use reactor_core::guest::Guest;
use reactor_core::store::{StoreClient, StoreError, StoreOwner};
use reactor_core::world::{HttpClient, Live};
use reactor_signal::{Phase, Signals};

use super::admit;
use super::chores::Chores;
use super::life::Life;
use super::loads::Loads;
use super::ports::Ports;
use super::requested::Requests;
use super::topology::Topology;
use crate::delivery::Deliveries;
use crate::emit::{Destination, Destinations};
use crate::host::{Host, Parts};
use crate::outbox::Sender;
use crate::outbox::senders::Senders;
use crate::outcome::commit::Committer;
use crate::reactor::Reactor;
use crate::reactor::state::{ReactorState, Room};
use crate::room::until_there_is_room;
use crate::run::claim::Slots;
use crate::run::runs::Runs;
use crate::schedule::{ReactorSpec, Scheduler};
use crate::sources::poller::{Opening, Poller};
use crate::sources::queues::Queues;

impl Host {
    /// Takes the store over from its last owner and gets ready to run.
    pub async fn new(parts: Parts) -> Result<Self, StoreError> {
        let Parts { config, store, clock, http, remotes, guests, guest_threads, signals, reads } = parts;
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
        let slots = Slots::new(permits, guest_threads, Arc::clone(&store), Arc::clone(&clock), to_self.clone());
        let foreign_seen = Some(store.foreign_changes()?);
        let epoch = (store.host_time()?, clock.now());
        let mut host = Self {
            topology: Topology::new(Arc::clone(&config), reactors, channels),
            queues: Queues::default(),
            senders: Senders::default(),
            deliveries: Deliveries::new(Scheduler::new(&specs, permits, config.runtime.queue_memory)),
            runs: Runs { slots, speculative: HashMap::new(), commits, in_memory, ended: 0, repeated: 0 },
            loads: Loads::default(),
            requests: Requests::default(),
            life: Life::new(false),
            chores: Chores { foreign_seen, ..Chores::default() },
            ports: Ports { store, reads, clock, http, signals, to_self, epoch },
            inputs,
        };
        host.connect(&remotes)?;
        host.recover().await?;
        Ok(host)
    }

    /// What a host that follows this one in the same process shares with it.
    pub(crate) fn lasting(&self) -> Parts {
        Parts {
            config: Arc::clone(&self.topology.config),
            store: Arc::clone(&self.ports.store),
            clock: Arc::clone(&self.ports.clock),
            http: Arc::clone(&self.ports.http),
            remotes: BTreeMap::new(),
            guests: BTreeMap::new(),
            guest_threads: self.runs.slots.guest_threads(),
            signals: Arc::clone(&self.ports.signals),
            reads: self.ports.reads.clone(),
        }
    }

    /// Gets ready to receive from, and to send to, the remote channels.
    fn connect(&mut self, remotes: &BTreeMap<String, Remote>) -> Result<(), StoreError> {
        for (name, channel) in &self.topology.config.channels {
            let Some(settle) = channel.settle() else { continue };
            let missing = || StoreError::Other(format!("channel `{name}` was given no connection"));
            let remote = remotes.get(name).ok_or_else(missing)?;
            let id = self.ports.store.channel_id(name)?;
            let wake = Arc::new(Notify::new());
            let size = self.ports.store.outbox_size(id)?;
            let (store, clock, sink) =
                (Arc::clone(&self.ports.store), Arc::clone(&self.ports.clock), Arc::clone(&remote.sink));
            let inputs = self.ports.to_self.clone();
            let (signals, woken) = (Arc::clone(&self.ports.signals), Arc::clone(&wake));
            let reads = self.ports.reads.clone();
            let sender = Sender { name: name.clone(), id, sink, store, reads, clock, wake: woken, inputs, signals };
            self.senders.open(id, wake, size, sender.run());
            let Some(intake) = self.topology.channels.iter().position(|intake| intake.channel.id == id) else {
                continue;
            };
            let source = Arc::clone(remote.source.as_ref().ok_or_else(missing)?);
            if settle == Settle::Completed && Arc::clone(&source).leasing().is_none() {
                let why = format!("channel `{name}` has no leases, which `settle = \"completed\"` needs");
                return Err(StoreError::Other(why));
            }
            let readers: Vec<_> =
                self.topology.channels[intake].readers.iter().map(|r| &self.topology.reactors[*r].config).collect();
            let lease = channel.lease(readers.iter().copied());
            let concurrency = readers.iter().map(|reactor| reactor.concurrency).sum();
            let signals = self.ports.signals.poller(name);
            let opening = Opening { name: name.clone(), id, intake, source, settle, lease, concurrency, signals };
            let number = self.queues.pollers.len();
            self.queues.pollers.push(Poller::open(
                number,
                opening,
                &self.ports.to_self,
                &mut self.queues.acknowledgers,
                &self.ports.clock,
            ));
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
