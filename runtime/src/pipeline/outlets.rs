//! The remote channels that are sent to, and what is on its way to them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::event::ChannelId;

use super::outbox::{MOST_BYTES, MOST_MESSAGES};

/// See the module.
#[derive(Default)]
pub(super) struct Outlets {
    /// Each has a task that sends, which is woken.
    wakes: HashMap<ChannelId, Arc<Notify>>,
    tasks: JoinSet<()>,
    /// Messages in the outbox, and bytes of them. May be below zero for a moment: a message can leave before its commit has
    /// been answered here.
    messages: i64,
    bytes: i64,
}

impl Outlets {
    /// A channel is sent to by a task, which is woken by `wake`; so many messages and bytes are waiting for it.
    pub(super) fn open(
        &mut self,
        channel: ChannelId,
        wake: Arc<Notify>,
        (messages, bytes): (u64, u64),
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.wakes.insert(channel, wake);
        self.messages += messages.cast_signed();
        self.bytes += bytes.cast_signed();
        self.tasks.spawn(task);
    }

    /// A message of this size has been put into the outbox.
    pub(super) fn put(&mut self, channel: ChannelId, bytes: usize) {
        self.messages += 1;
        self.bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
        if let Some(wake) = self.wakes.get(&channel) {
            wake.notify_one();
        }
    }

    /// So many messages and bytes have left it.
    pub(super) fn left(&mut self, messages: u64, bytes: u64) {
        self.messages -= messages.cast_signed();
        self.bytes -= bytes.cast_signed();
    }

    /// What cannot be sent piles up: nothing more is taken in until it has become less.
    pub(super) fn are_full(&self) -> bool {
        self.messages >= MOST_MESSAGES || self.bytes >= MOST_BYTES
    }

    /// Whether everything has been sent.
    pub(super) fn are_empty(&self) -> bool {
        self.messages == 0
    }

    /// Ends the tasks; what has not been sent stays in the store.
    pub(super) async fn close(&mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_piles_up_is_counted_and_a_message_may_leave_before_it_is_known() {
        let (mut outlets, channel) = (Outlets::default(), ChannelId(1));
        outlets.open(channel, Arc::default(), (2, 10), async {});
        outlets.left(3, 15);
        assert!(!outlets.are_empty(), "one has left that was not known yet");
        outlets.put(channel, 5);
        assert!(outlets.are_empty() && !outlets.are_full());
        outlets.put(channel, usize::try_from(MOST_BYTES).expect("it fits"));
        assert!(outlets.are_full(), "by bytes");
        outlets.left(1, MOST_BYTES.cast_unsigned());
        (0..MOST_MESSAGES).for_each(|_| outlets.put(channel, 0));
        assert!(outlets.are_full(), "by number");
        outlets.close().await;
    }
}
