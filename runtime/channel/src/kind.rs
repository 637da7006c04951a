//! A kind of channel: its configuration and its connections. Everything specific to a kind is in its folder.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use reactor_config::kind as file;
use reactor_config::model::{ChannelConfig, ReactorConfig};
use reactor_core::channel::{Remote, Source};

use super::inspect::Finding;

/// A kind of channel.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its configuration.
    pub file: file::Kind,
    /// Connects to it; `None` if it is part of this host's store.
    pub outside: Option<&'static dyn Connect>,
}

impl AsRef<file::Kind> for Kind {
    fn as_ref(&self) -> &file::Kind {
        &self.file
    }
}

/// Connects to channels of one kind. Called only with channels that the kind itself has read.
pub trait Connect: Send + Sync {
    /// Prepares a channel that these reactors read. Makes no request yet.
    fn open<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Remote>>;
    /// The channel as a source, even if no reactor reads it; `None` if it cannot be received from.
    fn source<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Arc<dyn Source>>>;
    /// Inspects the channel; `is_written` says whether reactors send to it. Changes, creates, receives and sends
    /// nothing. Always returns a finding.
    fn inspect<'a>(
        &'a self,
        with: &'a Connections,
        channel: Opened<'a>,
        is_written: bool,
    ) -> BoxFuture<'a, Vec<Finding>>;
}

/// A channel, and the reactors that read it.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// Its configuration.
    pub channel: &'a ChannelConfig,
    /// Its readers.
    pub readers: &'a [&'a ReactorConfig],
}

impl<'a> Opened<'a> {
    /// The settings specific to this kind.
    pub fn own<S: reactor_config::outside::Settings>(self) -> Option<&'a S> {
        self.channel.outside.as_ref()?.own()
    }
}

/// What channels share to reach the same service, such as its clients; each is created at first use.
#[derive(Default)]
pub struct Connections {
    made: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Connections {
    /// The shared value of this type.
    pub async fn get<C: Clone + Send + Sync + 'static>(&self, make: BoxFuture<'_, C>) -> C {
        let mut made = self.made.lock().await;
        if let Some(known) = made.get(&TypeId::of::<C>()).and_then(|known| known.downcast_ref::<C>()) {
            return known.clone();
        }
        let new = make.await;
        made.insert(TypeId::of::<C>(), Arc::new(new.clone()));
        new
    }
}

/// Prepares a channel that these reactors read; `None` if it is not remote. Makes no request yet.
pub async fn open(kinds: &[Kind], with: &Connections, channel: Opened<'_>) -> Option<Remote> {
    of(kinds, channel)?.open(with, channel).await
}

/// A channel as a source, even if no reactor reads it.
pub async fn source(kinds: &[Kind], with: &Connections, channel: &ChannelConfig) -> Option<Arc<dyn Source>> {
    let channel = Opened { channel, readers: &[] };
    of(kinds, channel)?.source(with, channel).await
}

/// Inspects a channel; see [`Connect::inspect`]. Empty if it is not remote.
pub async fn inspect(kinds: &[Kind], with: &Connections, channel: Opened<'_>, is_written: bool) -> Vec<Finding> {
    match of(kinds, channel) {
        Some(kind) => kind.inspect(with, channel, is_written).await,
        None => Vec::new(),
    }
}

fn of(kinds: &[Kind], channel: Opened<'_>) -> Option<&'static dyn Connect> {
    let name = channel.channel.outside.as_ref()?.kind;
    kinds.iter().find(|kind| kind.file.name == name)?.outside
}
