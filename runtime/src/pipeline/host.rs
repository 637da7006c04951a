//! The host: one task that owns the walk of every event.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::channel::Remote;
use crate::clock::Clock;
use crate::config::model::{Config, Settle};
use crate::event::{ChannelId, DeliveryId, Fault, HostTime, Outcome, ReactorId, Version};
use crate::store::{Commit, Store, StoreError, Target, Upkeep};

use super::admit::{self, Intake};
use super::claim::Slots;
use super::commit::{self, Judged, News, committer, until_there_is_room};
use super::deploy::{Deployment, End};
use super::inlet::{Inlet, Opening};
use super::invoke::{Guest, Run};
use super::judge::{self, Ended, judge};
use super::lease::Leases;
use super::outbox::{MOST_BYTES, MOST_MESSAGES, Outlet};
use super::reactor::{Destination, Destinations, Reactor};
use super::receive::SHORT_POLL;
use super::schedule::{Action, Effect, ReactorSpec, Scheduler};
use super::signal::{Phase, Signals, trace};
use super::state::ReactorState;
use super::{Active, Committing, Input};

/// How often the store is asked whether another process wrote to it, while one does and otherwise.
const POLL_BUSY: Duration = Duration::from_millis(1);
const POLL_IDLE: Duration = Duration::from_millis(10);
/// How long after the last foreign write the short interval is kept.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// How long receive calls under way are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// How often the gauges are set.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How often the store is tidied up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long after the drain time the host still waits for the store.
const GIVE_UP: Duration = Duration::from_secs(2);
/// How long a delivery may be away: longer than SQS keeps any message, its longest time of invisibility included.
const AWAY: Duration = Duration::from_secs(15 * 86_400);
/// Bytes of state values that each reactor may keep in memory, however many reactors there are.
const STATE_ROOM: usize = 64 << 10;
/// Most inputs taken at a time.
const INPUTS: usize = 1_024;

/// What a host is made of.
pub struct Parts {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The store, opened as its owner with at least `config.runtime.concurrency` slots.
    pub store: Arc<dyn Store>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// The channels outside, by name.
    pub remotes: BTreeMap<String, Remote>,
    /// One guest per configured reactor, by name.
    pub guests: BTreeMap<String, Arc<dyn Guest>>,
    /// Where guests run; not the runtime that runs the host, so that a busy guest never delays it.
    pub guest_threads: Handle,
    /// What is counted and traced.
    pub signals: Arc<Signals>,
}

/// What a person or a signal asks of a running host.
#[derive(Debug)]
pub enum Control {
    /// Start nothing more; end when what runs has ended, or when the drain time is over.
    Drain,
    /// End as soon as there is nothing left to do and nothing waits.
    WhenIdle,
    /// Look into the logs of all channels: something was appended by this process.
    Nudge,
    /// Take over a configuration and its modules.
    Deploy(Box<Deployment>),
}

/// See the module.
pub struct Host {
    pub(super) config: Arc<Config>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reactors: Vec<Reactor>,
    pub(super) by_id: HashMap<ReactorId, usize>,
    pub(super) channels: Vec<Intake>,
    pub(super) scheduler: Scheduler,
    pub(super) active: HashMap<DeliveryId, Active>,
    pub(super) conflicts: u64,
    /// The channels outside that are received from, what is in hand of them, and deliveries that are being put away.
    pub(super) inlets: Vec<Inlet>,
    pub(super) leases: Leases,
    pub(super) leaving: HashSet<DeliveryId>,
    /// Those that were put away while a reception was under way, whose answer may not know of it.
    pub(super) left: HashSet<DeliveryId>,
    /// Requests to redrive whose messages are being sent to their queues again.
    pub(super) resending: HashSet<u64>,
    pub(super) acknowledgers: JoinSet<()>,
    /// The channels outside that are sent to, and how many messages and bytes are on their way to them.
    outlets: HashMap<ChannelId, Arc<Notify>>,
    senders: JoinSet<()>,
    /// May be below zero for a moment: a message can leave before its commit has been answered here.
    outbox: (i64, i64),
    slots: Slots,
    next_commit: u64,
    inputs: mpsc::UnboundedReceiver<Input>,
    pub(super) to_self: mpsc::UnboundedSender<Input>,
    commits: mpsc::UnboundedSender<Commit>,
    /// The store's clock when this host started, and this process's clock at that moment.
    epoch: (HostTime, Duration),
    foreign: Foreign,
    pub(super) draining: Option<Instant>,
    pub(super) until_idle: bool,
    /// What runs when this host has ended; nothing, once it was told to stop.
    pub(super) next: Option<Box<Deployment>>,
    stopping: bool,
    /// Deliveries that are being made held ones.
    holding: usize,
    pub(super) signals: Arc<Signals>,
    /// When the gauges were set last.
    shown: Instant,
}

/// What is known of other processes' writes.
struct Foreign {
    seen: u64,
    last: Option<Instant>,
}

impl Host {
    /// Takes the store over from its last owner and gets ready to run.
    pub async fn new(parts: Parts) -> Result<Self, StoreError> {
        let Parts { config, store, clock, remotes, mut guests, guest_threads, signals } = parts;
        signals.enter(Phase::Starting);
        let (to_self, inputs) = mpsc::unbounded_channel();
        let (commits, queue) = mpsc::unbounded_channel();
        let mut channel_ids = BTreeMap::new();
        for name in config.channels.keys() {
            channel_ids.insert(name.clone(), store.channel_id(name)?);
        }
        let destination = |(name, channel)| (String::clone(name), Destination::of(channel, channel_ids[name]));
        let destinations: Destinations = Arc::new(config.channels.iter().map(destination).collect());
        let room = (config.runtime.queue_memory / config.reactors.len().max(1)).max(STATE_ROOM);
        let mut reactors = Vec::new();
        for (name, reactor) in &config.reactors {
            let guest = guests
                .remove(name)
                .ok_or_else(|| StoreError::Other(format!("reactor `{name}` was given no module to run")))?;
            let id = store.reactor_id(name)?;
            let state = ReactorState::new(Arc::clone(&store), id, room);
            let told = signals.reactor(name);
            reactors.push(Reactor::new(id, reactor.clone(), guest, state, told, Arc::clone(&destinations)));
        }
        let specs: Vec<_> = reactors.iter().map(|reactor| ReactorSpec::of(&reactor.config)).collect();
        let permits = config.runtime.concurrency;
        let channels = admit::intakes(&config, &*store, &reactors, &channel_ids, &signals)?;
        tokio::spawn(committer(Arc::clone(&store), queue, to_self.clone(), Arc::clone(&signals)));
        let mut host = Self {
            epoch: (store.host_time()?, clock.elapsed()),
            next_commit: store.next_commit()?,
            foreign: Foreign { seen: store.foreign_changes()?, last: None },
            scheduler: Scheduler::new(&specs, permits, config.runtime.queue_memory),
            slots: Slots::new(permits, guest_threads, to_self.clone()),
            by_id: reactors.iter().enumerate().map(|(index, reactor)| (reactor.id, index)).collect(),
            active: HashMap::new(),
            conflicts: 0,
            inlets: Vec::new(),
            leases: Leases::default(),
            leaving: HashSet::new(),
            left: HashSet::new(),
            resending: HashSet::new(),
            acknowledgers: JoinSet::new(),
            outlets: HashMap::new(),
            senders: JoinSet::new(),
            outbox: (0, 0),
            draining: None,
            until_idle: false,
            next: None,
            stopping: false,
            holding: 0,
            signals,
            shown: Instant::now(),
            config,
            store,
            clock,
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
            remotes: BTreeMap::new(),
            guests: BTreeMap::new(),
            guest_threads: self.slots.guest_threads(),
            signals: Arc::clone(&self.signals),
        }
    }

    /// Gets ready to receive from, and to send to, the channels outside.
    fn connect(&mut self, remotes: &BTreeMap<String, Remote>) -> Result<(), StoreError> {
        for (name, channel) in &self.config.channels {
            let Some(settle) = channel.settle() else { continue };
            let missing = || StoreError::Other(format!("channel `{name}` was given no connection"));
            let remote = remotes.get(name).ok_or_else(missing)?;
            let id = self.store.channel_id(name)?;
            let wake = Arc::new(Notify::new());
            self.outlets.insert(id, Arc::clone(&wake));
            let (messages, bytes) = self.store.outbox_size(id)?;
            self.outbox.0 += messages.cast_signed();
            self.outbox.1 += bytes.cast_signed();
            let (store, clock, sink) = (Arc::clone(&self.store), Arc::clone(&self.clock), Arc::clone(&remote.sink));
            let inputs = self.to_self.clone();
            self.senders.spawn(
                Outlet { name: name.clone(), id, sink, store, clock, wake, inputs, signals: Arc::clone(&self.signals) }
                    .run(),
            );
            let Some(intake) = self.channels.iter().position(|intake| intake.channel.id == id) else { continue };
            let source = Arc::clone(remote.source.as_ref().ok_or_else(missing)?);
            let readers: Vec<_> = self.channels[intake].readers.iter().map(|r| &self.reactors[*r].config).collect();
            let lease = channel.lease(readers.iter().copied());
            let concurrency = readers.iter().map(|reactor| reactor.concurrency).sum();
            let signals = self.signals.inlet(name);
            let opening = Opening { name: name.clone(), id, intake, source, settle, lease, concurrency, signals };
            let clock = Arc::clone(&self.clock);
            let elapsed = move |at: Instant| clock.elapsed().saturating_sub(at.elapsed());
            let number = self.inlets.len();
            self.inlets.push(Inlet::open(number, opening, &self.to_self, &mut self.acknowledgers, elapsed));
        }
        Ok(())
    }

    /// The channels whose deliveries run under a lease.
    pub(super) fn leased(&self) -> Vec<ChannelId> {
        let leased = |intake: &&Intake| {
            let channel = self.config.channels.get(&intake.channel.name);
            channel.and_then(|channel| channel.settle()) == Some(Settle::Completed)
        };
        self.channels.iter().filter(leased).map(|intake| intake.channel.id).collect()
    }

    /// The name of a channel.
    pub(super) fn channel_name(&self, id: ChannelId) -> &str {
        let found = self.channels.iter().find(|intake| intake.channel.id == id);
        found.map_or("?", |intake| intake.channel.name.as_str())
    }

    /// Runs until told to stop, or to make room for another. Returns why, and whether the next one is to end when idle.
    /// An error: the store makes it impossible to go on.
    pub(super) async fn until_told(mut self, control: &mut mpsc::Receiver<Control>) -> Result<(End, bool), StoreError> {
        let mut inputs = Vec::with_capacity(INPUTS);
        let mut upkeep = tokio::time::interval(UPKEEP);
        upkeep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut poll_at = Instant::now();
        self.carry_out_requests().await?;
        self.signals.enter(Phase::Running);
        loop {
            self.advance()?;
            if self.is_over() {
                break;
            }
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                received = self.inputs.recv_many(&mut inputs, INPUTS) => {
                    debug_assert!(received > 0, "the host holds a sender itself");
                    inputs.drain(..).try_for_each(|input| self.take(input))?;
                }
                Some(asked) = control.recv() => self.obey(asked),
                () = sleep_until(poll_at) => {
                    self.poll_foreign().await?;
                    poll_at = Instant::now() + self.poll_interval();
                }
                () = sleep_until(wake_at) => {}
                _ = upkeep.tick() => self.tidy(),
            }
        }
        // What a queue has just handed out is given back. A queue may also hand something to a call that was given up, and
        // then it comes again only when its lease is over: so calls that wait for little are waited for.
        let end = Instant::now() + if self.polls_are_short() { SHORT_POLL + LAST_ANSWERS } else { LAST_ANSWERS };
        while self.is_receiving()
            && let Ok(Some(input)) = timeout_at(end, self.inputs.recv()).await
        {
            if let Input::Received { inlet, answer, .. } = input {
                self.refuse(inlet, answer.unwrap_or_default());
            }
        }
        self.hand_back().await;
        self.senders.shutdown().await;
        self.store.maintain(&self.upkeep())?;
        match self.next.take().filter(|_| !self.stopping) {
            Some(deployment) => Ok((End::Restart(deployment), self.until_idle)),
            None => {
                tracing::info!(repeated = self.conflicts, "down");
                Ok((End::Stop, false))
            }
        }
    }

    /// Now, on the store's own clock.
    pub(super) fn now(&self) -> HostTime {
        self.epoch.0.after(self.clock.elapsed().saturating_sub(self.epoch.1))
    }

    /// Logs and outboxes have got messages of these sizes.
    pub(super) fn feed(&mut self, fed: &[(Target, usize)]) {
        for (target, bytes) in fed {
            match target {
                Target::Log(channel) => {
                    let fed = self.channels.iter_mut().find(|intake| intake.channel.id == *channel);
                    fed.into_iter().for_each(|intake| intake.pending = true);
                }
                Target::Outbox(channel) => {
                    self.outbox.0 += 1;
                    self.outbox.1 += i64::try_from(*bytes).unwrap_or(i64::MAX);
                    self.outlets.get(channel).into_iter().for_each(|wake| wake.notify_one());
                }
            }
        }
    }

    /// What cannot be sent piles up: nothing more is taken in until it has become less.
    pub(super) fn outbox_is_full(&self) -> bool {
        self.outbox.0 >= MOST_MESSAGES || self.outbox.1 >= MOST_BYTES
    }

    /// Sends a commit on its way. Numbers ascend in the order of sending.
    pub(super) fn next_number(&mut self) -> Version {
        self.next_commit += 1;
        Version(self.next_commit - 1)
    }

    fn obey(&mut self, asked: Control) {
        match asked {
            Control::WhenIdle => self.until_idle = true,
            Control::Nudge => self.channels.iter_mut().for_each(|intake| intake.pending = true),
            Control::Deploy(deployment) if !self.stopping => self.deploy(deployment),
            Control::Deploy(_) => {}
            Control::Drain => {
                self.stopping = true;
                self.drain();
            }
        }
    }

    /// Starts nothing more.
    pub(super) fn drain(&mut self) {
        if self.draining.is_none() {
            self.draining = Some(Instant::now() + self.config.runtime.drain);
            self.scheduler.drain();
            self.signals.enter(Phase::Draining);
            tracing::info!(running = self.slots.running(), "draining");
        }
    }

    fn is_over(&self) -> bool {
        if let Some(deadline) = self.draining {
            // A full disk may keep an admission waiting for ever; it is made again at the next start. A host that follows in
            // this process would not know of it, so it has to wait.
            let given_up = Instant::now() > deadline + GIVE_UP && (self.stopping || self.next.is_none());
            return given_up
                || self.slots.running() == 0
                    && self.active.values().all(|active| active.committing.is_none())
                    && self.channels.iter().all(|intake| !intake.busy)
                    && (self.next.is_none() || self.has_nothing_to_write());
        }
        self.until_idle
            && self.active.is_empty()
            && self.scheduler.is_idle()
            && !self.scheduler.is_waiting()
            && self.channels.iter().all(|intake| !intake.busy && !intake.pending)
            && self.inlets.iter().enumerate().all(|(number, inlet)| inlet.is_idle(self.leases.busy(number)))
            && self.resending.is_empty()
            && self.outbox.0 == 0
    }

    /// Whether no write is under way that the next host could miss.
    fn has_nothing_to_write(&self) -> bool {
        self.holding == 0 && self.leaving.is_empty() && self.inlets.iter().all(|inlet| inlet.storing == 0)
    }

    fn wake_at(&self) -> Instant {
        let soon = Instant::now() + POLL_IDLE;
        let drain = self.draining.map(|at| if self.slots.running() > 0 { at } else { at + BUSY_FOR }.max(soon));
        let due = self.scheduler.next_wake().map(|at| Instant::now() + at.since(self.now()));
        let far = Instant::now() + UPKEEP;
        drain.into_iter().chain(due).chain(self.next_receive()).fold(far, Instant::min)
    }

    fn poll_interval(&self) -> Duration {
        let busy = self.foreign.last.is_some_and(|at| at.elapsed() < BUSY_FOR);
        if busy { POLL_BUSY } else { POLL_IDLE }
    }

    async fn poll_foreign(&mut self) -> Result<(), StoreError> {
        let seen = self.store.foreign_changes()?;
        if seen == self.foreign.seen || self.draining.is_some() {
            return Ok(());
        }
        self.foreign = Foreign { seen, last: Some(Instant::now()) };
        self.channels.iter_mut().for_each(|intake| intake.pending = true);
        self.carry_out_requests().await
    }

    fn take(&mut self, input: Input) -> Result<(), StoreError> {
        match input {
            Input::RunEnded { delivery, slot, run } => self.run_ended(delivery, slot, run)?,
            Input::Committed(answers) => self.settle(answers),
            Input::Admitted { channel, batch, answers } => self.admitted(channel, batch, &answers),
            Input::HeldWritten { reactor, lane } => {
                self.holding -= 1;
                self.scheduler.held_written(reactor, lane);
            }
            Input::Received { inlet, asked, started, at, answer } => self.received(inlet, asked, (started, at), answer),
            Input::Entered { inlet, batch, entered } => self.entered(inlet, batch, entered)?,
            Input::Stored { inlet, receipts } => self.stored(inlet, receipts),
            Input::Renewed { lease, sent, answer } => self.renewed(lease, sent, answer),
            Input::Deleted { inlet, answer } => self.deleted(inlet, answer),
            Input::Depth { inlet, answer } => self.looked(inlet, answer),
            Input::Resent { request, dead, answer } => self.resent(request, dead, answer)?,
            Input::AwayWritten(delivery) => self.put_away_written(delivery),
            Input::LeftOutbox(messages, bytes) => {
                self.outbox.0 -= messages.cast_signed();
                self.outbox.1 -= bytes.cast_signed();
                self.inlets.iter_mut().for_each(Inlet::stir);
            }
            Input::Fatal(error) => return Err(error),
        }
        Ok(())
    }

    /// Does all that can be done without waiting.
    fn advance(&mut self) -> Result<(), StoreError> {
        if self.draining.is_some_and(|at| Instant::now() >= at) {
            self.slots.cancel_all();
        }
        self.keep_leases();
        self.show();
        if self.draining.is_none() {
            self.read_logs()?;
            self.enter_arrived();
            self.poll_channels();
        }
        loop {
            let actions = self.scheduler.tick(self.now());
            if actions.is_empty() {
                return Ok(());
            }
            for action in actions {
                self.act(action)?;
            }
        }
    }

    /// Sets the gauges, now and then.
    fn show(&mut self) {
        if self.shown.elapsed() >= SHOW_EVERY {
            self.shown = Instant::now();
            for (index, reactor) in self.reactors.iter().enumerate() {
                reactor.signals.stands(self.scheduler.queued(index), self.scheduler.is_broken(index));
            }
        }
    }

    fn act(&mut self, action: Action) -> Result<(), StoreError> {
        match action {
            Action::Start { delivery, after } => {
                let Some(active) = self.active.get(&delivery) else { return Ok(()) };
                if !self.holds_lease(delivery, active) {
                    self.withdraw(delivery);
                    return Ok(());
                }
                let Some(active) = self.active.get_mut(&delivery) else { return Ok(()) };
                active.after = after;
                active.cancelled = false;
                let reactor = &self.reactors[active.reactor];
                active.ran_by = Some(Arc::clone(&reactor.guest));
                active.span = self.signals.tracer().map(|tracer| {
                    let channel = self.channels.iter().find(|intake| intake.channel.id == active.origin.channel);
                    tracer.begin(&trace::Attempt {
                        reactor: &reactor.config.name,
                        channel: channel.map_or("", |intake| &intake.channel.name),
                        event: &active.event,
                        number: active.attempt(),
                        module: reactor.guest.digest(),
                    })
                });
                self.slots.start(&*self.store, delivery, active, reactor)?;
            }
            Action::Load(load) => self.load(load)?,
            Action::Hold { reactor, lane, delivery } => {
                self.forget(delivery);
                self.leases.rests(delivery);
                self.holding += 1;
                let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
                let signals = Arc::clone(&self.signals);
                tokio::spawn(async move {
                    let written = until_there_is_room(&signals, || store.hold(vec![delivery])).await;
                    let _ = inputs.send(match written {
                        Ok(()) => Input::HeldWritten { reactor, lane },
                        Err(error) => Input::Fatal(error),
                    });
                });
            }
            Action::Forget(deliveries) => deliveries.into_iter().for_each(|delivery| {
                self.forget(delivery);
                self.leases.rests(delivery);
            }),
        }
        Ok(())
    }

    /// Takes a delivery that has been started, and has no lease, out of memory, until its message is received again.
    fn withdraw(&mut self, delivery: DeliveryId) {
        if let Some(active) = self.active.remove(&delivery) {
            self.scheduler.withdrawn(active.reactor, delivery, active.lane, active.weight);
            self.put_away(delivery);
        }
    }

    /// Gives up the run of a delivery, if there is one.
    pub(super) fn cancel(&self, delivery: DeliveryId) {
        self.slots.cancel(delivery);
    }

    fn forget(&mut self, delivery: DeliveryId) {
        if let Some(active) = self.active.remove(&delivery) {
            self.scheduler.forgotten(active.reactor, active.weight);
        }
    }

    fn run_ended(&mut self, id: DeliveryId, slot: usize, run: Option<Run>) -> Result<(), StoreError> {
        self.slots.ended(&*self.store, slot)?;
        let Some(active) = self.active.get_mut(&id) else { return Ok(()) };
        self.reactors[active.reactor].signals.stopped();
        if run.is_none() {
            active.span.take().into_iter().for_each(|span| span.end("cancelled", ""));
        }
        let Some(active) = self.active.get(&id) else { return Ok(()) };
        if !self.holds_lease(id, active) {
            // Somebody else may be working on it, so what this run did is void.
            self.withdraw(id);
            return Ok(());
        }
        let (reactor, lane) = (active.reactor, active.lane);
        match run {
            Some(run) => self.finish(id, run),
            None if self.draining.is_some() || active.cancelled => {
                self.scheduler.run_cancelled(reactor, id, lane);
                Ok(())
            }
            // The task ended by a panic of the host's own code: the attempt counts, the host goes on.
            None => self.finish(id, super::claim::vanished()),
        }
    }

    /// Judges a run and sends its commit.
    fn finish(&mut self, id: DeliveryId, mut run: Run) -> Result<(), StoreError> {
        let Some(active) = self.active.get_mut(&id) else { return Ok(()) };
        let (index, lane) = (active.reactor, active.lane);
        if !self.reactors[index].state.is_current(&run.reads) {
            self.conflicts += 1;
            self.reactors[index].signals.repeated();
            active.span.take().into_iter().for_each(|span| span.end("repeated", ""));
            self.scheduler.run_outdated(index, id, lane, active.must_run_alone());
            return Ok(());
        }
        let number = self.next_number();
        let (now, wall) = (self.now(), self.clock.wall());
        let Some(active) = self.active.get(&id) else { return Ok(()) };
        let reactor = &self.reactors[index];
        let emits = reactor.messages(active, &run.emits, wall).unwrap_or_else(|detail| {
            run.outcome = Outcome::Fault { fault: Fault::EmitInvalid, detail };
            Vec::new()
        });
        let (code, error) = judge::describe(&run.outcome);
        let effect = self.scheduler.ran(index, id, judge::is_transient(&run.outcome), now);
        reactor.signals.breaker(effect, error.lines().next().unwrap_or_default());
        if let Some(span) = self.active.get_mut(&id).and_then(|active| active.span.take()) {
            span.end(code, error);
        }
        let Some(active) = self.active.get(&id) else { return Ok(()) };
        // A probe that failed uses up no attempt, but the event's time goes on.
        if matches!(effect, Effect::ProbeFailed(_)) && now.since(active.since) < reactor.config.retry.max_age {
            self.scheduler.probe_failed(index, id, lane);
            return Ok(());
        }
        let verdict = judge(
            &reactor.config.retry,
            Ended {
                outcome: &run.outcome,
                attempt: active.attempt(),
                age: now.since(active.since),
                dice: self.clock.random(),
            },
        );
        let news = News::of(&verdict, &run);
        let judged = Judged { verdict, now, wall, followers: self.scheduler.followers(index, lane), number, emits };
        let from = self.channel_name(active.origin.channel);
        let built = commit::build(id, active, reactor, run, judged, from, || self.original(active))?;
        reactor.state.publish(&built.writes, number);
        let ending = commit::lane_ending(&built.ending);
        let committing = Committing::of(&built, news);
        if let Some(active) = self.active.get_mut(&id) {
            active.committing = Some(committing);
        }
        self.scheduler.run_ended(index, id, lane, number, ending);
        self.send(built);
        Ok(())
    }

    /// Hands a commit to the committer, which only ever ends by reporting a fatal error.
    pub(super) fn send(&self, commit: Commit) {
        let _ = self.commits.send(commit);
    }

    fn tidy(&self) {
        let (store, upkeep) = (Arc::clone(&self.store), self.upkeep());
        let inputs = self.to_self.clone();
        tokio::task::spawn_blocking(move || match store.maintain(&upkeep) {
            Ok(()) => {}
            Err(StoreError::Full) => tracing::warn!("{}", StoreError::Full),
            Err(error) => drop(inputs.send(Input::Fatal(error))),
        });
    }

    fn upkeep(&self) -> Upkeep {
        let windows = self.reactors.iter().map(|reactor| reactor.config.dedup.window);
        let retention = self.channels.iter().filter_map(|intake| {
            let channel = self.config.channels.get(&intake.channel.name)?;
            Some((intake.channel.id, channel.retention()))
        });
        Upkeep {
            now: self.now(),
            ledger_window: windows.max().unwrap_or_default(),
            retention: retention.collect(),
            away: AWAY,
        }
    }
}
