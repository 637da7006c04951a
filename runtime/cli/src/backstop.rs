//! Ends a host that was told to stop but cannot: another process keeps the store busy, or its disk is full.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use reactor_core::store::{StoreClient, StoreError};
use reactor_signal::Signals;

/// How much longer than the drain time a host may take to stop.
const GRACE: Duration = Duration::from_secs(4);
/// How long a host may take to stop if it has not started to run anything.
const AT_START: Duration = Duration::from_secs(1);
/// How long it may take to stop once nothing waits for the store any more.
const LAST: Duration = Duration::from_secs(2);

/// Makes sure that a host that was told to stop does stop.
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

    /// Runs when the host has been told to stop.
    pub(super) async fn fall(&self) {
        sleep(if self.signals.is_starting() { AT_START } else { self.drain + GRACE }).await;
        self.store.give_up();
        self.over.notify_one();
    }

    /// Waits until the host has ended or its time is over. To the store, work that is cut off is a crash, which loses
    /// nothing.
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
