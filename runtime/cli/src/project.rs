//! The configuration and the store that every command starts from.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;

use reactor_channel::kind::{Connections, Opened, open};
use reactor_config::Places;
use reactor_config::model::{ChannelConfig, Config, ReactorConfig};
use reactor_core::channel::Remote;
use reactor_core::event::ReactorId;
use reactor_core::store::{StoreClient, StoreError, StoreOwner};
use reactor_store_sqlite::{OpenOptions, SqliteStore};

use super::exit::{self, Exit};
use super::{Global, hidden};
use crate::kinds::KINDS;

/// Where the codes in brackets are explained.
const SAYS_MORE: &str = "`reactor explain CODE` explains the code in brackets";

/// How often to check for free disk space.
const FOR_ROOM: std::time::Duration = std::time::Duration::from_secs(1);

/// A checked configuration.
pub(super) struct Project {
    pub(super) config: Arc<Config>,
    pub(super) places: Places,
}

impl Project {
    /// Reads the configuration and prints its errors. Only `check` and `up` print warnings: a user who looks at an
    /// event did not ask for them.
    pub(super) fn load(global: &Global) -> Result<Self, Exit> {
        Self::checked(global).map(|(project, _)| project)
    }

    /// Reads the configuration and prints its errors and warnings.
    pub(super) fn load_with_warnings(global: &Global) -> Result<Self, Exit> {
        let (project, warnings) = Self::checked(global)?;
        if !warnings.is_empty() {
            super::say_as_is(&hidden::hide(&warnings.render(global.colored())));
        }
        Ok(project)
    }

    fn checked(global: &Global) -> Result<(Self, reactor_config::Problems), Exit> {
        Self::read(global).map_err(|problems| {
            print_problems(global, &problems);
            Exit::printed(exit::CONFIG)
        })
    }

    /// Reads the configuration; returns its warnings, or its errors.
    pub(super) fn read(global: &Global) -> Result<(Self, reactor_config::Problems), reactor_config::Problems> {
        let loaded = reactor_config::load(&global.config, &|name| std::env::var(name).ok(), KINDS)?;
        hidden::learn(&loaded.secrets);
        let mut config = loaded.config;
        if let Some(dir) = &global.data_dir {
            // It is absolute already, unless the current folder cannot be determined.
            config.runtime.data_dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone()).into();
        }
        Ok((Self { config: Arc::new(config), places: loaded.places }, loaded.warnings))
    }

    /// These reactors, or all; an unknown name is an error that names the nearest.
    pub(super) fn reactor_names(&self, wanted: &[String]) -> Result<Vec<String>, Exit> {
        if wanted.is_empty() {
            return Ok(self.config.reactors.keys().cloned().collect());
        }
        wanted.iter().map(|name| self.known(name, "reactor", self.config.reactors.keys())).collect()
    }

    /// The numbers and names of reactors, including those that have never run.
    pub(super) fn numbered(&self, store: &dyn StoreClient) -> Result<BTreeMap<ReactorId, String>, Exit> {
        let mut names: BTreeMap<ReactorId, String> = store.reactor_names()?.into_iter().collect();
        // A reactor that has never run has no number yet; assigned numbers never get as high as these.
        let new = self.config.reactors.keys().filter(|name| !names.values().any(|known| known == *name));
        let new: Vec<_> = (0..).map(|index| ReactorId(u32::MAX - index)).zip(new.cloned()).collect();
        names.extend(new);
        Ok(names)
    }

    /// A channel by its name; an unknown one is an error that names the nearest.
    pub(super) fn channel(&self, name: &str) -> Result<&ChannelConfig, Exit> {
        let name = self.known(name, "channel", self.config.channels.keys())?;
        Ok(&self.config.channels[&name])
    }

    /// The reactors that read a channel.
    pub(super) fn readers(&self, channel: &str) -> Vec<&ReactorConfig> {
        self.config.reactors.values().filter(|reactor| reactor.from.iter().any(|from| from == channel)).collect()
    }

    /// Whether reactors send events or dead letters to a channel, or another channel its own dead letters.
    pub(super) fn is_written(&self, channel: &str) -> bool {
        let forwards = |other: &ChannelConfig| other.dead_letter.as_deref() == Some(channel);
        self.config.channels.values().any(forwards)
            || self.config.reactors.values().any(|reactor| {
                let dead = reactor.dead_letter.channel.as_deref() == Some(channel);
                dead || reactor.emit.iter().any(|(_, to)| to == channel)
            })
    }

    /// The remote channels, ready for use.
    pub(super) async fn remotes(&self, with: &Connections) -> BTreeMap<String, Remote> {
        let mut remotes = BTreeMap::new();
        for (name, channel) in &self.config.channels {
            if let Some(remote) = open(KINDS, with, Opened { channel, readers: &self.readers(name) }).await {
                remotes.insert(name.clone(), remote);
            }
        }
        remotes
    }

    fn known<'a>(&self, name: &str, what: &str, all: impl Iterator<Item = &'a String>) -> Result<String, Exit> {
        let all: Vec<_> = all.collect();
        if all.iter().any(|known| *known == name) {
            return Ok(name.to_owned());
        }
        let nearest = all.iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
        let hint = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let file = self.config.file.display();
        Err(Exit::new(exit::USAGE, anyhow!("{file} has no {what} `{name}`{hint}")))
    }

    /// Opens the store next to a host that may be running.
    pub(super) fn client(&self) -> Result<Arc<dyn StoreClient>, Exit> {
        Ok(Arc::new(SqliteStore::open(self.config.runtime.data_dir.path(), &OpenOptions::client())?))
    }

    /// Opens the store only to look at it, if it exists.
    pub(super) fn look(&self) -> Result<Arc<dyn StoreClient>, Exit> {
        Ok(Arc::new(SqliteStore::look(self.config.runtime.data_dir.path())?))
    }

    /// Opens the store as its owner, for a host: waits without a limit while other processes keep it busy or its disk
    /// is full.
    pub(super) fn owner_when_there_is_room(&self) -> Result<Arc<dyn StoreOwner>, Exit> {
        let mut told = false;
        loop {
            match self.own(&OpenOptions::owner(self.config.runtime.concurrency)) {
                Err(Exit { error: Some(error), .. }) if matches!(error.downcast_ref(), Some(StoreError::Full)) => {
                    if !std::mem::replace(&mut told, true) {
                        let dir = &self.config.runtime.data_dir;
                        tracing::warn!(
                            "the disk that holds {dir} is full and its reserve is used up; waiting until space is free"
                        );
                    }
                    std::thread::sleep(FOR_ROOM);
                }
                opened => return opened,
            }
        }
    }

    /// Opens the store as its owner, for a command.
    pub(super) fn owner(&self) -> Result<Arc<dyn StoreOwner>, Exit> {
        self.own(&OpenOptions { endless: false, ..OpenOptions::owner(self.config.runtime.concurrency) })
    }

    fn own(&self, options: &OpenOptions) -> Result<Arc<dyn StoreOwner>, Exit> {
        Ok(Arc::new(SqliteStore::own(self.config.runtime.data_dir.path(), options)?))
    }
}

/// Prints problems of the configuration: as text on stderr, or as JSON on stdout.
pub(super) fn print_problems(global: &Global, problems: &reactor_config::Problems) {
    if global.json {
        super::print_json(&hidden::hide(&problems.to_json().to_string()));
    } else {
        super::say_as_is(&format!("{}\n\n{SAYS_MORE}", hidden::hide(&problems.render(global.colored()))));
    }
}
