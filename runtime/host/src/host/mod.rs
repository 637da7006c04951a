//! The host: one task that owns the walk of every event. Its chapters, in the order of the walk, each say what it does when
//! something has happened; what is decided, and what is kept, is in the folders beside this one.

mod start;

mod receive;

mod admit;
pub(crate) mod enter;

mod act;
mod speculate;

mod committed;
mod ended;
mod keep;

pub mod deploy;
pub mod deployment;
mod load;
mod requests;
pub(crate) mod restore;

mod chores;
mod life;
mod loads;
mod ports;
pub(crate) mod requested;
mod topology;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use reactor_config::model::Config;
use reactor_core::channel::Remote;
use reactor_core::clock::{Alarm, Clock, Moment, within};
use reactor_core::event::Version;
use reactor_core::guest::Guest;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{StoreError, StoreOwner, Target, Upkeep};
use reactor_core::world::HttpClient;
use reactor_signal::{Phase, Signals};

use super::delivery::Deliveries;
use crate::Input;
use crate::host::chores::Chores;
use crate::host::deployment::{Deployment, End};
use crate::host::life::Life;
use crate::host::loads::Loads;
use crate::host::ports::Ports;
use crate::host::requested::Requests;
use crate::host::topology::Topology;
use crate::intake::Intake;
use crate::outbox::senders::Senders;
use crate::reads::Reads;
use crate::run::runs::Runs;
use crate::sources::poller::SHORT_POLL;
use crate::sources::queues::Queues;

/// How often the store is asked whether another process wrote to it, without having rung.
const POLL: Duration = Duration::from_millis(250);
/// The shortest time that is waited for.
const SOON: Duration = Duration::from_millis(10);
/// How long receive calls under way are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// How often the gauges are set.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How often the store is tidied up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long after the drain time the host still waits for the store.
const GIVE_UP: Duration = Duration::from_secs(2);
/// How long a delivery may be away at least. Where a channel keeps its messages for longer, it may be away for a day more than
/// that: a message can be leased when its time comes.
const AWAY: Duration = Duration::from_secs(15 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
/// Most inputs taken at a time.
const INPUTS: usize = 1_024;

/// What a host is made of.
#[derive(Clone)]
pub struct Parts {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The store, opened as its owner with at least `config.runtime.concurrency` slots.
    pub store: Arc<dyn StoreOwner>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// What sends the requests of modules.
    pub http: Arc<dyn HttpClient>,
    /// The remote channels, by name.
    pub remotes: BTreeMap<String, Remote>,
    /// One guest per configured reactor, by name.
    pub guests: BTreeMap<String, Arc<dyn Guest>>,
    /// Where guests run; not the runtime that runs the host, so that a busy guest never delays it.
    pub guest_threads: Handle,
    /// What is counted and traced.
    pub signals: Arc<Signals>,
    /// How many reads are under way.
    pub reads: Reads,
}

/// What a person or a signal asks of a running host.
#[derive(Debug)]
pub enum Control {
    /// Start nothing more; end when what runs has ended, or when the drain time is over.
    Drain,
    /// End as soon as there is nothing left to do and nothing waits.
    WhenIdle,
    /// Take over a configuration and its modules.
    Deploy(Box<Deployment>),
}

/// See the module.
pub struct Host {
    pub(super) topology: Topology,
    pub(super) queues: Queues,
    pub(super) senders: Senders,
    pub(super) deliveries: Deliveries,
    pub(super) runs: Runs,
    pub(super) loads: Loads,
    pub(super) requests: Requests,
    pub(super) life: Life,
    pub(super) chores: Chores,
    pub(super) ports: Ports,
    pub(super) inputs: mpsc::UnboundedReceiver<Input>,
}

impl Host {
    /// Runs until told to stop, or to make room for another. Returns why, and whether the next one is to end when idle.
    /// An error: the store makes it impossible to go on.
    pub(super) async fn until_told(mut self, control: &mut mpsc::Receiver<Control>) -> Result<(End, bool), StoreError> {
        let mut inputs = Vec::with_capacity(INPUTS);
        let (store, clock) = (Arc::clone(&self.ports.store), Arc::clone(&self.ports.clock));
        let mut alarm = Alarm::new(Arc::clone(&clock));
        let (mut poll, mut upkeep) = (clock.sleep(Duration::ZERO), clock.sleep(Duration::ZERO));
        let mut rung = store.rung();
        self.look_for_requests();
        self.ports.signals.enter(Phase::Running);
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
                () = &mut rung => {
                    rung = store.rung();
                    self.look_around();
                }
                () = &mut poll => {
                    self.poll_foreign();
                    poll = clock.sleep(POLL);
                }
                () = alarm.until(wake_at) => {}
                () = &mut upkeep => {
                    self.tidy();
                    upkeep = clock.sleep(UPKEEP);
                }
            }
        }
        // What a queue has just handed out is given back. A queue may also hand something to a call that was given up, and
        // then it comes again only when its lease is over: so calls that wait for little are waited for.
        let mut end = clock.sleep(if self.life.until_idle || self.queues.polls_are_short() {
            SHORT_POLL + LAST_ANSWERS
        } else {
            LAST_ANSWERS
        });
        while self.queues.are_receiving()
            && let Some(Some(input)) = within(&mut end, self.inputs.recv()).await
        {
            if let Input::Received { poller, answer, .. } = input {
                self.refuse(poller, answer.unwrap_or_default());
            }
        }
        self.hand_back().await;
        self.senders.close().await;
        self.tidy_at_the_end().await?;
        let until_idle = self.life.until_idle;
        let end = self.life.end();
        if matches!(end, End::Stop) {
            tracing::info!(repeated = self.runs.repeated, "down");
        }
        Ok((end, until_idle))
    }

    /// Logs and outboxes have got messages of these sizes.
    pub(super) fn wake_readers(&mut self, fed: &[(Target, usize)]) {
        for (target, bytes) in fed {
            match target {
                Target::Log(channel) => self.topology.wake_reader(*channel),
                Target::Outbox(channel) => self.senders.put(*channel, *bytes),
            }
        }
    }

    /// Sends a commit on its way. Numbers ascend in the order of sending.
    pub(super) fn next_number(&self) -> Version {
        self.ports.store.next_commit()
    }

    fn obey(&mut self, asked: Control) {
        match asked {
            Control::WhenIdle => {
                self.life.until_idle = true;
                // What was appended before may have rung, and not been heard yet.
                self.topology.wake_readers();
            }
            Control::Deploy(deployment) if !self.life.is_stopping() => self.deploy(deployment),
            Control::Deploy(_) => {}
            Control::Drain => {
                self.begin_to_drain();
                self.life.stop(self.drain_ends());
            }
        }
    }

    /// When a drain that begins now is over.
    pub(super) fn drain_ends(&self) -> Moment {
        self.ports.clock.now() + self.topology.config.runtime.drain
    }

    /// Starts nothing more; what comes then is for the caller to say.
    pub(super) fn begin_to_drain(&mut self) {
        if !self.life.is_draining() {
            self.deliveries.drain();
            self.runs.slots.close();
            self.ports.signals.enter(Phase::Draining);
            tracing::info!(running = self.runs.slots.running(), "draining");
        }
    }

    fn is_over(&self) -> bool {
        if let Some(deadline) = self.life.drains_until() {
            // A full disk may keep an admission waiting for ever; it is made again at the next start. A host that follows in
            // this process would not know of it, so it has to wait.
            let given_up = self.ports.clock.now() > deadline + GIVE_UP && self.life.is_stopping();
            return given_up
                || self.runs.slots.running() == 0
                    && !self.deliveries.is_committing()
                    && !self.topology.channels.iter().any(Intake::is_entering)
                    && !self.requests.is_writing()
                    // Messages that are being copied are deleted from their queue first; otherwise they stay hidden there
                    // until their leases end.
                    && !self.queues.are_storing()
                    && (self.life.is_stopping() || self.has_nothing_to_write());
        }
        self.life.until_idle
            && self.deliveries.is_idle()
            && self.topology.channels.iter().all(|intake| !intake.is_busy() && !intake.pending)
            && self
                .queues
                .pollers
                .iter()
                .enumerate()
                .all(|(number, poller)| poller.is_idle(self.deliveries.busy(number)))
            && self.requests.is_idle()
            && self.senders.are_empty()
    }

    /// Whether no write is under way that the next host could miss.
    fn has_nothing_to_write(&self) -> bool {
        !self.deliveries.is_writing() && !self.requests.is_resending()
    }

    fn wake_at(&self) -> Moment {
        let now = self.ports.clock.now();
        let soon = now + SOON;
        let drain =
            self.life.drains_until().map(|at| if self.runs.slots.running() > 0 { at } else { at + GIVE_UP }.max(soon));
        let due = self.deliveries.next_wake().map(|at| now + at.since(self.ports.at(now)));
        let (read, receive) = (self.next_read(now), self.next_receive(now));
        drain.into_iter().chain(due).chain(read).chain(receive).fold(now + UPKEEP, Moment::min)
    }

    /// Looks whether another process has written something without ringing.
    fn poll_foreign(&mut self) {
        if !std::mem::replace(&mut self.chores.looking, true) {
            self.ports.read(|store| store.foreign_changes(), Input::ForeignChanges);
        }
    }

    /// What the store says of other processes' writes.
    fn foreign_changes(&mut self, seen: u64) {
        self.chores.looking = false;
        if self.chores.foreign_seen.replace(seen) != Some(seen) {
            self.look_around();
        }
    }

    /// What is in the store is looked at again with the next look, as if another process had written.
    pub(super) fn look_again(&mut self) {
        self.chores.foreign_seen = None;
    }

    /// Something was appended or requested.
    fn look_around(&mut self) {
        if !self.life.is_draining() {
            self.topology.wake_readers();
            self.look_for_requests();
        }
    }

    fn take(&mut self, input: Input) -> Result<(), StoreError> {
        match input {
            Input::RunsEnded(runs) => runs.into_iter().try_for_each(|ran| self.run_ended(ran))?,
            Input::Committed(answers) => self.committed(answers),
            Input::HeldWritten { reactor, lane } => self.deliveries.held(reactor, lane),
            Input::Received { poller, asked, started, at, answer } => {
                self.received(poller, asked, (started, at), answer);
            }
            Input::LogRead(channel, records) => self.log_read(channel, records),
            Input::Entered(batch, entered, resumed) => self.entered(batch, entered, resumed),
            Input::Loaded(found, left) => self.loaded(found, left),
            Input::Stored { poller, receipts } => self.stored(poller, receipts),
            Input::Renewed { lease, sent, answer } => self.renewed(lease, sent, answer),
            Input::Deleted { poller, answer } => self.deleted(poller, answer),
            Input::Depth { poller, answer } => self.looked(poller, answer),
            Input::Resent { request, dead, answer } => self.resent(request, dead, answer),
            Input::Requests(new) => self.requests_found(new),
            Input::Request(number, request, step) => self.request_went_on(number, request, step),
            Input::ForeignChanges(seen) => self.foreign_changes(seen),
            Input::AskedAgain(number, request) => self.put_off(number, request),
            Input::AwayWritten(delivery) => self.went_away(delivery),
            Input::LeftOutbox(messages, bytes) => {
                self.senders.left(messages, bytes);
                let now = self.ports.clock.now();
                self.queues.pollers.iter_mut().for_each(|poller| poller.stir(now));
            }
            Input::Fatal(error) => return Err(error),
        }
        Ok(())
    }

    /// Does all that can be done without waiting.
    fn advance(&mut self) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        if self.life.drains_until().is_some_and(|at| now >= at) {
            self.runs.slots.cancel_all();
        }
        self.keep_leases(now);
        self.show(now);
        if !self.life.is_draining() {
            self.read_logs(now);
            self.enter_arrived();
            self.poll_channels(now);
        }
        loop {
            let actions = self.deliveries.tick(self.ports.now());
            if actions.is_empty() {
                self.read_loads();
                self.runs.speculative.clear();
                self.runs.in_memory.store(self.deliveries.count(), Relaxed);
                self.deliveries.assert_agreed(self.runs.slots.running());
                return self.runs.slots.launch();
            }
            for action in actions {
                self.act(action)?;
            }
        }
    }

    /// Sets the gauges, now and then.
    fn show(&mut self, now: Moment) {
        if self.chores.shown.is_none_or(|at| now.since(at) >= SHOW_EVERY) {
            self.chores.shown = Some(now);
            for (index, reactor) in self.topology.reactors.iter().enumerate() {
                reactor.signals.queue_status(self.deliveries.queue_status(index, reactor.config.concurrency));
            }
        }
    }

    fn tidy(&mut self) {
        if self.chores.tidying.as_ref().is_some_and(|under_way| !under_way.is_finished()) {
            return;
        }
        let (ports, upkeep) = (self.ports.clone(), self.upkeep());
        self.chores.tidying = Some(tokio::spawn(async move {
            match ports.made(move |store| store.maintain(&upkeep)).await {
                Ok(()) => {}
                Err(error @ (StoreError::Full | StoreError::Busy { .. })) => tracing::warn!("{error}"),
                Err(error) => drop(ports.to_self.send(Input::Fatal(error))),
            }
        }));
    }

    /// The last time. A store that another process keeps busy is waited for until the drain time is over.
    async fn tidy_at_the_end(&mut self) -> Result<(), StoreError> {
        let (ports, upkeep) = (self.ports.clone(), self.upkeep());
        let mut last = pin!(ports.made(move |store| store.maintain(&upkeep)));
        let end = self.life.drains_until().unwrap_or_else(|| self.drain_ends()) + GIVE_UP;
        let ended = match within(self.ports.clock.sleep_until(end), last.as_mut()).await {
            Some(ended) => ended,
            None if self.life.is_followed() => last.await,
            None => {
                self.ports.store.give_up();
                last.await
            }
        };
        match ended {
            Err(error @ (StoreError::Full | StoreError::Busy { .. })) => {
                tracing::warn!("{error}");
                Ok(())
            }
            ended => ended,
        }
    }

    fn upkeep(&self) -> Upkeep {
        let windows = self.topology.reactors.iter().map(|reactor| reactor.config.dedup.window);
        let retention = self.topology.channels.iter().filter_map(|intake| {
            let channel = self.topology.config.channels.get(&intake.channel.name)?;
            Some((intake.channel.id, channel.retention))
        });
        let kept = self
            .topology
            .config
            .channels
            .values()
            .filter_map(|channel| Some(channel.outside.as_ref()?.limits.kept + DAY));
        Upkeep {
            now: if is_planted(Bug::ForgetByWallClock) { self.ports.by_wall_clock() } else { self.ports.now() },
            ledger_window: windows.max().unwrap_or_default(),
            retention: retention.collect(),
            away: kept.max().unwrap_or_default().max(AWAY),
            history: self.topology.config.runtime.history,
        }
    }
}
