//! The remote channels that are received from.

use tokio::task::JoinSet;

use super::poller::Poller;

/// See the module.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) pollers: Vec<Poller>,
    /// Tasks that delete messages and renew leases; they end when their poller is gone and all is done.
    pub(super) acknowledgers: JoinSet<()>,
}

impl Queues {
    /// Whether a receive call is under way.
    pub(super) fn are_receiving(&self) -> bool {
        self.pollers.iter().any(|poller| poller.running > 0)
    }

    /// Whether the receive calls under way wait for no longer than the shortest poll.
    pub(super) fn polls_are_short(&self) -> bool {
        self.pollers.iter().all(|poller| poller.empty == 0)
    }

    /// Whether messages are being copied to a log.
    pub(super) fn are_storing(&self) -> bool {
        self.pollers.iter().any(|poller| poller.storing > 0)
    }
}
