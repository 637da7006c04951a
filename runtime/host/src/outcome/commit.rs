//! Step: send commits to the store, many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc;

use reactor_core::clock::{Clock, within};
use reactor_core::event::DeliveryId;
use reactor_core::store::{Commit, Committed, StoreOwner};
use reactor_signal::Signals;

use crate::Input;
use crate::room::until_there_is_room;

/// Most commits in one call to the store.
const MAX_GROUP: usize = 1_024;
/// How many commits a group should have while there is plenty to do, and how long it waits for them at most.
const GATHER: usize = 64;
const GATHER_FOR: Duration = Duration::from_millis(1);

/// Sends commits to the store, in order, as many at a time as there are, and reports what became of them.
///
/// On a full disk it keeps trying, since attempts that have run must be able to end. Any other error ends the host.
pub(crate) struct Committer {
    pub(crate) store: Arc<dyn StoreOwner>,
    pub(crate) inputs: mpsc::UnboundedSender<Input>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many deliveries are in memory: under load a group waits a moment for more, since a group costs little more
    /// than a single commit.
    pub(crate) in_memory: Arc<AtomicUsize>,
}

impl Committer {
    /// Works until all senders are gone.
    pub(crate) async fn run(self, mut commits: mpsc::UnboundedReceiver<Commit>) {
        let Self { store, inputs, signals, clock, in_memory } = self;
        let mut group = Vec::with_capacity(MAX_GROUP);
        while commits.recv_many(&mut group, MAX_GROUP).await > 0 {
            if group.len() < GATHER && in_memory.load(Relaxed) > 2 * GATHER {
                let mut over = clock.sleep(GATHER_FOR);
                while group.len() < GATHER
                    && let Some(1..) = within(&mut over, commits.recv_many(&mut group, MAX_GROUP)).await
                {
                }
            }
            // Shared, since it is sent again for as long as the disk is full.
            let sent: Arc<[Commit]> = group.drain(..).collect();
            let answers = match until_there_is_room(&signals, &*clock, || store.commit(Arc::clone(&sent))).await {
                Ok(answers) => answers,
                Err(error) => {
                    let _ = inputs.send(Input::Fatal(error));
                    return;
                }
            };
            let ended =
                sent.iter().map(|commit| commit.delivery).zip(answers).collect::<Vec<(DeliveryId, Committed)>>();
            if inputs.send(Input::Committed(ended)).is_err() {
                return;
            }
        }
    }
}
