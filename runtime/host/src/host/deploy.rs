//! Taking over a new configuration and new modules while the host runs.
//!
//! What a reactor *does* (its module, limits, grants and policies) is exchanged in place: attempts under way end with what
//! they began with, the next ones run the new module. What is *connected* (channels, which reactors there are, and which
//! events they get) is exchanged by ending the host, with a drain, and starting it again on the same store, in the same
//! process: that is the one way of taking over that has to be right in any case.

use tokio::sync::mpsc;

use reactor_config::model::{Config, ReactorConfig};
use reactor_core::store::StoreError;

use super::deployment::{Change, Deployment, End};
use crate::host::{Control, Host, Parts};
use crate::schedule::ReactorSpec;

/// Compares two configurations.
pub fn compare(old: &Config, new: &Config) -> Change {
    let (was, is) = (&old.runtime, &new.runtime);
    let fixed = [
        ("runtime.data-dir", was.data_dir.path() != is.data_dir.path()),
        ("runtime.concurrency", was.concurrency != is.concurrency),
        ("runtime.admin", was.admin != is.admin),
    ];
    if let Some((key, _)) = fixed.iter().find(|(_, changed)| *changed) {
        return Change::Process(key);
    }
    let same_reactors = old.reactors.keys().eq(new.reactors.keys());
    let connected = old.channels == new.channels && was.queue_memory == is.queue_memory && same_reactors;
    let pairs = old.reactors.iter().filter_map(|(name, old)| Some((old, new.reactors.get(name)?)));
    if connected && pairs.into_iter().all(|(was, is)| gets_the_same(new, was, is)) {
        Change::InPlace
    } else {
        Change::Connections
    }
}

/// Whether a reactor gets the same events, under the same leases.
fn gets_the_same(config: &Config, was: &ReactorConfig, is: &ReactorConfig) -> bool {
    let outside = |name: &String| config.channels.get(name).is_some_and(|channel| channel.is_remote());
    // A lease is as long as the longest time-out needs, and polls are as many as there are attempts at once.
    let paced = was.timeout == is.timeout && was.concurrency == is.concurrency;
    was.from == is.from
        && was.on == is.on
        && was.when == is.when
        && was.order_by == is.order_by
        && was.dedup == is.dedup
        && (paced || !is.from.iter().any(outside))
}

impl Host {
    /// Runs, together with the hosts that follow it when connections change, until told to stop.
    ///
    /// # Errors
    /// The store makes it impossible to go on.
    pub async fn run(self, mut control: mpsc::Receiver<Control>) -> Result<(), StoreError> {
        let mut host = self;
        loop {
            let lasting = host.lasting();
            let (end, until_idle) = host.until_told(&mut control).await?;
            let End::Restart(deployment) = end else { return Ok(()) };
            let Deployment { config, guests, remotes } = *deployment;
            host = Self::new(Parts { config, guests, remotes, ..lasting }).await?;
            host.life.until_idle = until_idle;
            tracing::info!("the new configuration is in force");
        }
    }

    /// Takes a deployment over, at once or by ending in good order.
    pub(crate) fn deploy(&mut self, deployment: Box<Deployment>) {
        match compare(&self.topology.config, &deployment.config) {
            Change::InPlace if !self.life.is_followed() => self.exchange(*deployment),
            Change::InPlace | Change::Connections => {
                tracing::info!("channels or subscriptions have changed; waiting for running attempts to finish first");
                self.begin_to_drain();
                self.life.make_room_for(deployment, self.drain_ends());
            }
            Change::Process(key) => {
                tracing::error!("`{key}` can only change with a restart of the process; nothing was changed");
            }
        }
    }

    fn exchange(&mut self, deployment: Deployment) {
        let Deployment { config, mut guests, .. } = deployment;
        for index in 0..self.topology.reactors.len() {
            let reactor = &mut self.topology.reactors[index];
            let name = reactor.config.name.clone();
            let (Some(guest), Some(new)) = (guests.remove(&name), config.reactors.get(&name)) else { continue };
            let (old, digest) = (short(reactor.guest.digest()).to_owned(), short(guest.digest()).to_owned());
            let same = reactor.config == *new && self.topology.config.runtime.hop_limit == config.runtime.hop_limit;
            if old == digest && same {
                continue;
            }
            if old != digest {
                tracing::info!(reactor = name, from = old, to = digest, "module swapped");
            }
            if !same {
                tracing::info!(reactor = name, "configuration changed");
            }
            reactor.module = guest.digest().into();
            reactor.guest = guest;
            reactor.adopt(new.clone(), config.runtime.hop_limit);
            self.deliveries.adopt(index, &ReactorSpec::of(new));
        }
        for forwarding in self.topology.channels.iter_mut().filter_map(|intake| intake.channel.forwarding.as_mut()) {
            forwarding.hop_limit = config.runtime.hop_limit;
        }
        self.topology.config = config;
    }
}

/// Enough of a digest to tell modules apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BASE: &str = "[channels.a]\nkind = \"local\"\n[channels.q]\nkind = \"sqs\"\nqueue = \"q\"\n\
        [reactors.r]\nmodule = \"r.wasm\"\nfrom = [\"a\"]\non = [\"x\"]\n[reactors.s]\nmodule = \"s.wasm\"\nfrom = [\"q\"]\non = [\"x\"]\n";

    fn config(text: &str) -> Config {
        let loaded = reactor_config::parse(
            text,
            Path::new("/srv/reactors.toml"),
            &|_| None,
            reactor_channel_aws::testing::KINDS,
        );
        loaded.unwrap_or_else(|problems| panic!("{text}\n{}", problems.render(false))).config
    }

    fn change(from: &str, to: &str) -> Change {
        assert!(BASE.contains(from), "{from}");
        compare(&config(BASE), &config(&BASE.replacen(from, to, 1)))
    }

    #[test]
    fn what_a_reactor_does_changes_in_place() {
        assert_eq!(change("x", "x"), Change::InPlace);
        let r = "module = \"r.wasm\"\n";
        let added = [
            "timeout = \"3s\"",
            "concurrency = 2",
            "rate = \"1/s\"",
            "memory = \"1MiB\"",
            "allow = { state = true }",
            "emit = { y = \"a\" }",
            "config = { a = 1 }",
            "retry = { max-attempts = 2 }",
            "breaker = { failures = 3 }",
            "dead-letter = { channel = \"q\" }",
        ];
        for line in added {
            assert_eq!(change(r, &format!("{r}{line}\n")), Change::InPlace, "{line}");
        }
        assert_eq!(change(r, "module = \"other.wasm\"\n"), Change::InPlace);
    }

    #[test]
    fn what_is_connected_needs_a_restart_of_the_host() {
        let (r, s) = ("module = \"r.wasm\"\n", "module = \"s.wasm\"\n");
        for (from, to) in [
            ("on = [\"x\"]", "on = [\"x\", \"y\"]"),
            ("from = [\"a\"]", "from = [\"a\", \"q\"]"),
            ("queue = \"q\"", "queue = \"p\""),
            ("[reactors.s]", "[reactors.t]"),
            ("[channels.a]\n", "[channels.b]\nkind = \"local\"\n[channels.a]\n"),
            ("[channels.a]\n", "[runtime]\nqueue-memory = \"1MiB\"\n[channels.a]\n"),
            (r, "module = \"r.wasm\"\norder-by = \"/data/id\"\n"),
            (r, "module = \"r.wasm\"\ndedup = { window = \"1d\" }\n"),
            (r, "module = \"r.wasm\"\nwhen = { \"/data/a\" = 1 }\n"),
            (s, "module = \"s.wasm\"\ntimeout = \"20s\"\n"),
            (s, "module = \"s.wasm\"\nconcurrency = 2\n"),
        ] {
            assert_eq!(change(from, to), Change::Connections, "{to}");
        }
    }

    #[test]
    fn what_the_process_was_started_with_stays() {
        for key in ["data-dir = \"other\"", "concurrency = 2", "admin = \"127.0.0.1:1\""] {
            let to = format!("[runtime]\n{key}\n[channels.a]\n");
            let Change::Process(named) = change("[channels.a]\n", &to) else { panic!("{key}") };
            assert!(key.starts_with(named.trim_start_matches("runtime.")), "{named}");
        }
    }
}
