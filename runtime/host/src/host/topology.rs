//! What is connected: the configuration, its reactors and the channels that are read.

use std::collections::HashMap;
use std::sync::Arc;

use reactor_config::model::{Config, Settle};
use reactor_core::event::{ChannelId, ReactorId};

use crate::intake::Intake;
use crate::reactor::Reactor;

/// See the module. The places in both lists are what the rest of the pipeline knows reactors and channels by.
pub(crate) struct Topology {
    pub(crate) config: Arc<Config>,
    pub(crate) reactors: Vec<Reactor>,
    pub(crate) by_id: HashMap<ReactorId, usize>,
    pub(crate) channels: Vec<Intake>,
}

impl Topology {
    pub(crate) fn new(config: Arc<Config>, reactors: Vec<Reactor>, channels: Vec<Intake>) -> Self {
        let by_id = reactors.iter().enumerate().map(|(index, reactor)| (reactor.id, index)).collect();
        Self { config, reactors, by_id, channels }
    }

    /// The channels whose deliveries run under a lease.
    pub(crate) fn leased(&self) -> Vec<ChannelId> {
        let leased = |intake: &&Intake| {
            let channel = self.config.channels.get(&intake.channel.name);
            channel.and_then(|channel| channel.settle()) == Some(Settle::Completed)
        };
        self.channels.iter().filter(leased).map(|intake| intake.channel.id).collect()
    }

    /// A channel that is read.
    pub(crate) fn channel(&self, id: ChannelId) -> Option<&Intake> {
        self.channels.iter().find(|intake| intake.channel.id == id)
    }

    /// The name of a channel.
    pub(crate) fn channel_name(&self, id: ChannelId) -> &str {
        self.channel(id).map_or("?", |intake| intake.channel.name.as_str())
    }

    /// The log of a channel has got messages.
    pub(crate) fn wake_reader(&mut self, id: ChannelId) {
        if let Some(intake) = self.channels.iter_mut().find(|intake| intake.channel.id == id) {
            intake.pending = true;
        }
    }

    /// Any log may have got messages.
    pub(crate) fn wake_readers(&mut self) {
        self.channels.iter_mut().for_each(|intake| intake.pending = true);
    }
}
