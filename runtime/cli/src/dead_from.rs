//! `reactor dead redrive --from CHANNEL`: the dead letters in a remote queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use reactor_channel::kind::{self, Connections};
use reactor_core::channel::{ChannelError, Lease, Receipt, Received, Remote, Sink, Source};
use reactor_core::clock::SystemClock;
use reactor_core::event::{Message, ReactorId};
use reactor_core::store::{DeadFilter, Request, StoreClient};
use reactor_host::emit::forward::{Note, sent_back};
use reactor_host::outbox::send::send;

use super::exit::{self, Exit};
use super::letters::each;
use super::patience::wait_for_host;
use super::project::Project;
use crate::kinds::KINDS;

/// How long messages are leased while they are examined.
const LEASE: Duration = Duration::from_secs(120);
/// How long to wait for an empty queue.
const WAIT: Duration = Duration::from_secs(2);
/// Consecutive empty responses after which the queue counts as empty: a queue does not always return all it has.
const EMPTY_ENOUGH: usize = 2;

/// The outcome for the queue's messages.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Dead letters of this store, to be run again.
    redriven: u64,
    /// Dead letters of another store, sent back to their channel.
    returned: u64,
    /// Left in the queue: not dead letters, or from a channel that is not in the configuration.
    skipped: u64,
}

/// Redrives the dead letters in the queue of a channel.
pub(super) fn redrive(
    project: &Project,
    store: &Arc<dyn StoreClient>,
    names: &BTreeMap<ReactorId, String>,
    from: &str,
    json: bool,
) -> Result<(), Exit> {
    let channel = project.channel(from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let with = Connections::default();
    let (source, remotes) =
        runtime.block_on(async { (kind::source(KINDS, &with, channel).await, project.remotes(&with).await) });
    let source = source.ok_or_else(|| {
        let why =
            anyhow!("channel `{from}` has no remote queue; `reactor dead list` shows the dead letters in the store");
        Exit::new(exit::USAGE, why)
    })?;
    let mut known = HashMap::new();
    each(&**store, &DeadFilter::default(), |dead| {
        let reactor = dead.letter.reactor.filter(|_| !dead.redriving).and_then(|id| names.get(&id));
        if let (Some(reactor), Some(event)) = (reactor, dead.letter.event_id) {
            known.insert((reactor.clone(), event), dead.id);
        }
    })?;
    let mut run = Run { project, store, source: &source, remotes, known, report: Report::default() };
    let ended = runtime.block_on(run.all());
    let report = run.report;
    let done = report.redriven == 0 || wait_for_host(&**store)?;
    if json {
        super::print_json(&serde_json::to_string(&report).map_err(anyhow::Error::from)?);
    } else {
        let when = if done { "redriven" } else { "to be redriven at the next `reactor up`" };
        out!("{} {when}, {} sent back, {} left in `{from}`", report.redriven, report.returned, report.skipped);
    }
    ended
}

struct Run<'r> {
    project: &'r Project,
    store: &'r Arc<dyn StoreClient>,
    source: &'r Arc<dyn Source>,
    remotes: BTreeMap<String, Remote>,
    /// This store's dead letters, by reactor and event.
    known: HashMap<(String, String), u64>,
    report: Report,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), Exit> {
        let (mut empty, mut left, size) = (0, Vec::new(), self.source.limits().batch);
        let ended = loop {
            if empty == EMPTY_ENOUGH {
                break Ok(());
            }
            let received = match self.source.receive(size, WAIT, LEASE).await {
                Ok(received) => received,
                Err(error) => break Err(failed(&error)),
            };
            empty = if received.is_empty() { empty + 1 } else { 0 };
            let mut settled = Vec::new();
            for Received { message, receipt, .. } in received {
                match self.one(message).await {
                    Ok(true) => settled.push(receipt),
                    Ok(false) => left.push((receipt, Lease::GiveBack(Duration::ZERO))),
                    Err(exit) => {
                        say!(
                            "warning: a message stays in the queue: {}",
                            exit.error.map(|error| error.to_string()).unwrap_or_default()
                        );
                        left.push((receipt, Lease::GiveBack(Duration::ZERO)));
                    }
                }
            }
            self.delete(&settled).await;
        };
        self.report.skipped = left.len() as u64;
        // Only now, or they would be received again and again.
        if let Some(leasing) = Arc::clone(self.source).leasing() {
            for batch in left.chunks(size) {
                leasing.lease(batch).await;
            }
        }
        ended
    }

    /// Handles a message; returns whether it can be deleted.
    async fn one(&mut self, received: Message) -> Result<bool, Exit> {
        let (message, note) = sent_back(received.clone());
        let Some(note) = note else { return Ok(false) };
        let event = (note.reactor.clone(), note.event_id.clone().unwrap_or_default());
        if let Some(id) = self.known.remove(&event) {
            self.store.request(Request::Redrive(id)).await?;
            self.report.redriven += 1;
            return Ok(true);
        }
        let sent = self.send_back(&note, received, message).await?;
        self.report.returned += u64::from(sent);
        Ok(sent)
    }

    /// Sends another store's dead letter to its original channel. In a remote channel it keeps its note, so that a host
    /// that knows it runs it again.
    async fn send_back(&self, note: &Note, noted: Message, plain: Message) -> Result<bool, Exit> {
        let Some(channel) = self.project.config.channels.get(&note.channel) else { return Ok(false) };
        match self.remotes.get(&channel.name) {
            Some(remote) => match first_error(&*remote.sink, noted).await {
                Some(error) => Err(failed(&error)),
                None => Ok(true),
            },
            None => {
                let id = self.store.channel_id(&channel.name)?;
                self.store.append(id, vec![plain]).await?;
                Ok(true)
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) {
        let answers = if receipts.is_empty() { Vec::new() } else { self.source.acknowledge(receipts).await };
        for error in answers.into_iter().filter_map(Result::err) {
            say!(
                "warning: a message was handled but could not be deleted from the queue, so the queue will deliver it again: {error}"
            );
        }
    }
}

async fn first_error(sink: &dyn Sink, message: Message) -> Option<ChannelError> {
    let sent = send(sink, &[message], &SystemClock::default()).await;
    sent.failed.or_else(|| sent.refused.into_iter().next().map(|(_, error)| error))
}

fn failed(error: &ChannelError) -> Exit {
    Exit::new(exit::FAILURE, anyhow!("{error}"))
}
