//! Decodes messages of a channel into events and routes them: the same for the host and for every command that predicts
//! what the host will do.

use reactor_config::model::{ChannelConfig, Config, ReactorConfig};
use reactor_core::event::{Event, Message, ReactorId};

use crate::decode::{Contents, DecodeError, Settings, decode};
use crate::route::{Match, Routes};

/// What is needed to read a channel, prepared once.
#[derive(Debug)]
pub struct Reading {
    settings: Settings,
    routes: Routes,
}

impl Reading {
    /// Prepares the reading of a channel by some of the configured reactors.
    pub fn new(config: &Config, channel: &ChannelConfig, readers: &[(ReactorId, &ReactorConfig)]) -> Self {
        Self {
            settings: Settings::new(channel).with_emitters(config.reactors.keys()),
            routes: Routes::compile(&channel.name, readers),
        }
    }

    /// Decodes and checks a message.
    ///
    /// # Errors
    /// None of it is an event.
    pub fn decode(&self, message: &Message) -> Result<Contents, DecodeError> {
        decode(message, &self.settings)
    }

    /// Appends every reactor that gets an event, once each.
    pub fn matching(&self, event: &Event, matches: &mut Vec<Match>) {
        self.routes.matching(event, matches);
    }
}
