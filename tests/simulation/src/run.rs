//! One run: processes of the host start, crash and end, one after the other, until everything has happened and what went
//! wrong is healed; the last one runs until it is idle.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use reactor_core::channel::{Remote, Source};
use reactor_core::clock::{Clock, Moment};
use reactor_core::event::Message;
use reactor_core::guest::Guest;
use reactor_core::store::{DeadFilter, Request, StoreClient, StoreError, StoredDead};
use reactor_core::world::NoHttp;
use reactor_host::host::{Control, Host, Parts};
use reactor_host::reads::Reads;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::check;
use crate::clock::SimClock;
use crate::dice::Dice;
use crate::disk::{Crash, Disk};
use crate::guest::{Data, SimGuest};
use crate::kind::KINDS;
use crate::plan::{Plan, Step};
use crate::queue::{QueueFaults, SimQueue};
use crate::store::SimStore;
use crate::truth::Truth;

/// How long a run may last, by its own clock.
const LONGEST: Duration = Duration::from_secs(40 * 86_400);
/// Processes after which a run has failed to get anywhere.
const MOST_PROCESSES: usize = 400;
/// Processes after which messages that are still in the queue will stay there.
const ENOUGH: usize = 100;
/// Longer than any lease.
const LEASE: Duration = Duration::from_secs(3_600);
/// Attempts at once, which the store has slots for.
const SLOTS: usize = 256;
/// The longest back-off of the configurations, and a little more.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(25);
/// What a drain may take beyond the drain time: the host's own margin, and a slow write.
const DRAIN: Duration = Duration::from_secs(25 + 2 + 45);

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What must not have happened; empty if all is well.
    pub broken: Vec<String>,
    /// Runs of modules that ended.
    pub runs: u64,
    /// Events that were accepted.
    pub accepted: usize,
    /// Crashes and orderly ends.
    pub restarts: u64,
    /// How much time passed, by the run's own clock.
    pub lasted: Duration,
    /// What happened, a line each.
    pub story: String,
}

/// How a process ended.
enum Ended {
    Crashed(Crash),
    Host(Result<(), StoreError>),
    Stuck,
}

/// What all processes of a run share.
pub struct World {
    /// What is to happen.
    pub plan: Plan,
    /// Time.
    pub clock: SimClock,
    /// Randomness.
    pub dice: Dice,
    /// The store's disk.
    pub disk: Arc<Disk>,
    /// The remote channel that is read.
    pub queue: Arc<SimQueue>,
    /// The remote channel that is written.
    pub out: Arc<SimQueue>,
    /// What really happened.
    pub truth: Truth,
    /// Steps that have not happened yet.
    steps: Mutex<VecDeque<(Duration, Step)>>,
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Report {
    let world = Arc::new(World::new(plan.clone()));
    let mut processes = 0;
    // Until everything has happened; then until what was healed is done, and every parked key is free.
    for last in [false, true] {
        loop {
            processes += 1;
            if processes > MOST_PROCESSES {
                world.truth.broken(format!("no end after {MOST_PROCESSES} processes"));
                return world.report();
            }
            if last {
                world.heal();
            }
            let ended = process(&world, last);
            world.truth.noted().restarts += 1;
            let was_idle = last && matches!(ended, Ended::Host(Ok(())));
            match ended {
                Ended::Crashed(crash) => world.truth.tell(format!("-- {crash:?}")),
                Ended::Host(Ok(())) => world.truth.tell("-- the host has ended"),
                Ended::Host(Err(error)) => world.truth.tell(format!("-- the host has failed: {error}")),
                Ended::Stuck => {
                    world.truth.broken("nothing can happen any more, and the host has not ended".into());
                    return world.report();
                }
            }
            if !world.truth.noted().broken.is_empty() {
                return world.report();
            }
            world.disk.reopen();
            // What a process leased that has died is seen again when the lease is over.
            let down = if last { LEASE } else { Duration::from_millis(world.dice.of(1..5_000)) };
            world.clock.restart(down);
            let has_happened = world.steps.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            let goes_on = if last {
                !was_idle || world.drop_parking_letters() || !world.queue.bodies().is_empty() && processes < ENOUGH
            } else {
                !has_happened
            };
            if !goes_on {
                break;
            }
        }
    }
    check::check(&world);
    world.report()
}

/// One process of the host, from its start to its end; or several, each of which takes the store over from the one before.
fn process(world: &Arc<World>, last: bool) -> Ended {
    let clock = world.clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(move || clock.advance()).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Ended::Host(Err(StoreError::Other(format!("no runtime: {error}")))),
    };
    let ended = runtime.block_on(async {
        tokio::spawn(Arc::clone(&world.disk).serve());
        let (orders, mut ordered) = mpsc::unbounded_channel();
        if last {
            let _ = orders.send(Order::Tell(Control::WhenIdle));
        }
        tokio::spawn(happen(Arc::clone(world), orders, last));
        let (mut host, mut tell) = start(world);
        let (mut started, mut drained) = (world.clock.now(), None);
        loop {
            tokio::select! {
                biased;
                crash = world.disk.crashed() => return Ended::Crashed(crash),
                ended = &mut host => {
                    let ended = ended.unwrap_or_else(|error| {
                        world.truth.broken(format!("the host panicked: {error}"));
                        Err(StoreError::Other(error.to_string()))
                    });
                    ended.is_ok().then(|| world.ended_in_order(started, drained));
                    return Ended::Host(ended);
                }
                Some(order) = ordered.recv() => match order {
                    Order::Tell(control) => {
                        if matches!(control, Control::Drain) {
                            drained.get_or_insert(world.clock.now());
                        }
                        let _ = tell.send(control).await;
                    }
                    Order::TakeOver => {
                        world.disk.take_over();
                        (host, tell) = start(world);
                        // What the other one has leased is its own.
                        (started, drained) = (Moment::after_start(LONGEST), None);
                    }
                },
                () = world.clock.stuck() => return Ended::Stuck,
            }
        }
    });
    runtime.shutdown_background();
    ended
}

/// What is asked of a process.
enum Order {
    Tell(Control),
    TakeOver,
}

fn start(world: &World) -> (JoinHandle<Result<(), StoreError>>, mpsc::Sender<Control>) {
    let (tell, told) = mpsc::channel(8);
    let parts = world.parts();
    (tokio::spawn(async move { Host::new(parts).await?.run(told).await }), tell)
}

/// Lets the steps of the plan happen, as far as this process lives to see them.
async fn happen(world: Arc<World>, orders: mpsc::UnboundedSender<Order>, last: bool) {
    loop {
        let next = world.steps.lock().unwrap_or_else(PoisonError::into_inner).front().cloned();
        let Some((at, step)) = next else { break };
        world.clock.sleep_until(Moment::after_start(at)).await;
        let store = SimStore::open(&world.disk);
        if let Step::Publish(data) = &step {
            // A producer that gets no answer publishes again, with the same id.
            if !publish(&world, &store, data).await {
                world.clock.sleep(Duration::from_millis(500)).await;
                continue;
            }
        }
        world.steps.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        world.truth.tell(format!("> {step:?}"));
        match step {
            Step::Publish(_) => {}
            Step::Send(data) => {
                world.truth.noted().accepted.entry("queue").or_default().push(data.n);
                world.queue.put(event(&data));
            }
            Step::Garbage { remote: true } => world.queue.put(Message::from_body("no event")),
            Step::Garbage { remote: false } => {
                if let Ok(channel) = store.channel_id("in") {
                    let _ = store.append(channel, vec![Message::from_body("no event")]).await;
                }
            }
            Step::Terminate => drop(orders.send(Order::Tell(Control::Drain))),
            Step::TakeOver => drop(orders.send(Order::TakeOver)),
            Step::End(crash) => world.disk.crash(crash),
            Step::Jump(seconds) => world.clock.jump(SignedDuration::from_secs(seconds)),
            Step::Freeze(is_frozen) => world.clock.freeze(is_frozen),
            Step::Letters { drop } => world.letters(&store, drop).await,
        }
    }
    // With nothing left to happen, the process ends in order.
    if !last {
        world.clock.sleep(Duration::from_secs(world.dice.of(0..60))).await;
        let _ = orders.send(Order::Tell(Control::Drain));
    }
    // The channel stays open.
    std::future::pending::<()>().await;
}

async fn publish(world: &World, store: &SimStore, data: &Data) -> bool {
    let Ok(channel) = store.channel_id("in") else { return false };
    let accepted = store.append(channel, vec![event(data)]).await.is_ok();
    if accepted {
        world.truth.noted().accepted.entry("in").or_default().push(data.n);
    }
    accepted
}

fn event(data: &Data) -> Message {
    let event = json!({ "eventId": format!("e{}", data.n), "eventType": "t", "source": "s", "data": data });
    Message::from_body(event.to_string())
}

impl World {
    fn new(plan: Plan) -> Self {
        let dice = Dice::new(plan.seed ^ 0x5EED);
        let clock = SimClock::new(dice.clone(), LONGEST);
        let truth = Truth::new(&clock);
        let disk = Disk::new(&clock, &dice, SLOTS, plan.crashes.clone(), plan.disk);
        let out = SimQueue::new("out", &clock, &dice, &truth, plan.queues, Box::new(|_| {}));
        let (judge, sent, told) = (Arc::clone(&disk), Arc::clone(&out), truth.clone());
        let stored = plan.config.contains("settle = \"stored\"");
        let deleted = move |message: &Message| check::deleted(&judge.synced(), &sent, &told, message, stored);
        let queue = SimQueue::new("queue", &clock, &dice, &truth, plan.queues, Box::new(deleted));
        let steps = Mutex::new(plan.steps.clone().into());
        Self { plan, clock, dice, disk, queue, out, truth, steps }
    }

    /// A host has ended as it was told to: in time, and without messages that another one could work on.
    fn ended_in_order(&self, started: Moment, drained: Option<Moment>) {
        let Some(drained) = drained else { return };
        let took = self.clock.now().since(drained);
        if took > DRAIN {
            self.truth.broken(format!("a drain took {took:?}"));
        }
        // Where calls fail, a message may not have been given back.
        let QueueFaults { fail, lose, repeat } = self.plan.queues;
        let kept = self.queue.kept(started, LONGEST_BACK_OFF);
        if fail + lose + repeat == 0 && kept > 0 {
            self.truth.broken(format!("a host that has ended keeps {kept} messages of the queue"));
        }
    }

    /// The events of the plan, by their numbers.
    pub fn events(&self) -> BTreeMap<u32, Data> {
        let data = |(_, step): &(Duration, Step)| match step {
            Step::Publish(data) | Step::Send(data) => Some((data.n, data.clone())),
            _ => None,
        };
        self.plan.steps.iter().filter_map(data).collect()
    }

    fn heal(&self) {
        self.disk.heal();
        self.queue.heal();
        self.out.heal();
        self.clock.freeze(false);
    }

    fn parts(&self) -> Parts {
        let loaded = reactor_config::parse(&self.plan.config, Path::new("/srv/reactors.toml"), &|_| None, KINDS);
        let config = match loaded {
            Ok(loaded) => loaded.config,
            Err(problems) => panic!("{}\n{}", self.plan.config, problems.render(false)),
        };
        let guest = |reactor: &'static str| {
            let (clock, dice, truth) = (self.clock.clone(), self.dice.clone(), self.truth.clone());
            let guest =
                SimGuest { reactor, counts: self.plan.counts, clock, dice, truth, disk: Arc::clone(&self.disk) };
            (reactor.to_owned(), Arc::new(guest) as Arc<dyn Guest>)
        };
        let guests: BTreeMap<_, _> = ["a", "b", "c"].into_iter().map(guest).collect();
        let source: Arc<dyn Source> = Arc::clone(&self.queue) as _;
        let remotes = BTreeMap::from([
            ("queue".to_owned(), Remote { source: Some(source), sink: Arc::clone(&self.queue) as _ }),
            ("out".to_owned(), Remote { source: None, sink: Arc::clone(&self.out) as _ }),
        ]);
        Parts {
            config: Arc::new(config),
            store: Arc::new(SimStore::open(&self.disk)),
            clock: Arc::new(self.clock.clone()),
            http: Arc::new(NoHttp),
            remotes,
            guests,
            guest_threads: Handle::current(),
            signals: Arc::default(),
            reads: Reads::default(),
        }
    }

    /// A person deals with every dead letter that there is.
    async fn letters(&self, store: &SimStore, drop: bool) {
        let Ok(letters) = store.dead_letters(&DeadFilter::default()) else { return };
        for StoredDead { id, letter, .. } in letters {
            let request = if drop { Request::Drop(id) } else { Request::Redrive(id) };
            let whose = letter.reactor.map_or_else(String::new, |reactor| reactor_name(store, reactor));
            let what = (whose, letter.event_id.unwrap_or_default());
            if drop {
                // It may be dropped although no answer comes.
                self.truth.noted().dropped.push(what);
                let _ = store.request(request).await;
            } else if store.request(request).await.is_ok() {
                self.truth.noted().redriven.push(what);
            }
        }
    }

    /// Asks for dead letters that park a key to be dropped; whether there were any.
    fn drop_parking_letters(&self) -> bool {
        let store = self.disk.open();
        let letters = store.dead_letters(&DeadFilter::default()).unwrap_or_default();
        let parking: Vec<_> = letters.into_iter().filter(|dead| dead.letter.parks.is_some()).collect();
        for StoredDead { id, letter, .. } in &parking {
            let whose = letter.reactor.map_or_else(String::new, |reactor| reactor_name(&*store, reactor));
            self.truth.noted().dropped.push((whose, letter.event_id.clone().unwrap_or_default()));
            drop(futures_util::FutureExt::now_or_never(store.request(Request::Drop(*id))));
        }
        !parking.is_empty()
    }

    fn report(&self) -> Report {
        let noted = self.truth.noted();
        Report {
            broken: noted.broken.clone(),
            runs: noted.runs,
            accepted: noted.accepted.values().map(Vec::len).sum(),
            restarts: noted.restarts,
            lasted: self.clock.now().since_start(),
            story: noted.story.clone(),
        }
    }
}

/// What a reactor is called.
pub fn reactor_name(store: &dyn StoreClient, reactor: reactor_core::event::ReactorId) -> String {
    let names = store.reactor_names().unwrap_or_default();
    names.into_iter().find(|(id, _)| *id == reactor).map(|(_, name)| name).unwrap_or_default()
}
