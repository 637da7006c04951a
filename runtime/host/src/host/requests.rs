//! What the command line asks of a running host: redrive a dead letter, or drop it.

use std::sync::Arc;
use std::time::Duration;

use reactor_core::channel::ChannelError;
use reactor_core::planted::{Bug, is_planted};
use reactor_core::store::{DeadLetter, Request, StoreError, StoredDead, Target, UNDELIVERABLE};

use super::requested::{Parked, Step};
use super::restore;
use crate::Input;
use crate::host::Host;
use crate::schedule::Arrival;

/// When a dead letter that could not be sent to its queue is tried again.
const RESEND_AFTER: Duration = Duration::from_secs(30);

impl Host {
    /// Looks for what has been asked for since the last time, and what was put off then. What cannot be done as long as
    /// this configuration holds is said once: its request stays in the store for the next host.
    pub(crate) fn look_for_requests(&mut self) {
        if let Some(last) = self.requests.look() {
            self.ports.read(move |store| store.requests(last), Input::Requests);
        }
    }

    /// Requests have been found.
    pub(crate) fn requests_found(&mut self, new: Vec<(u64, Request)>) {
        if self.life.is_draining() {
            // They stay in the store.
            return;
        }
        if self.requests.found(new) {
            self.look_for_requests();
        }
        self.next_request();
    }

    /// Begins to carry out the next request, if none is under way.
    fn next_request(&mut self) {
        if self.life.is_draining() {
            return;
        }
        let Some((number, request)) = self.requests.begin() else { return };
        match request {
            Request::Redrive(dead) => self.ports.read(
                move |store| store.dead_letter(dead),
                move |found| Input::Request(number, request, Step::Read(found.map(Box::new))),
            ),
            Request::Drop(dead) => {
                let store = Arc::clone(&self.ports.store);
                self.carry_out(number, request, async move { store.drop_dead(number, dead).await.map(Step::Dropped) });
            }
        }
    }

    /// Carries out what a request asks the store for. Where there is no room to begin with, it waits, and others go on.
    fn carry_out(
        &mut self,
        number: u64,
        request: Request,
        task: impl Future<Output = Result<Step, StoreError>> + Send + 'static,
    ) {
        self.requests.writes();
        self.ports.spawn(async move {
            match task.await {
                Err(StoreError::Full) => Ok(Input::Request(number, request, Step::NoRoom)),
                step => Ok(Input::Request(number, request, step?)),
            }
        });
    }

    /// Goes on with a request.
    pub(crate) fn request_went_on(&mut self, number: u64, request: Request, step: Step) {
        let (Request::Redrive(dead) | Request::Drop(dead)) = request;
        match step {
            Step::Read(found) => return self.redrive(number, dead, found),
            Step::Redriven(Some(found)) => {
                tracing::info!(dead, delivery = found.stored.id.0, "redriving");
                self.activate(*found, Arrival::Redriven);
            }
            Step::Redriven(None) => {
                tracing::warn!(dead, "not redriven: the dead letter does not exist or is being redriven already");
            }
            Step::Published(to, bytes, parked) => {
                self.wake_readers(&[(to, bytes)]);
                self.was_dropped(parked);
                tracing::info!(dead, "published again");
            }
            Step::Dropped(parked) => self.was_dropped(parked),
            Step::NoRoom => self.put_off(number, request),
        }
        self.request_ended();
    }

    fn request_ended(&mut self) {
        self.requests.ended();
        self.next_request();
    }

    /// A request is to be carried out at the next look.
    pub(crate) fn put_off(&mut self, number: u64, request: Request) {
        self.requests.put_off(number, request);
        self.look_again();
    }

    fn redrive(&mut self, request: u64, dead: u64, found: Option<Box<StoredDead>>) {
        if self.life.is_draining() {
            return self.requests.ended();
        }
        let letter = found.map(|found| found.letter);
        match letter {
            Some(letter) if letter.reactor.is_none() => return self.publish_again(request, dead, letter),
            Some(letter) if letter.reactor.is_some_and(|id| !self.topology.by_id.contains_key(&id)) => {
                tracing::warn!(
                    dead,
                    "not redriven: its reactor is not in the configuration; the request is kept until it is added again"
                );
                return self.request_ended();
            }
            _ if is_planted(Bug::RedriveIsDuplicate) => return self.request_ended(),
            _ => {}
        }
        let ports = self.ports.clone();
        self.carry_out(request, Request::Redrive(dead), async move {
            let Some(stored) = ports.store.redrive(request, dead).await? else { return Ok(Step::Redriven(None)) };
            let found = ports.made(|store| restore::find(store, stored)).await?;
            Ok(Step::Redriven(Some(Box::new(found))))
        });
    }

    /// What never became a delivery is decoded and routed again, or sent again.
    fn publish_again(&mut self, request: u64, dead: u64, letter: DeadLetter) {
        let (channel, message) = (letter.origin.channel, letter.message);
        let was_sent = letter.reason == UNDELIVERABLE;
        if !was_sent && self.topology.leased().contains(&channel) {
            // What runs there runs under a lease, so it has to be received.
            self.resend(request, dead, channel, message);
            return self.request_ended();
        }
        let ports = self.ports.clone();
        self.carry_out(request, Request::Redrive(dead), async move {
            let (to, bytes) = if was_sent {
                let bytes = message.body.len();
                ports.store.send(channel, vec![message]).await?;
                (Target::Outbox(channel), bytes)
            } else {
                ports.store.append(channel, vec![message]).await?;
                (Target::Log(channel), 0)
            };
            // From here on it must not begin from the start, which would publish it twice.
            let parked = ports.written(|store| store.drop_dead(request, dead)).await?;
            Ok(Step::Published(to, bytes, parked))
        });
    }

    /// A dead letter has been dropped.
    fn was_dropped(&mut self, parked: Parked) {
        if let Some((reactor, lane)) = parked
            && let Some(index) = self.topology.by_id.get(&reactor)
        {
            self.deliveries.release_lane(*index, lane);
        }
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
}
