//! The remote channels that are received from.

use tokio::task::JoinSet;

use super::poller::Poller;

/// See the module.
#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) pollers: Vec<Poller>,
    /// Tasks that delete messages and renew leases; they end when their poller is gone and all is done.
    pub(crate) acknowledgers: JoinSet<()>,
}

impl Queues {
    /// Whether a receive call is under way.
    pub(crate) fn are_receiving(&self) -> bool {
        self.pollers.iter().any(|poller| poller.running > 0)
    }

    /// Whether the receive calls under way wait for no longer than the shortest poll.
    pub(crate) fn polls_are_short(&self) -> bool {
        self.pollers.iter().all(|poller| poller.empty == 0)
    }

    /// Whether messages are being copied to a log.
    pub(crate) fn are_storing(&self) -> bool {
        self.pollers.iter().any(|poller| poller.storing > 0)
    }
}
