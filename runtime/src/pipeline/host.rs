//! The host: one task that owns the walk of every event.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::channel::Remote;
use crate::clock::{Alarm, Clock, Moment, within};
use crate::config::model::{Config, Settle};
use crate::event::{ChannelId, HostTime, ReactorId, Version};
use crate::store::{Commit, StoreError, StoreOwner, Target, Upkeep};
use crate::world::HttpClient;

use super::Input;
use super::claim::Slots;
use super::delivery::Deliveries;
use super::deployment::{Deployment, End};
use super::guess;
use super::inlet::{Inlet, SHORT_POLL};
use super::intake::Intake;
use super::invoke::Guest;
use super::life::Life;
use super::outlets::Outlets;
use super::reactor::Reactor;
use super::requested::Requests;
use super::signal::{Phase, Signals};

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
    pub(super) config: Arc<Config>,
    pub(super) store: Arc<dyn StoreOwner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) http: Arc<dyn HttpClient>,
    pub(super) reactors: Vec<Reactor>,
    pub(super) by_id: HashMap<ReactorId, usize>,
    pub(super) channels: Vec<Intake>,
    pub(super) deliveries: Deliveries,
    /// How many these are, for the committer.
    pub(super) in_memory: Arc<AtomicUsize>,
    pub(super) conflicts: u64,
    /// Runs that have ended.
    pub(super) ended: u64,
    pub(super) guessed: guess::Table,
    /// The remote channels that are received from.
    pub(super) inlets: Vec<Inlet>,
    pub(super) requests: Requests,
    pub(super) acknowledgers: JoinSet<()>,
    pub(super) outlets: Outlets,
    pub(super) slots: Slots,
    pub(super) inputs: mpsc::UnboundedReceiver<Input>,
    pub(super) to_self: mpsc::UnboundedSender<Input>,
    pub(super) commits: mpsc::UnboundedSender<Commit>,
    /// The store's clock when this host started, and this process's clock at that moment.
    pub(super) epoch: (HostTime, Moment),
    /// What the store said last of other processes' writes.
    pub(super) foreign_seen: Option<u64>,
    pub(super) life: Life,
    pub(super) signals: Arc<Signals>,
    /// When the gauges were set last.
    pub(super) shown: Option<Moment>,
    /// Housekeeping that is under way.
    pub(super) tidying: Option<JoinHandle<()>>,
}

impl Host {
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
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let mut alarm = Alarm::new(Arc::clone(&clock));
        let (mut poll, mut upkeep) = (clock.sleep(Duration::ZERO), clock.sleep(Duration::ZERO));
        let mut rung = store.rung();
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
                () = &mut rung => {
                    rung = store.rung();
                    self.look_around().await?;
                }
                () = &mut poll => {
                    self.poll_foreign().await?;
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
        let mut end = clock.sleep(if self.polls_are_short() { SHORT_POLL + LAST_ANSWERS } else { LAST_ANSWERS });
        while self.is_receiving()
            && let Some(Some(input)) = within(&mut end, self.inputs.recv()).await
        {
            if let Input::Received { inlet, answer, .. } = input {
                self.refuse(inlet, answer.unwrap_or_default());
            }
        }
        self.hand_back().await;
        self.outlets.close().await;
        self.tidy_at_the_end().await?;
        let until_idle = self.life.until_idle;
        let end = self.life.end();
        if matches!(end, End::Stop) {
            tracing::info!(repeated = self.conflicts, "down");
        }
        Ok((end, until_idle))
    }

    /// Now, on the store's own clock.
    pub(super) fn now(&self) -> HostTime {
        self.at(self.clock.now())
    }

    /// A moment of this process on the store's own clock.
    fn at(&self, moment: Moment) -> HostTime {
        self.epoch.0.after(moment.since(self.epoch.1))
    }

    /// Logs and outboxes have got messages of these sizes.
    pub(super) fn feed(&mut self, fed: &[(Target, usize)]) {
        for (target, bytes) in fed {
            match target {
                Target::Log(channel) => {
                    let fed = self.channels.iter_mut().find(|intake| intake.channel.id == *channel);
                    fed.into_iter().for_each(|intake| intake.pending = true);
                }
                Target::Outbox(channel) => self.outlets.put(*channel, *bytes),
            }
        }
    }

    /// Sends a commit on its way. Numbers ascend in the order of sending.
    pub(super) fn next_number(&self) -> Version {
        self.store.next_commit()
    }

    fn obey(&mut self, asked: Control) {
        match asked {
            Control::WhenIdle => {
                self.life.until_idle = true;
                // What was appended before may have rung, and not been heard yet.
                self.channels.iter_mut().for_each(|intake| intake.pending = true);
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
        self.clock.now() + self.config.runtime.drain
    }

    /// Starts nothing more; what comes then is for the caller to say.
    pub(super) fn begin_to_drain(&mut self) {
        if !self.life.is_draining() {
            self.deliveries.drain();
            self.slots.close();
            self.signals.enter(Phase::Draining);
            tracing::info!(running = self.slots.running(), "draining");
        }
    }

    fn is_over(&self) -> bool {
        if let Some(deadline) = self.life.drains_until() {
            // A full disk may keep an admission waiting for ever; it is made again at the next start. A host that follows in
            // this process would not know of it, so it has to wait.
            let given_up = self.clock.now() > deadline + GIVE_UP && self.life.is_stopping();
            return given_up
                || self.slots.running() == 0
                    && !self.deliveries.is_committing()
                    && self.channels.iter().all(|intake| !intake.busy)
                    && (self.life.is_stopping() || self.has_nothing_to_write());
        }
        self.life.until_idle
            && self.deliveries.is_idle()
            && self.channels.iter().all(|intake| !intake.busy && !intake.pending)
            && self.inlets.iter().enumerate().all(|(number, inlet)| inlet.is_idle(self.deliveries.busy(number)))
            && self.requests.is_idle()
            && self.outlets.are_empty()
    }

    /// Whether no write is under way that the next host could miss.
    fn has_nothing_to_write(&self) -> bool {
        !self.deliveries.is_writing() && self.requests.is_idle() && self.inlets.iter().all(|inlet| inlet.storing == 0)
    }

    fn wake_at(&self) -> Moment {
        let now = self.clock.now();
        let soon = now + SOON;
        let drain =
            self.life.drains_until().map(|at| if self.slots.running() > 0 { at } else { at + GIVE_UP }.max(soon));
        let due = self.deliveries.next_wake().map(|at| now + at.since(self.at(now)));
        let (read, receive) = (self.next_read(now), self.next_receive(now));
        drain.into_iter().chain(due).chain(read).chain(receive).fold(now + UPKEEP, Moment::min)
    }

    /// Looks whether another process has written something without ringing.
    async fn poll_foreign(&mut self) -> Result<(), StoreError> {
        let seen = self.store.foreign_changes()?;
        if self.foreign_seen.replace(seen) == Some(seen) {
            return Ok(());
        }
        self.look_around().await
    }

    /// What is in the store is looked at again with the next look, as if another process had written.
    pub(super) fn look_again(&mut self) {
        self.foreign_seen = None;
    }

    /// Something was appended or requested.
    async fn look_around(&mut self) -> Result<(), StoreError> {
        if self.life.is_draining() {
            return Ok(());
        }
        self.channels.iter_mut().for_each(|intake| intake.pending = true);
        self.carry_out_requests().await
    }

    fn take(&mut self, input: Input) -> Result<(), StoreError> {
        match input {
            Input::RunsEnded(runs) => runs.into_iter().try_for_each(|ran| self.run_ended(ran))?,
            Input::Committed(answers) => self.settle(answers),
            Input::HeldWritten { reactor, lane } => self.deliveries.held(reactor, lane),
            Input::Received { inlet, asked, started, at, answer } => self.received(inlet, asked, (started, at), answer),
            Input::Entered(batch, entered) => self.entered(batch, entered)?,
            Input::Stored { inlet, receipts } => self.stored(inlet, receipts),
            Input::Renewed { lease, sent, answer } => self.renewed(lease, sent, answer),
            Input::Deleted { inlet, answer } => self.deleted(inlet, answer),
            Input::Depth { inlet, answer } => self.looked(inlet, answer),
            Input::Resent { request, dead, answer } => self.resent(request, dead, answer),
            Input::AskedAgain(number, request) => self.put_off(number, request),
            Input::AwayWritten(delivery) => self.put_away_written(delivery),
            Input::LeftOutbox(messages, bytes) => {
                self.outlets.left(messages, bytes);
                let now = self.clock.now();
                self.inlets.iter_mut().for_each(|inlet| inlet.stir(now));
            }
            Input::Fatal(error) => return Err(error),
        }
        Ok(())
    }

    /// Does all that can be done without waiting.
    fn advance(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        if self.life.drains_until().is_some_and(|at| now >= at) {
            self.slots.cancel_all();
        }
        self.keep_leases(now);
        self.show(now);
        if !self.life.is_draining() {
            self.read_logs(now)?;
            self.enter_arrived();
            self.poll_channels(now);
        }
        loop {
            let actions = self.deliveries.tick(self.now());
            if actions.is_empty() {
                self.guessed.clear();
                self.in_memory.store(self.deliveries.count(), Relaxed);
                self.deliveries.assert_agreed(self.slots.running());
                return self.slots.launch();
            }
            for action in actions {
                self.act(action)?;
            }
        }
    }

    /// Sets the gauges, now and then.
    fn show(&mut self, now: Moment) {
        if self.shown.is_none_or(|at| now.since(at) >= SHOW_EVERY) {
            self.shown = Some(now);
            for (index, reactor) in self.reactors.iter().enumerate() {
                reactor.signals.stands(self.deliveries.standing(index, reactor.config.concurrency));
            }
        }
    }

    fn tidy(&mut self) {
        if self.tidying.as_ref().is_some_and(|under_way| !under_way.is_finished()) {
            return;
        }
        let (store, upkeep) = (Arc::clone(&self.store), self.upkeep());
        let inputs = self.to_self.clone();
        self.tidying = Some(tokio::task::spawn_blocking(move || match store.maintain(&upkeep) {
            Ok(()) => {}
            Err(error @ (StoreError::Full | StoreError::Busy { .. })) => tracing::warn!("{error}"),
            Err(error) => drop(inputs.send(Input::Fatal(error))),
        }));
    }

    /// The last time. A store that another process keeps busy is waited for until the drain time is over.
    async fn tidy_at_the_end(&mut self) -> Result<(), StoreError> {
        let (store, upkeep) = (Arc::clone(&self.store), self.upkeep());
        let mut last = tokio::task::spawn_blocking(move || store.maintain(&upkeep));
        let end = self.life.drains_until().unwrap_or_else(|| self.drain_ends()) + GIVE_UP;
        let ended = match within(self.clock.sleep_until(end), &mut last).await {
            Some(ended) => ended,
            None if self.life.is_followed() => last.await,
            None => {
                self.store.give_up();
                last.await
            }
        };
        match ended.unwrap_or_else(|panic| Err(StoreError::Other(format!("housekeeping ended: {panic}")))) {
            Err(error @ (StoreError::Full | StoreError::Busy { .. })) => {
                tracing::warn!("{error}");
                Ok(())
            }
            ended => ended,
        }
    }

    fn upkeep(&self) -> Upkeep {
        let windows = self.reactors.iter().map(|reactor| reactor.config.dedup.window);
        let retention = self.channels.iter().filter_map(|intake| {
            let channel = self.config.channels.get(&intake.channel.name)?;
            Some((intake.channel.id, channel.retention))
        });
        let kept =
            self.config.channels.values().filter_map(|channel| Some(channel.outside.as_ref()?.limits.kept + DAY));
        Upkeep {
            now: self.now(),
            ledger_window: windows.max().unwrap_or_default(),
            retention: retention.collect(),
            away: kept.max().unwrap_or_default().max(AWAY),
            history: self.config.runtime.history,
        }
    }
}
