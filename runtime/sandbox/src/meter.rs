//! CPU time of a run: the time spent polling its future.
//!
//! Waiting for a turn among other runs is not charged, however busy the host is. If the operating system suspends the
//! thread during a turn, that time is charged; it is at most what other processes take.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

/// Time spent, readable from within the run.
#[derive(Debug)]
pub(super) struct CpuMeter {
    start: Instant,
    /// Nanoseconds of ended turns.
    spent: AtomicU64,
    /// Start of the current turn, in nanoseconds since `start`.
    turn: AtomicU64,
}

impl CpuMeter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), spent: AtomicU64::new(0), turn: AtomicU64::new(0) })
    }

    /// Time since the meter was created, including waits.
    pub(super) fn wall(&self) -> Duration {
        self.start.elapsed()
    }

    /// Time spent so far, including the current turn; only meaningful within a turn.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Relaxed) + self.now().saturating_sub(self.turn.load(Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A future whose turns are measured.
pub(super) struct Metered<'a, T> {
    inner: BoxFuture<'a, T>,
    meter: Arc<CpuMeter>,
}

impl<'a, T> Metered<'a, T> {
    pub(super) fn new(inner: BoxFuture<'a, T>, meter: Arc<CpuMeter>) -> Self {
        Self { inner, meter }
    }
}

impl<T> Future for Metered<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let begin = self.meter.now();
        self.meter.turn.store(begin, Relaxed);
        let result = self.inner.as_mut().poll(context);
        self.meter.spent.fetch_add(self.meter.now().saturating_sub(begin), Relaxed);
        result
    }
}
