//! The host on channels outside, with a queue in memory in their place: leases, settling, order, the outbox.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reactor_runtime::channel::KINDS;
use reactor_runtime::channel::sqs::LIMITS;
use reactor_runtime::channel::{
    ChannelError, Depth, Lease, Leasing, Limits, Receipt, Received, Remote, Result as ChannelResult, Sink, Source,
    Trouble,
};
use reactor_runtime::clock::SystemClock;
use reactor_runtime::config;
use reactor_runtime::event::{Message, Outcome};
use reactor_runtime::pipeline::deployment::Deployment;
use reactor_runtime::pipeline::forward::{DEAD_LETTER_ATTRIBUTE, sent_back};
use reactor_runtime::pipeline::host::{Control, Host, Parts};
use reactor_runtime::pipeline::invoke::{Call, Effect, Emit, Guest, Run};
use reactor_runtime::store::memory::MemoryStore;
use reactor_runtime::store::{DeadFilter, ReactorStats, Request, StoreClient};
use reactor_runtime::world::NoHttp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A queue with leases, groups, and a list of things that go wrong.
#[derive(Default)]
struct Queue {
    inner: Mutex<Inner>,
    changed: tokio::sync::Notify,
    fifo: bool,
}

#[derive(Default)]
struct Inner {
    items: Vec<Item>,
    next: u64,
    deleted: Vec<String>,
    given_back: Vec<Duration>,
    sent: Vec<Message>,
    calls: usize,
    /// What the next receive calls answer instead.
    receive_faults: Vec<Trouble>,
    /// What the next entries sent get instead.
    send_faults: Vec<Trouble>,
    /// What the next messages sent again get instead.
    resend_faults: Vec<Trouble>,
    /// Deletes that fail, and leases that cannot be renewed.
    failing_deletes: usize,
    no_renewals: bool,
}

struct Item {
    number: u64,
    message: Message,
    visible_at: Instant,
    receipt: Option<String>,
    receives: u32,
}

fn trouble(trouble: Trouble) -> ChannelError {
    ChannelError { trouble, detail: format!("made up: {trouble}") }
}

impl Queue {
    fn fifo() -> Arc<Self> {
        Arc::new(Self { fifo: true, ..Self::default() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, message: Message) {
        let mut inner = self.inner();
        inner.next += 1;
        let (number, visible_at) = (inner.next, Instant::now());
        inner.items.push(Item { number, message, visible_at, receipt: None, receives: 0 });
        self.changed.notify_waiters();
    }

    fn event(&self, id: usize, data: &serde_json::Value) {
        let event = serde_json::json!({ "eventId": format!("e{id}"), "eventType": "t", "source": "s", "data": data });
        let mut message = Message::from_body(event.to_string());
        message.system.group_id = data["group"].as_str().map(str::to_owned).filter(|_| self.fifo);
        self.put(message);
    }

    fn take(&self, max: usize, lease: Duration) -> ChannelResult<Vec<Received>> {
        let mut inner = self.inner();
        inner.calls += 1;
        if let Some(fault) = inner.receive_faults.pop() {
            return Err(trouble(fault));
        }
        let now = Instant::now();
        let busy = inner.items.iter().filter(|item| item.visible_at > now);
        let mut locked: HashSet<String> = busy.filter_map(|item| item.message.system.group_id.clone()).collect();
        let mut taken = Vec::new();
        for item in &mut inner.items {
            let group = item.message.system.group_id.clone().filter(|_| self.fifo);
            let is_locked = group.is_some_and(|group| item.visible_at > now || locked.contains(&group));
            if taken.len() == max || is_locked || item.visible_at > now {
                locked.extend(
                    item.message.system.group_id.clone().filter(|_| self.fifo && !is_locked && taken.len() == max),
                );
                continue;
            }
            item.visible_at = now + lease;
            item.receives += 1;
            let receipt = format!("{}-{}", item.number, item.receives);
            item.receipt = Some(receipt.clone());
            let mut message = item.message.clone();
            message.system.message_id = Some(format!("m{}", item.number));
            taken.push(Received { message, receipt: Receipt(receipt), sent: None, receives: item.receives });
        }
        Ok(taken)
    }

    fn left(&self) -> usize {
        self.inner().items.len()
    }

    async fn until_empty(&self) {
        until("the queue is empty", || self.left() == 0).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Source for Queue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn receive(&self, max: usize, wait: Duration, lease: Duration) -> BoxFuture<'_, ChannelResult<Vec<Received>>> {
        Box::pin(async move {
            let end = Instant::now() + wait;
            loop {
                let taken = self.take(max, lease)?;
                if !taken.is_empty() || Instant::now() >= end {
                    return Ok(taken);
                }
                // Leases that end are not announced.
                let nap = Duration::from_millis(50).min(end.saturating_duration_since(Instant::now()));
                let _ = tokio::time::timeout(nap, self.changed.notified()).await;
                self.inner().calls -= 1;
            }
        })
    }

    fn acknowledge<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<ChannelResult<()>>> {
        Box::pin(async move {
            let mut inner = self.inner();
            let mut answers = Vec::new();
            for receipt in receipts {
                if inner.failing_deletes > 0 {
                    inner.failing_deletes -= 1;
                    answers.push(Err(trouble(Trouble::Throttled)));
                    continue;
                }
                let found = inner.items.iter().position(|item| item.receipt.as_deref() == Some(&receipt.0));
                answers.push(match found {
                    Some(at) => {
                        inner.items.remove(at);
                        inner.deleted.push(receipt.0.clone());
                        Ok(())
                    }
                    None => Err(trouble(Trouble::StaleReceipt)),
                });
            }
            self.changed.notify_waiters();
            answers
        })
    }

    fn resend<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, ChannelResult<()>> {
        Box::pin(async {
            let fault = self.inner().resend_faults.pop();
            if let Some(fault) = fault {
                return Err(trouble(fault));
            }
            self.put(message.clone());
            Ok(())
        })
    }

    fn depth(&self) -> BoxFuture<'_, ChannelResult<Depth>> {
        Box::pin(async { Ok(Depth { visible: self.left() as u64, ..Depth::default() }) })
    }

    fn leasing(self: Arc<Self>) -> Option<Arc<dyn Leasing>> {
        Some(self)
    }
}

impl Leasing for Queue {
    fn lease<'a>(&'a self, receipts: &'a [(Receipt, Lease)]) -> BoxFuture<'a, Vec<ChannelResult<()>>> {
        Box::pin(async move {
            let mut inner = self.inner();
            let now = Instant::now();
            let no_renewals = inner.no_renewals;
            let mut answers = Vec::new();
            for (receipt, lease) in receipts {
                let (Lease::Extend(length) | Lease::GiveBack(length)) = lease;
                let found = inner.items.iter_mut().find(|item| item.receipt.as_deref() == Some(&receipt.0));
                answers.push(match found.filter(|item| item.visible_at > now) {
                    Some(_) if no_renewals && *length > Duration::ZERO => Err(trouble(Trouble::StaleReceipt)),
                    Some(item) => {
                        item.visible_at = now + *length;
                        Ok(())
                    }
                    None => Err(trouble(Trouble::StaleReceipt)),
                });
                inner.given_back.push(*length);
            }
            self.changed.notify_waiters();
            answers
        })
    }
}

impl Sink for Queue {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<ChannelResult<()>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for message in messages {
                let fault = self.inner().send_faults.pop();
                answers.push(fault.map_or(Ok(()), |fault| Err(trouble(fault))));
                if answers.last().is_some_and(Result::is_ok) {
                    self.inner().sent.push(message.clone());
                    self.put(message.clone());
                }
            }
            answers
        })
    }

    fn is_ordered(&self) -> bool {
        self.fifo
    }
}

struct Native<F>(F);

impl<F> Guest for Native<F>
where
    F: Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync + 'static,
{
    fn run(&self, call: Call) -> BoxFuture<'static, Run> {
        let effects = match serde_json::from_slice::<serde_json::Value>(&call.event.data) {
            Ok(data) if data["emit"] == true => vec![emit(&data)],
            _ => Vec::new(),
        };
        let outcome = (self.0)(call);
        Box::pin(async move {
            let outcome = outcome.await;
            let effects = if outcome == Outcome::Done { effects } else { Vec::new() };
            Run { effects, ..Run::ended(outcome) }
        })
    }

    fn digest(&self) -> &'static str {
        "native"
    }
}

fn emit(data: &serde_json::Value) -> Effect {
    let message = Emit {
        event_type: "emitted".into(),
        version: 1,
        subject: None,
        partition_key: data["group"].as_str().map(str::to_owned),
        content_type: "application/json".into(),
        data: data.to_string().into(),
    };
    Effect::Put { target: "out".into(), message }
}

/// What a guest is made of.
type Behaviour = Arc<dyn Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync>;

fn retry(after: Option<Duration>) -> Outcome {
    Outcome::Retry { reason: "not yet".into(), after }
}

/// A host's surroundings: two reactors, `a` and `b`, that read `in` and emit to `out`.
struct World {
    store: MemoryStore,
    source: Arc<Queue>,
    sink: Arc<Queue>,
    config: String,
}

struct Running {
    tell: mpsc::Sender<Control>,
    task: JoinHandle<()>,
}

impl World {
    fn new(channel: &str, reactor: &str) -> Self {
        let table = |name: &str| {
            format!(
                "[reactors.{name}]\nmodule = \"{name}.wasm\"\nfrom = [\"in\"]\non = [\"t\"]\n\
                 emit = {{ emitted = \"out\" }}\ntimeout = \"1s\"\ncpu = \"1s\"\n{reactor}\n\
                 dead-letter = {{ channel = \"out\" }}\n\
                 retry = {{ initial = \"5ms\", max = \"10ms\", max-attempts = 3 }}\n"
            )
        };
        let config = format!(
            "[channels.in]\nkind = \"sqs\"\nqueue = \"in\"\nlease = \"6s\"\n{channel}\n\
             [channels.out]\nkind = \"sqs\"\nqueue = \"out\"\n{}{}",
            table("a"),
            table("b"),
        );
        Self {
            store: MemoryStore::new(256),
            source: Arc::new(Queue::default()),
            sink: Arc::new(Queue::default()),
            config,
        }
    }

    /// A configuration with its guests and connections.
    fn deployment(&self, text: &str, a: Behaviour, b: Behaviour) -> Box<Deployment> {
        let loaded = config::parse(text, Path::new("reactors.toml"), &|_| None, KINDS);
        let config = loaded.map_err(|problems| problems.render(false)).expect("a valid configuration").config;
        let guest = |run: Behaviour| -> Arc<dyn Guest> { Arc::new(Native(move |call| run(call))) };
        let source: Arc<dyn Source> = Arc::clone(&self.source) as _;
        let remote = |source, sink: &Arc<Queue>| Remote { source, sink: Arc::clone(sink) as _ };
        Box::new(Deployment {
            config: Arc::new(config),
            remotes: BTreeMap::from([
                ("in".to_owned(), remote(Some(source), &self.source)),
                ("out".to_owned(), remote(None, &self.sink)),
            ]),
            guests: BTreeMap::from([("a".to_owned(), guest(a)), ("b".to_owned(), guest(b))]),
        })
    }

    fn start(&mut self, a: Behaviour, b: Behaviour) -> Running {
        let Deployment { config, remotes, guests } = *self.deployment(&self.config, a, b);
        self.store = self.store.reopen();
        let parts = Parts {
            config,
            store: Arc::new(self.store.reopen()),
            clock: Arc::new(SystemClock::default()),
            http: Arc::new(NoHttp),
            remotes,
            guests,
            guest_threads: tokio::runtime::Handle::current(),
            signals: Arc::default(),
        };
        let (tell, told) = mpsc::channel(2);
        let task = tokio::spawn(async move {
            let host = Host::new(parts).await.expect("a host");
            host.run(told).await.expect("it runs");
        });
        Running { tell, task }
    }

    fn counts(&self, name: &str) -> ReactorStats {
        let stats = self.store.stats().expect("counts").reactors;
        let counts = stats.into_iter().find(|stats| stats.name == name).expect("a reactor");
        assert_eq!(counts.delivered, counts.done + counts.dead + counts.dropped + counts.active, "{counts:?}");
        counts
    }
}

impl Running {
    async fn drain(self) {
        self.tell.send(Control::Drain).await.expect("it listens");
        self.task.await.expect("it ends");
    }

    async fn until_idle(self) {
        self.tell.send(Control::WhenIdle).await.expect("it listens");
        tokio::time::timeout(Duration::from_secs(40), self.task).await.expect("idle in time").expect("it ends");
    }

    /// As a crash would: nothing is said to anybody.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn done() -> Behaviour {
    Arc::new(|_| Box::pin(async { Outcome::Done }))
}

fn counting(count: &Arc<AtomicUsize>, run: impl Fn(Call) -> Outcome + Send + Sync + 'static) -> Behaviour {
    let count = Arc::clone(count);
    Arc::new(move |call| {
        count.fetch_add(1, Ordering::SeqCst);
        let outcome = run(call);
        Box::pin(async move { outcome })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_is_deleted_when_every_reactor_has_ended() {
    let mut world = World::new("", "");
    for id in 0..500 {
        world.source.event(id, &serde_json::json!({ "emit": true }));
    }
    world.source.inner().failing_deletes = 20;
    let fails = Arc::new(AtomicUsize::new(0));
    let flaky = counting(&fails, |call| if call.attempt < 2 { retry(None) } else { Outcome::Done });
    world.start(done(), flaky).until_idle().await;
    assert_eq!(world.source.left(), 0);
    let (a, b) = (world.counts("a"), world.counts("b"));
    assert_eq!((a.done, a.retried, b.done, b.retried), (500, 0, 500, 500));
    assert_eq!(fails.load(Ordering::SeqCst), 1_000);
    let sent = world.sink.inner().sent.len();
    assert_eq!(sent, 1_000, "what was emitted has been sent");
    let ids: HashSet<_> = world.sink.inner().sent.iter().map(|m| m.system.dedup_id.clone()).collect();
    assert_eq!(ids.len(), 1_000, "each has an id of its own");
    assert_eq!(world.store.stats().expect("counts").outbox, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_crash_only_what_has_not_ended_runs_again() {
    let mut world = World::new("", "");
    for id in 0..20 {
        world.source.event(id, &serde_json::json!({}));
    }
    let stuck: Behaviour = Arc::new(|_| Box::pin(std::future::pending()));
    let host = world.start(done(), stuck);
    until("one reactor is done", || world.counts_if_any("a") == 20).await;
    host.kill().await;
    assert_eq!(world.source.left(), 20, "nothing is settled");
    world.source.expire();
    let (again_a, again_b) = (Arc::default(), Arc::default());
    let host = world.start(counting(&again_a, |_| Outcome::Done), counting(&again_b, |_| Outcome::Done));
    world.source.until_empty().await;
    host.drain().await;
    assert_eq!((again_a.load(Ordering::SeqCst), again_b.load(Ordering::SeqCst)), (0, 20));
    let (a, b) = (world.counts("a"), world.counts("b"));
    assert_eq!((a.done, b.done, a.active, b.active), (20, 20, 0, 0));
    assert_eq!(b.retried, 8, "attempts that had begun count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_waits_are_spent_in_the_queue_and_survive_a_restart() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    let patient = Arc::new(|call: Call| -> BoxFuture<'static, Outcome> {
        let wait = retry(Some(Duration::from_secs(3_600)));
        Box::pin(async move { if call.attempt == 1 { wait } else { Outcome::Done } })
    });
    let host = world.start(done(), patient.clone());
    let given = |world: &World| world.source.inner().given_back.iter().copied().find(|d| *d > Duration::from_secs(60));
    until("the message is given back", || given(&world).is_some()).await;
    let length = given(&world).expect("given back").as_secs();
    assert!((3_590..=3_600).contains(&length), "{length}");
    host.drain().await;
    assert_eq!((world.counts("b").active, world.counts("b").retried), (1, 1));
    world.source.expire();
    let host = world.start(done(), patient);
    world.source.until_empty().await;
    host.drain().await;
    assert_eq!((world.counts("b").done, world.counts("b").retried, world.counts("a").done), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_are_renewed_while_the_work_takes_long() {
    let mut world = World::new("", "concurrency = 1\nrate = \"2/s\"");
    for id in 0..20 {
        world.source.event(id, &serde_json::json!({}));
    }
    let started = Instant::now();
    let host = world.start(done(), done());
    world.source.until_empty().await;
    host.drain().await;
    assert!(started.elapsed() > Duration::from_secs(8), "longer than a lease");
    let inner = world.source.inner();
    assert!(inner.given_back.iter().any(|lease| *lease == Duration::from_secs(6)), "renewed");
    assert!(inner.deleted.iter().all(|receipt| receipt.ends_with("-1")), "none was received twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_without_a_lease_is_void() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({ "emit": true }));
    world.source.inner().no_renewals = true;
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let slow_once: Behaviour = Arc::new(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if first {
                std::future::pending::<()>().await;
            }
            Outcome::Done
        })
    });
    let host = world.start(slow_once, done());
    world.source.until_empty().await;
    host.drain().await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let a = world.counts("a");
    assert_eq!((a.done, a.retried, a.active), (1, 0, 0), "the run without a lease is no attempt");
    let receives: Vec<_> = world.source.inner().deleted.clone();
    assert_eq!(receives, ["1-2"], "deleted with the second receipt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_keeps_its_order_through_failures() {
    let mut world = World::new("", "");
    world.source = Queue::fifo();
    world.sink = Queue::fifo();
    for id in 0..120 {
        world.source.event(id, &serde_json::json!({ "n": id, "group": format!("g{}", id % 4), "emit": true }));
    }
    world.sink.inner().send_faults = vec![Trouble::Throttled; 7];
    let seen: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let list = Arc::clone(&seen);
    let host = world.start(
        Arc::new(move |call| {
            let data: serde_json::Value = serde_json::from_slice(&call.event.data).expect("JSON");
            let (number, group) = (data["n"].as_u64().unwrap_or(0), data["group"].to_string());
            let fails = number.is_multiple_of(5) && call.attempt < 3;
            if !fails {
                list.lock().expect("a list").push((number, group));
            }
            Box::pin(async move { if fails { retry(None) } else { Outcome::Done } })
        }),
        done(),
    );
    host.until_idle().await;
    assert_eq!((world.counts("a").done, world.counts("b").done), (120, 120));
    for group in 0..4 {
        let name = format!("\"g{group}\"");
        let order: Vec<u64> =
            seen.lock().expect("a list").iter().filter(|(_, g)| *g == name).map(|(n, _)| *n).collect();
        assert_eq!(order, (0..30).map(|n| n * 4 + group).collect::<Vec<_>>(), "{name}");
    }
    let sent = world.sink.inner().sent.clone();
    assert_eq!(sent.len(), 240);
    for group in 0..4 {
        let of_a = |message: &&Message| {
            let event: serde_json::Value = serde_json::from_slice(&message.body).expect("JSON");
            event["source"] == "a" && message.system.group_id == Some(format!("g{group}"))
        };
        let number = |message: &Message| {
            let event: serde_json::Value = serde_json::from_slice(&message.body).expect("JSON");
            event["data"]["n"].as_u64().unwrap_or(0)
        };
        let order: Vec<u64> = sent.iter().filter(of_a).map(number).collect();
        assert_eq!(order, (0..30).map(|n| n * 4 + group).collect::<Vec<_>>(), "sent in order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stored_messages_are_deleted_before_they_have_run() {
    let mut world = World::new("settle = \"stored\"", "");
    for id in 0..300 {
        world.source.event(id, &serde_json::json!({}));
    }
    let stuck: Behaviour = Arc::new(|_| Box::pin(std::future::pending()));
    let host = world.start(done(), stuck);
    world.source.until_empty().await;
    host.kill().await;
    world.start(done(), done()).until_idle().await;
    assert_eq!((world.counts("a").done, world.counts("b").done), (300, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_letter_goes_out_and_comes_back() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    let mood = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&mood);
    let moody: Behaviour = Arc::new(move |_| {
        let bad = asked.load(Ordering::SeqCst) == 0;
        Box::pin(async move { if bad { Outcome::Reject { reason: "no".into() } } else { Outcome::Done } })
    });
    let host = world.start(moody, done());
    until("the dead letter is outside", || world.sink.inner().sent.len() == 1).await;
    world.source.until_empty().await;
    let letter = world.sink.inner().sent[0].clone();
    assert!(letter.attribute(DEAD_LETTER_ATTRIBUTE).is_some());
    let (message, note) = sent_back(letter.clone());
    let note = note.expect("a note");
    assert_eq!((note.reactor.as_str(), note.reason.as_str(), note.attempts), ("a", "rejected", 1));
    assert_eq!((note.module.as_deref(), note.channel.as_str()), (Some("native"), "in"));
    assert!(message.body.starts_with(b"{\"data\":"), "{message:?}");
    mood.store(1, Ordering::SeqCst);
    // What AWS's own redrive does: the message, as it is, goes back to the queue.
    world.source.put(letter);
    until("it is done", || world.counts("a").done == 1).await;
    world.source.until_empty().await;
    host.drain().await;
    let (a, b) = (world.counts("a"), world.counts("b"));
    assert_eq!((a.done, a.dead, b.done, b.duplicates), (1, 0, 1, 1));
    assert!(world.store.dead_letters(&DeadFilter::default()).expect("letters").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_channel_refuses_becomes_a_dead_letter_and_can_be_sent_again() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({ "emit": true }));
    world.sink.inner().send_faults = vec![Trouble::Refused, Trouble::Unreachable, Trouble::Throttled];
    world.start(done(), done()).until_idle().await;
    assert_eq!(world.sink.inner().sent.len(), 1);
    let letters = world.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!((letters.len(), letters[0].letter.reason.as_str()), (1, "undeliverable"));
    assert!(letters[0].letter.detail.contains("made up"));
    world.store.request(Request::Redrive(letters[0].id)).await.expect("asked");
    world.start(done(), done()).until_idle().await;
    assert_eq!(world.sink.inner().sent.len(), 2);
    assert!(world.store.dead_letters(&DeadFilter::default()).expect("letters").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_event_is_kept_and_deleted() {
    let mut world = World::new("unrouted = \"dead-letter\"", "");
    world.source.put(Message::from_body("{"));
    world.source.put(Message::from_body(r#"{"eventId":"e","eventType":"nobodys","source":"s","data":1}"#));
    world.start(done(), done()).until_idle().await;
    assert_eq!(world.source.left(), 0);
    let letters = world.store.dead_letters(&DeadFilter::default()).expect("letters");
    let mut reasons: Vec<_> = letters.iter().map(|dead| dead.letter.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["invalid-event", "unrouted"]);
    for letter in &letters {
        world.store.request(Request::Redrive(letter.id)).await.expect("asked");
    }
    // Somebody wants the one now, and the other stays what it is.
    world.config = world.config.replacen("on = [\"t\"]", "on = [\"t\", \"nobodys\"]", 1);
    world.source.inner().resend_faults = vec![Trouble::Throttled];
    let host = world.start(done(), done());
    until("it has run", || world.counts("a").done == 1).await;
    until("the other is back", || world.store.requests(0).expect("requests").is_empty()).await;
    host.until_idle().await;
    let letters = world.store.dead_letters(&DeadFilter::default()).expect("letters");
    assert_eq!(letters.iter().map(|dead| dead.letter.reason.as_str()).collect::<Vec<_>>(), ["invalid-event"]);
    assert_eq!(world.source.left(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trouble_is_waited_out_without_spinning() {
    let mut world = World::new("", "");
    world.source.event(1, &serde_json::json!({}));
    let faults = [Trouble::Missing, Trouble::Denied, Trouble::Throttled, Trouble::Unreachable];
    world.source.inner().receive_faults = faults.to_vec();
    let host = world.start(done(), done());
    world.source.until_empty().await;
    let calls = world.source.inner().calls;
    assert!(calls <= 4 + 4, "{calls} calls");
    host.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_has_not_started_is_given_back_at_the_end() {
    let mut world = World::new("", "concurrency = 1");
    for id in 0..15 {
        world.source.event(id, &serde_json::json!({}));
    }
    let slow: Behaviour = Arc::new(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Outcome::Done
        })
    });
    let host = world.start(slow.clone(), slow);
    until("one is done", || world.counts_if_any("a") >= 1).await;
    host.drain().await;
    let now = Instant::now();
    let (left, leased) = {
        let inner = world.source.inner();
        (inner.items.len(), inner.items.iter().filter(|item| item.visible_at > now).count())
    };
    assert!(left >= 10 && leased == 0, "{left} left, {leased} of them not given back");
    let host = world.start(done(), done());
    world.source.until_empty().await;
    host.drain().await;
    assert_eq!((world.counts("a").done, world.counts("b").done), (15, 15));
}

impl Queue {
    /// Ends every lease.
    fn expire(&self) {
        let now = Instant::now();
        self.inner().items.iter_mut().for_each(|item| item.visible_at = now);
        self.changed.notify_waiters();
    }
}

impl World {
    /// How much a reactor has done, if it has ever run.
    fn counts_if_any(&self, name: &str) -> u64 {
        let stats = self.store.stats().expect("counts").reactors;
        stats.iter().find(|stats| stats.name == name).map_or(0, |stats| stats.done)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_lose_and_double_nothing_that_is_leased() {
    const EVENTS: usize = 300;
    let mut world = World::new("", "");
    for id in 0..EVENTS {
        world.source.event(id, &serde_json::json!({}));
    }
    let moody = || -> Behaviour {
        Arc::new(|call| {
            let bad = call.attempt == 1 && call.event.id.ends_with('7');
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                if bad { Outcome::Retry { reason: "not yet".into(), after: None } } else { Outcome::Done }
            })
        })
    };
    let texts =
        [world.config.clone(), world.config.replace("[reactors.a]", "[channels.more]\nkind = \"local\"\n[reactors.a]")];
    assert_ne!(texts[0], texts[1]);
    let host = world.start(moody(), moody());
    for round in 1..12 {
        tokio::time::sleep(Duration::from_millis(round)).await;
        let next = world.deployment(&texts[round as usize % 2], moody(), moody());
        host.tell.send(Control::Deploy(next)).await.expect("it listens");
    }
    host.until_idle().await;
    let (a, b) = (world.counts("a"), world.counts("b"));
    let all = EVENTS as u64;
    assert_eq!((a.done, a.dead, b.done, b.dead), (all, 0, all, 0));
    assert_eq!(world.source.left(), 0, "everything was deleted");
}
