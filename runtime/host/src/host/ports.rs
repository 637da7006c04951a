//! What the host is connected to: the store, time, requests of modules, what is told, and its own inputs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use reactor_core::clock::{Clock, Moment};
use reactor_core::event::HostTime;
use reactor_core::store::{StoreError, StoreOwner};
use reactor_core::world::HttpClient;
use reactor_signal::Signals;

use crate::Input;
use crate::reads::Reads;
use crate::room::until_there_is_room;

/// See the module.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) store: Arc<dyn StoreOwner>,
    pub(crate) reads: Reads,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) to_self: mpsc::UnboundedSender<Input>,
    /// The store's clock when this host started, and this process's clock at that moment.
    pub(crate) epoch: (HostTime, Moment),
}

impl Ports {
    /// Now, on the store's own clock.
    pub(crate) fn now(&self) -> HostTime {
        self.at(self.clock.now())
    }

    /// What the time would be by the wall clock, which may jump: only ever asked where that bug is planted.
    pub(crate) fn by_wall_clock(&self) -> HostTime {
        HostTime(u64::try_from(self.clock.wall().as_millisecond()).unwrap_or(0))
    }

    /// A moment of this process on the store's own clock.
    pub(crate) fn at(&self, moment: Moment) -> HostTime {
        self.epoch.0.after(moment.since(self.epoch.1))
    }

    /// Has the store write something while the walk goes on, again for as long as the disk is full; its answer comes as an
    /// input.
    pub(crate) fn write<T, W>(&self, write: W, answer: impl FnOnce(T) -> Input + Send + 'static)
    where
        T: Send + 'static,
        W: Fn(&dyn StoreOwner) -> BoxFuture<'_, Result<T, StoreError>> + Send + Sync + 'static,
    {
        let ports = self.clone();
        self.spawn(async move { ports.written(write).await.map(answer) });
    }

    /// Has the store read something while the walk goes on; its answer comes as an input.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&dyn StoreOwner) -> Result<T, StoreError> + Send + 'static,
        answer: impl FnOnce(T) -> Input + Send + 'static,
    ) {
        let inputs = self.to_self.clone();
        tokio::spawn(self.reads.begin(&self.store, read, move |read| {
            // Fails only when the host's task is gone.
            let _ = inputs.send(read.map_or_else(Input::Fatal, answer));
        }));
    }

    /// Has a task do something while the walk goes on; what it comes to is an input.
    pub(crate) fn spawn(&self, task: impl Future<Output = Result<Input, StoreError>> + Send + 'static) {
        let inputs = self.to_self.clone();
        tokio::spawn(async move {
            let input = task.await.unwrap_or_else(Input::Fatal);
            // Fails only when the host's task is gone.
            let _ = inputs.send(input);
        });
    }

    /// Waits for a write, which is repeated for as long as the disk is full.
    pub(crate) async fn written<T, W>(&self, write: W) -> Result<T, StoreError>
    where
        W: Fn(&dyn StoreOwner) -> BoxFuture<'_, Result<T, StoreError>>,
    {
        until_there_is_room(&self.signals, &*self.clock, || write(&*self.store)).await
    }

    /// Waits for a read.
    pub(crate) async fn made<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn StoreOwner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reads.made(&self.store, read).await
    }
}
