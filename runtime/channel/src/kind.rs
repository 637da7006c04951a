//! A kind of channels: what the file says of one, and how it is reached. All that is particular to a kind is in its folder.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use reactor_config::kind as file;
use reactor_config::model::{ChannelConfig, ReactorConfig};
use reactor_core::channel::{Remote, Source};

use super::inspect::Finding;

/// A kind of channels.
#[derive(Clone, Copy)]
pub struct Kind {
    /// What the file says of a channel.
    pub file: file::Kind,
    /// How it is reached; `None` if it is a part of this host's store.
    pub outside: Option<&'static dyn Connect>,
}

impl AsRef<file::Kind> for Kind {
    fn as_ref(&self) -> &file::Kind {
        &self.file
    }
}

/// How channels of a kind are reached. Called only with channels that the kind has read.
pub trait Connect: Send + Sync {
    /// Gets ready to use a channel that these reactors read. Nobody is asked for anything yet.
    fn open<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Remote>>;
    /// The channel's messages, whether a reactor reads them or not; `None` if none can be received.
    fn source<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Arc<dyn Source>>>;
    /// Asks what there is to know of it; `is_written` says whether reactors send to it. Nothing is changed, made, received
    /// or sent. There is always a finding.
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
    /// What the file says of it.
    pub channel: &'a ChannelConfig,
    /// Its readers.
    pub readers: &'a [&'a ReactorConfig],
}

impl<'a> Opened<'a> {
    /// What the keys of this kind alone say.
    pub fn own<S: reactor_config::outside::Settings>(self) -> Option<&'a S> {
        self.channel.outside.as_ref()?.own()
    }
}

/// What channels share to reach the same place, such as the clients of a service: each is made when it is first asked for.
#[derive(Default)]
pub struct Connections {
    made: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Connections {
    /// The shared thing of this type.
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

/// Gets ready to use a channel that these reactors read; `None` if it is not outside. Nobody is asked for anything yet.
pub async fn open(kinds: &[Kind], with: &Connections, channel: Opened<'_>) -> Option<Remote> {
    of(kinds, channel)?.open(with, channel).await
}

/// The messages of a channel, as something to receive, whether a reactor reads them or not.
pub async fn source(kinds: &[Kind], with: &Connections, channel: &ChannelConfig) -> Option<Arc<dyn Source>> {
    let channel = Opened { channel, readers: &[] };
    of(kinds, channel)?.source(with, channel).await
}

/// Asks what there is to know of a channel; see [`Connect::inspect`]. Empty if it is not outside.
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
