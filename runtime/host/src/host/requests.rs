//! What the command line asks of a running host: redrive a dead letter, or drop it.

use std::sync::Arc;
use std::time::Duration;

use reactor_core::channel::ChannelError;
use reactor_core::store::{Request, StoreError, StoredDead, Target, UNDELIVERABLE};

use crate::Input;
use crate::host::Host;
use crate::schedule::Arrival;

/// When a dead letter that could not be sent to its queue is tried again.
const RESEND_AFTER: Duration = Duration::from_secs(30);

impl Host {
    /// Carries out what has been asked for since the last time, and what was put off then. What cannot be done as long as
    /// this configuration holds is said once: its request stays in the store for the next host.
    pub(crate) async fn carry_out_requests(&mut self) -> Result<(), StoreError> {
        let new = self.ports.store.requests(self.requests.last())?;
        for (number, request) in self.requests.take(new) {
            let done = match request {
                Request::Redrive(dead) => self.redrive(number, dead).await,
                Request::Drop(dead) => self.drop_dead(number, dead).await,
            };
            match done {
                // What is new has to wait for room; the others may go on.
                Err(StoreError::Full) => self.put_off(number, request),
                done => done?,
            }
        }
        Ok(())
    }

    /// A request is to be carried out at the next look.
    pub(crate) fn put_off(&mut self, number: u64, request: Request) {
        self.requests.put_off(number, request);
        self.look_again();
    }

    async fn redrive(&mut self, request: u64, dead: u64) -> Result<(), StoreError> {
        match self.ports.store.dead_letter(dead)? {
            Some(StoredDead { letter, .. }) if letter.reactor.is_none() => {
                let channel = letter.origin.channel;
                if letter.reason != UNDELIVERABLE && self.topology.leased().contains(&channel) {
                    // What runs there runs under a lease, so it has to be received.
                    self.resend(request, dead, channel, letter.message);
                    return Ok(());
                }
                if letter.reason == UNDELIVERABLE {
                    self.ports.store.send(channel, vec![letter.message.clone()]).await?;
                    self.wake_readers(&[(Target::Outbox(channel), letter.message.body.len())]);
                } else {
                    // It never became a delivery, so it is decoded and routed again.
                    self.ports.store.append(channel, vec![letter.message]).await?;
                    self.wake_readers(&[(Target::Log(channel), 0)]);
                }
                self.drop_dead(request, dead).await?;
                tracing::info!(dead, "published again");
                return Ok(());
            }
            Some(StoredDead { letter, .. })
                if letter.reactor.is_some_and(|id| !self.topology.by_id.contains_key(&id)) =>
            {
                tracing::warn!(
                    dead,
                    "not redriven: its reactor is not in the configuration; the request is kept until it is added again"
                );
                return Ok(());
            }
            _ => {}
        }
        match self.ports.store.redrive(request, dead).await? {
            Some(stored) => {
                tracing::info!(dead, delivery = stored.id.0, "redriving");
                self.activate(stored, Arrival::Redriven)?;
            }
            None => tracing::warn!(dead, "not redriven: the dead letter does not exist or is being redriven already"),
        }
        Ok(())
    }

    /// A dead letter is in its queue again, or not: then it is tried again.
    pub(crate) fn resent(&mut self, request: u64, dead: u64, answer: Result<(), ChannelError>) {
        self.requests.resent(request);
        match answer {
            Ok(()) => tracing::info!(dead, "sent back to its queue"),
            Err(error) => {
                let code = error.trouble.code();
                tracing::warn!(dead, code, "not redriven yet; trying again in {} s: {error}", RESEND_AFTER.as_secs());
                let (inputs, clock) = (self.ports.to_self.clone(), Arc::clone(&self.ports.clock));
                tokio::spawn(async move {
                    clock.sleep(RESEND_AFTER).await;
                    let _ = inputs.send(Input::AskedAgain(request, Request::Redrive(dead)));
                });
            }
        }
    }

    async fn drop_dead(&mut self, request: u64, dead: u64) -> Result<(), StoreError> {
        if let Some((reactor, lane)) = self.ports.store.drop_dead(request, dead).await?
            && let Some(index) = self.topology.by_id.get(&reactor)
        {
            self.deliveries.release_lane(*index, lane);
        }
        Ok(())
    }
}
