//! The remote channels that are sent to, and what is on its way to them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use reactor_core::event::ChannelId;

use crate::outbox::{MOST_BYTES, MOST_MESSAGES};

/// See the module.
#[derive(Default)]
pub(crate) struct Senders {
    /// Each has a task that sends, which is woken.
    wakes: HashMap<ChannelId, Arc<Notify>>,
    tasks: JoinSet<()>,
    /// Messages in the outbox, and bytes of them. May be below zero for a moment: a message can leave before its commit has
    /// been answered here.
    messages: i64,
    bytes: i64,
}

impl Senders {
    /// A channel is sent to by a task, which is woken by `wake`; so many messages and bytes are waiting for it.
    pub(crate) fn open(
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
    pub(crate) fn put(&mut self, channel: ChannelId, bytes: usize) {
        self.messages += 1;
        self.bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
        if let Some(wake) = self.wakes.get(&channel) {
            wake.notify_one();
        }
    }

    /// So many messages and bytes have left it.
    pub(crate) fn left(&mut self, messages: u64, bytes: u64) {
        self.messages -= messages.cast_signed();
        self.bytes -= bytes.cast_signed();
    }

    /// What cannot be sent piles up: nothing more is taken in until it has become less.
    pub(crate) fn are_full(&self) -> bool {
        self.messages >= MOST_MESSAGES || self.bytes >= MOST_BYTES
    }

    /// Whether everything has been sent.
    pub(crate) fn are_empty(&self) -> bool {
        self.messages == 0
    }

    /// Ends the tasks; what has not been sent stays in the store.
    pub(crate) async fn close(&mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_piles_up_is_counted_and_a_message_may_leave_before_it_is_known() {
        let (mut senders, channel) = (Senders::default(), ChannelId(1));
        senders.open(channel, Arc::default(), (2, 10), async {});
        senders.left(3, 15);
        assert!(!senders.are_empty(), "one has left that was not known yet");
        senders.put(channel, 5);
        assert!(senders.are_empty() && !senders.are_full());
        senders.put(channel, usize::try_from(MOST_BYTES).expect("it fits"));
        assert!(senders.are_full(), "by bytes");
        senders.left(1, MOST_BYTES.cast_unsigned());
        (0..MOST_MESSAGES).for_each(|_| senders.put(channel, 0));
        assert!(senders.are_full(), "by number");
        senders.close().await;
    }
}
