//! Step: send commits to the store, many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::event::DeliveryId;
use crate::store::{Commit, Committed, Store};

use super::Input;
use super::room::until_there_is_room;
use super::signal::Signals;

/// Most commits in one call to the store.
const MAX_GROUP: usize = 1_024;
/// How many commits a group should have while there is plenty to do, and how long it waits for them at most.
const GATHER: usize = 64;
const GATHER_FOR: Duration = Duration::from_millis(1);

/// Sends commits to the store, in order, as many at a time as there are, and reports what became of them. `in_memory` is
/// how many deliveries are in memory: while there is plenty to do, a group waits a moment for more, since what a group
/// costs is little more than what a commit costs.
///
/// On a full disk it keeps trying: what has run must be able to end. Any other error ends the host.
pub(super) async fn committer(
    store: Arc<dyn Store>,
    mut commits: mpsc::UnboundedReceiver<Commit>,
    inputs: mpsc::UnboundedSender<Input>,
    signals: Arc<Signals>,
    in_memory: Arc<AtomicUsize>,
) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while commits.recv_many(&mut group, MAX_GROUP).await > 0 {
        if group.len() < GATHER && in_memory.load(Relaxed) > 2 * GATHER {
            let until = Instant::now() + GATHER_FOR;
            while group.len() < GATHER
                && let Ok(1..) = timeout_at(until, commits.recv_many(&mut group, MAX_GROUP)).await
            {}
        }
        let sent = std::mem::take(&mut group);
        let answers = match until_there_is_room(&signals, || store.commit(sent.clone())).await {
            Ok(answers) => answers,
            Err(error) => {
                let _ = inputs.send(Input::Fatal(error));
                return;
            }
        };
        let ended = sent.iter().map(|commit| commit.delivery).zip(answers).collect::<Vec<(DeliveryId, Committed)>>();
        if inputs.send(Input::Committed(ended)).is_err() {
            return;
        }
    }
}
