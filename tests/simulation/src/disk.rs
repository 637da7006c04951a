//! What a store stands on: writes that are queued, applied in groups, and synced; and what a crash leaves of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, pending};
use reactor_core::clock::{Clock, Sleep};
use reactor_core::event::HostTime;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{Result, StoreError};
use reactor_store::memory::MemoryStore;
use tokio::sync::{Notify, oneshot};

use crate::clock::SimClock;
use crate::dice::Dice;

/// How long a group waits for more, and a sync takes, at most.
const SLOW: Duration = Duration::from_millis(3);
const VERY_SLOW: Duration = Duration::from_secs(40);

/// What a process leaves when it ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: what it has written stays.
    Kill,
    /// The machine loses its power: what was not synced may be gone.
    PowerCut,
}

/// What goes wrong with writes, while nothing has healed it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Writes that find the disk full, per thousand.
    pub full: u64,
    /// Groups that take very long, per thousand.
    pub slow: u64,
    /// Syncs that fail, per thousand: what they were for may be gone, and the process must end.
    pub unsynced: u64,
}

/// A planned crash: at which write, counted from the beginning of the run, and whether the write is applied by then.
#[derive(Clone, Copy, Debug)]
pub struct CrashAt {
    /// The number of the write.
    pub write: u64,
    /// Whether it is still applied.
    pub after: bool,
    /// What is left.
    pub crash: Crash,
}

/// Answers once the group of a write is durable.
type Answer = Box<dyn FnOnce() + Send>;

struct Write {
    apply: Box<dyn FnOnce(Option<StoreError>) -> Answer + Send>,
    durable: bool,
}

/// See the module. Outlives the processes that use it.
pub struct Disk {
    clock: SimClock,
    dice: Dice,
    inner: Mutex<Inner>,
    work: Notify,
    crashed: Notify,
}

struct Inner {
    /// The store, as the process of the moment has it open.
    open: Arc<MemoryStore>,
    /// What a power cut leaves for certain.
    synced: MemoryStore,
    queue: VecDeque<Write>,
    written: u64,
    crashes: VecDeque<CrashAt>,
    faults: Faults,
    crash: Option<Crash>,
    /// A sync has failed, and nothing that was written before it can be relied on.
    is_lost: bool,
}

impl Disk {
    /// An empty disk.
    pub fn new(clock: &SimClock, dice: &Dice, slots: usize, crashes: Vec<CrashAt>, faults: Faults) -> Arc<Self> {
        let beginning = u64::try_from(clock.wall().as_millisecond()).unwrap_or(0);
        let open = MemoryStore::at(slots, HostTime(beginning));
        let inner = Inner {
            synced: open.copy(),
            open: Arc::new(open),
            queue: VecDeque::new(),
            written: 0,
            crashes: crashes.into(),
            faults,
            crash: None,
            is_lost: false,
        };
        let (clock, dice) = (clock.clone(), dice.clone());
        Arc::new(Self { clock, dice, inner: Mutex::new(inner), work: Notify::new(), crashed: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store as the process of the moment has it open.
    pub fn open(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.inner().open)
    }

    /// What would be left if the power failed now.
    pub fn synced(&self) -> MemoryStore {
        self.inner().synced.copy()
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        let mut inner = self.inner();
        (inner.faults, inner.crashes) = (Faults::default(), VecDeque::new());
    }

    /// Ends when the process crashes.
    pub async fn crashed(&self) -> Crash {
        loop {
            let crashed = self.crashed.notified();
            if let Some(crash) = self.inner().crash {
                return crash;
            }
            crashed.await;
        }
    }

    /// The process ends now.
    pub fn crash(&self, crash: Crash) {
        self.inner().crash = Some(crash);
        self.crashed.notify_waiters();
    }

    /// The next process opens the store. What was queued and not applied is gone.
    pub fn reopen(&self) {
        let mut inner = self.inner();
        inner.queue.clear();
        let is_lucky = self.dice.happens(300);
        let is_lost = std::mem::take(&mut inner.is_lost);
        let is_cut = inner.crash.take() == Some(Crash::PowerCut) && !is_lucky;
        let found = if is_cut || is_lost { inner.synced.copy().reopen() } else { inner.open.reopen() };
        (inner.synced, inner.open) = (found.copy(), Arc::new(found));
    }

    /// Another process takes the store over, while the one before it still runs.
    pub fn take_over(&self) {
        let mut inner = self.inner();
        inner.open = Arc::new(inner.open.reopen());
    }

    /// Queues a write; it is applied even if the future is dropped.
    pub fn write<T: Send + 'static>(
        &self,
        model: &Arc<MemoryStore>,
        durable: bool,
        apply: impl FnOnce(&MemoryStore) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (answer, answered) = oneshot::channel();
        let model = Arc::clone(model);
        let apply = Box::new(move |refused: Option<StoreError>| {
            let result = refused.map_or_else(|| apply(&model), Err);
            Box::new(move || drop(answer.send(result))) as Answer
        });
        self.inner().queue.push_back(Write { apply, durable });
        self.work.notify_one();
        Box::pin(async move {
            match answered.await {
                Ok(answer) => answer,
                // The process is about to end.
                Err(_) => pending().await,
            }
        })
    }

    /// Waits for as long as a read takes, or a group of writes waits for more.
    pub fn pause_to_read(&self) -> Sleep {
        let slow = self.inner().faults.slow;
        self.pause(if self.dice.happens(slow) { VERY_SLOW } else { SLOW })
    }

    fn pause(&self, most: Duration) -> Sleep {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        self.clock.sleep(Duration::from_micros(self.dice.of(0..micros)))
    }

    /// Applies what is queued, for as long as the process lives.
    pub async fn serve(self: Arc<Self>) {
        loop {
            let work = self.work.notified();
            let is_empty = self.inner().queue.is_empty();
            if is_empty {
                work.await;
                continue;
            }
            self.pause_to_read().await;
            let Some((mut answers, durable)) = self.apply_some() else { return };
            if is_planted(Bug::AnswerBeforeSync) {
                answers.drain(..).for_each(|answer| answer());
            }
            if durable {
                self.pause(SLOW).await;
                if !self.sync() {
                    return;
                }
            }
            answers.into_iter().for_each(|answer| answer());
        }
    }

    /// Makes durable what has been applied. `false`: it failed, and the process ends.
    fn sync(&self) -> bool {
        let mut inner = self.inner();
        if self.dice.happens(inner.faults.unsynced) {
            inner.is_lost = true;
            drop(inner);
            if !is_planted(Bug::IgnoreFailedSync) {
                self.crash(Crash::Kill);
                return false;
            }
            return true;
        }
        if !inner.is_lost {
            inner.synced = inner.open.copy();
        }
        true
    }

    /// Applies some of what is queued. `None`: the process has crashed.
    fn apply_some(&self) -> Option<(Vec<Answer>, bool)> {
        let (mut answers, mut durable) = (Vec::new(), false);
        let most = self.dice.of(1..12);
        let mut inner = self.inner();
        let faults = inner.faults;
        for _ in 0..most {
            let Some(write) = inner.queue.pop_front() else { break };
            inner.written += 1;
            let crash = inner.crashes.front().copied().filter(|crash| inner.written >= crash.write);
            if let Some(CrashAt { after: false, crash, .. }) = crash {
                return self.fall(inner, crash);
            }
            let is_refused = self.dice.happens(faults.full);
            answers.push((write.apply)(is_refused.then_some(StoreError::Full)));
            durable |= write.durable;
            if let Some(CrashAt { crash, .. }) = crash {
                return self.fall(inner, crash);
            }
        }
        Some((answers, durable))
    }

    /// The process crashes as it was planned.
    fn fall<T>(&self, mut inner: MutexGuard<'_, Inner>, crash: Crash) -> Option<T> {
        inner.crashes.pop_front();
        drop(inner);
        self.crash(crash);
        None
    }
}
