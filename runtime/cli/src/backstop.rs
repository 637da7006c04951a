//! The end of a host that was told to end and cannot: another process keeps the store busy, or its disk is full.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use reactor_core::store::{StoreClient, StoreError};
use reactor_signal::Signals;

/// How much longer than the drain time a host may take to end by itself.
const GRACE: Duration = Duration::from_secs(4);
/// How long a host may take that has not begun to run anything.
const AT_START: Duration = Duration::from_secs(1);
/// How long it may take to end once nothing waits for the store any more.
const LAST: Duration = Duration::from_secs(2);

/// Sees to it that a host ends that was told to.
pub(super) struct Backstop {
    drain: Duration,
    store: Arc<dyn StoreClient>,
    signals: Arc<Signals>,
    over: Notify,
}

impl Backstop {
    pub(super) fn new(drain: Duration, store: Arc<dyn StoreClient>, signals: Arc<Signals>) -> Arc<Self> {
        Arc::new(Self { drain, store, signals, over: Notify::new() })
    }

    /// The host has been told to end.
    pub(super) async fn fall(&self) {
        sleep(if self.signals.is_starting() { AT_START } else { self.drain + GRACE }).await;
        self.store.give_up();
        self.over.notify_one();
    }

    /// Waits until the host has ended, or is over. What is cut off then is a crash to the store, which loses nothing.
    pub(super) async fn wait_for(&self, mut host: JoinHandle<Result<(), StoreError>>) -> Result<(), StoreError> {
        let ended = tokio::select! {
            ended = &mut host => ended,
            () = self.over.notified() => match timeout(LAST, &mut host).await {
                Ok(Ok(Err(error @ (StoreError::Busy { .. } | StoreError::Full)))) => {
                    tracing::warn!("stopped before everything was written: {error}");
                    return Ok(());
                }
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!("stopped before everything was written: the store did not answer in time");
                    host.abort();
                    return Ok(());
                }
            },
        };
        ended.unwrap_or_else(|panic| Err(StoreError::Other(format!("the host's task ended: {panic}"))))
    }
}
