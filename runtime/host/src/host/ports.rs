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
use crate::room::until_there_is_room;

/// See the module.
pub(crate) struct Ports {
    pub(crate) store: Arc<dyn StoreOwner>,
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
        let (store, inputs) = (Arc::clone(&self.store), self.to_self.clone());
        let (signals, clock) = (Arc::clone(&self.signals), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let written = until_there_is_room(&signals, &*clock, || write(&*store)).await;
            // Fails only when the host's task is gone, and then nobody is left to tell.
            let _ = inputs.send(written.map_or_else(Input::Fatal, answer));
        });
    }
}
