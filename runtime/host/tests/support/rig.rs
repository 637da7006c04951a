//! What a host runs on, and the running host.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use reactor_channel::kind::Kind;
use reactor_channel_aws::testing::KINDS;
use reactor_core::channel::Remote;
use reactor_core::clock::{Clock, SystemClock};
use reactor_core::event::Message;
use reactor_core::guest::Guest;
use reactor_core::store::{ReactorStats, StoreError, StoreOwner};
use reactor_core::world::NoHttp;
use reactor_host::host::deployment::Deployment;
use reactor_host::host::{Control, Host, Parts};
use reactor_host::reads::Reads;
use reactor_store::memory::MemoryStore;

use super::clock::DrivenClock;

/// How much time may pass on the driven clock before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many times a test looks at a host whose threads all sleep without a timer before it gives up. The store's
/// housekeeping runs on none of these threads, so real time may pass, up to the end of a drain.
const MOST_LOOKS: u32 = 20_000_000;

/// The guests of a configuration, by the names of their reactors.
pub(crate) type Guests = Vec<(&'static str, Arc<dyn Guest>)>;

/// What outlives a host: its store, its connections, and the time.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) store: Arc<dyn StoreOwner>,
    pub(crate) remotes: BTreeMap<String, Remote>,
    pub(crate) time: Time,
    /// The kinds of channels that a configuration may have.
    pub(crate) kinds: Vec<Kind>,
}

/// A host that runs.
pub(crate) struct Running {
    pub(crate) tell: mpsc::Sender<Control>,
    pub(crate) host: JoinHandle<Result<(), StoreError>>,
    rig: Rig,
}

/// The clock of a host.
#[derive(Clone)]
pub(crate) enum Time {
    /// By one that goes on only while the test waits for something, every thread has nothing to do, and no read of the store
    /// is under way.
    Driven(DrivenClock, Reads),
    /// By the machine's, for a store on its disk.
    Machine(Arc<SystemClock>),
}

impl Time {
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Driven(clock, _) => Arc::new(clock.clone()),
            Self::Machine(clock) => Arc::clone(clock) as _,
        }
    }

    /// By one that is driven.
    pub(crate) fn driven(clock: DrivenClock) -> Self {
        Self::Driven(clock, Reads::default())
    }

    fn reads(&self) -> Reads {
        if let Self::Driven(_, reads) = self { reads.clone() } else { Reads::default() }
    }

    /// Lets time pass until the future has an answer. `what` says what it waits for.
    pub(crate) async fn wait<F: Future>(&self, what: &str, answer: F) -> F::Output {
        let mut answer = pin!(answer);
        let Self::Driven(clock, reads) = self else { return answer.await };
        let (start, mut stuck) = (clock.now(), 0);
        loop {
            let before = quiet(reads);
            if let Poll::Ready(answer) = poll!(answer.as_mut()) {
                return answer;
            }
            // What was asked may have set a thread to work.
            if before.is_some() && before == quiet(reads) {
                stuck = if clock.advance() { 0 } else { stuck + 1 };
                let passed = clock.now().since(start);
                assert!(passed < PATIENCE && stuck < MOST_LOOKS, "gave up waiting until {what}");
            }
            // Yields the processor to the host's threads.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let asked = std::future::poll_fn(|context| {
            if holds() {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        self.wait(what, asked).await;
    }
}

/// How often each thread of this runtime has gone to sleep and woken, if all of them sleep and nothing waits for them: no
/// task, and no read, whose answer wakes one before the read counts no more.
fn quiet(reads: &Reads) -> Option<Vec<u64>> {
    if reads.under_way() > 0 {
        return None;
    }
    let metrics = Handle::current().metrics();
    // Odd while the thread sleeps.
    let parked = || (0..metrics.num_workers()).map(|n| metrics.worker_park_unpark_count(n)).collect::<Vec<_>>();
    let before = parked();
    let is_quiet = before.iter().all(|count| count % 2 == 1) && metrics.global_queue_depth() == 0 && parked() == before;
    is_quiet.then_some(before)
}

impl Rig {
    /// A store in memory, and a driven clock.
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new(256)), Time::driven(DrivenClock::default()))
    }

    pub(crate) fn on(store: Arc<dyn StoreOwner>, time: Time) -> Self {
        Self { store, remotes: BTreeMap::new(), time, kinds: KINDS.to_vec() }
    }

    /// By the machine's clock, on a store on its disk.
    pub(crate) fn on_disk(store: Arc<dyn StoreOwner>) -> Self {
        Self::on(store, Time::Machine(Arc::default()))
    }

    /// A configuration with its guests and connections.
    pub(crate) fn deployment(&self, text: &str, guests: Guests) -> Box<Deployment> {
        let loaded = reactor_config::parse(text, Path::new("/srv/reactors.toml"), &|_| None, &self.kinds);
        let mut config = loaded.map_err(|problems| problems.render(false)).expect("a valid configuration").config;
        config.runtime.concurrency = 64;
        let guests = guests.into_iter().map(|(name, guest)| (name.to_owned(), guest)).collect();
        Box::new(Deployment { config: Arc::new(config), guests, remotes: self.remotes.clone() })
    }

    pub(crate) async fn start(&self, text: &str, guests: Guests) -> Running {
        let parts = self.parts(*self.deployment(text, guests));
        let (tell, told) = mpsc::channel(2);
        let host = self.time.wait("the host is ready", Host::new(parts)).await.expect("a host");
        Running { tell, host: tokio::spawn(host.run(told)), rig: self.clone() }
    }

    /// What a host of this deployment is made of.
    pub(crate) fn parts(&self, Deployment { config, guests, remotes }: Deployment) -> Parts {
        Parts {
            config,
            store: Arc::clone(&self.store),
            clock: self.time.clock(),
            http: Arc::new(NoHttp),
            remotes,
            guests,
            guest_threads: Handle::current(),
            signals: Arc::default(),
            reads: self.time.reads(),
        }
    }

    /// Starts a host and ends it when it is idle.
    pub(crate) async fn run(&self, text: &str, guests: Guests) {
        self.start(text, guests).await.until_idle().await;
    }

    /// Appends messages with these bodies to the log of `in`.
    pub(crate) async fn publish(&self, bodies: impl IntoIterator<Item = String>) {
        let channel = self.store.channel_id("in").expect("a channel");
        let messages = bodies.into_iter().map(Message::from_body).collect();
        self.store.append(channel, messages).await.expect("accepted");
    }

    /// The counts of a reactor, which add up; zero if it has never run.
    pub(crate) fn counts(&self, name: &str) -> ReactorStats {
        let stats = self.store.stats().expect("counts").reactors;
        let counts = stats.into_iter().find(|stats| stats.name == name).unwrap_or_default();
        assert_eq!(counts.delivered, counts.done + counts.dead + counts.dropped + counts.active, "{counts:?}");
        counts
    }

    /// The text of a value in a reactor's state; empty if there is none.
    pub(crate) fn state(&self, reactor: &str, key: &str) -> String {
        let reactor = self.store.reactor_id(reactor).expect("a reactor");
        let value = self.store.state(reactor, key).expect("readable").map(|(value, _)| value).unwrap_or_default();
        String::from_utf8(value.to_vec()).expect("text")
    }
}

impl Running {
    pub(crate) async fn tell(&self, control: Control) {
        self.tell.send(control).await.expect("the host listens");
    }

    pub(crate) async fn deploy(&self, text: &str, guests: Guests) {
        let next = self.rig.deployment(text, guests);
        self.rig.time.wait("the host listens", self.tell(Control::Deploy(next))).await;
    }

    /// Lets time pass until something holds, while the host keeps running.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let holds = || {
            let is_over = self.host.is_finished();
            let holds = holds();
            assert!(holds || !is_over, "the host ended before {what}");
            holds
        };
        self.rig.time.until(what, holds).await;
    }

    async fn end(self) {
        self.rig.time.wait("the host ends", self.host).await.expect("no panic").expect("no error");
    }

    pub(crate) async fn until_idle(self) {
        self.tell(Control::WhenIdle).await;
        self.end().await;
    }

    pub(crate) async fn drain(self) {
        self.tell(Control::Drain).await;
        self.end().await;
    }

    /// Ends it as a crash would, without notice.
    pub(crate) async fn kill(self) {
        self.host.abort();
        drop(self.host.await);
    }
}
