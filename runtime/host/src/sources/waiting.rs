//! Acknowledgements and lease changes that wait to be sent to a remote channel, new ones and those to be retried. Of several
//! changes of one lease only the newest is sent: an earlier one that was sent after it would undo it.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};

use reactor_core::channel::{Lease, Receipt};
use reactor_core::clock::Moment;

/// Something to be done with a received message.
#[derive(Clone, Debug)]
pub(crate) struct Ack<T> {
    /// Which message.
    pub receipt: Receipt,
    /// What happens to its lease; ignored when it is acknowledged.
    pub lease: Lease,
    /// Retries end at this time.
    pub until: Moment,
    /// The caller's label for it.
    pub tag: T,
}

/// One of them.
pub(crate) struct Entry<T> {
    pub(crate) ack: Ack<T>,
    pub(crate) tries: u32,
    /// Not before then.
    pub(crate) at: Moment,
}

/// See the module.
pub(crate) struct Waiting<T> {
    queue: VecDeque<Entry<T>>,
    later: Vec<Entry<T>>,
    /// The receipts that something waits for or is under way for, each with the newer change that goes after it. `None`
    /// where each message is named once.
    named: Option<HashMap<Receipt, Option<Entry<T>>>>,
}

impl<T> Waiting<T> {
    /// Nothing. `repeated`: whether one message may be named several times.
    pub(crate) fn new(repeated: bool) -> Self {
        Self { queue: VecDeque::new(), later: Vec::new(), named: repeated.then(HashMap::new) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.later.is_empty()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Since when the first of the queue could be said.
    pub(crate) fn first(&self) -> Option<Moment> {
        self.queue.front().map(|first| first.at)
    }

    /// When something is to be said again.
    pub(crate) fn again_at(&self) -> Option<Moment> {
        self.later.iter().map(|entry| entry.at).min()
    }

    /// Takes in what is new. Answers with an earlier change that will not be said.
    pub(crate) fn put(&mut self, ack: Ack<T>, at: Moment) -> Option<Entry<T>> {
        let entry = Entry { ack, tries: 0, at };
        match self.named.as_mut().map(|named| named.entry(entry.ack.receipt.clone())) {
            Some(Slot::Occupied(mut named)) => {
                // It does not wait for the other one's next try.
                let same = self.later.iter_mut().find(|other| other.ack.receipt == entry.ack.receipt);
                same.into_iter().for_each(|other| other.at = at);
                return named.get_mut().replace(entry);
            }
            Some(Slot::Vacant(named)) => _ = named.insert(None),
            None => {}
        }
        self.queue.push_back(entry);
        None
    }

    /// Queues what is to be said again by now.
    pub(crate) fn wake(&mut self, now: Moment) {
        self.queue.extend(self.later.extract_if(.., |entry| entry.at <= now));
    }

    /// Takes the first of the queue if its time is over.
    pub(crate) fn late(&mut self, now: Moment) -> Option<Entry<T>> {
        let late = self.queue.pop_front_if(|first| first.ack.until <= now)?;
        self.over(&late.ack.receipt);
        Some(late)
    }

    /// Takes so many to be said now, and those that newer ones have taken the place of.
    pub(crate) fn take(&mut self, size: usize) -> (Vec<Entry<T>>, Vec<Entry<T>>) {
        let mut taken: Vec<_> = self.queue.drain(..self.queue.len().min(size)).collect();
        let mut replaced = Vec::new();
        if let Some(named) = &mut self.named {
            for entry in &mut taken {
                if let Some(newer) = named.get_mut(&entry.ack.receipt).and_then(Option::take) {
                    replaced.push(std::mem::replace(entry, newer));
                }
            }
        }
        (taken, replaced)
    }

    /// Whether a newer change goes after what has been said of this message.
    pub(crate) fn has_newer(&self, receipt: &Receipt) -> bool {
        self.named.as_ref().and_then(|named| named.get(receipt)).is_some_and(Option::is_some)
    }

    /// Keeps one to be said again.
    pub(crate) fn put_back(&mut self, entry: Entry<T>) {
        self.later.push(entry);
    }

    /// What was said of this message has been answered for good: a newer change goes on.
    pub(crate) fn over(&mut self, receipt: &Receipt) {
        let newer = self.named.as_mut().and_then(|named| {
            let newer = named.get_mut(receipt)?.take();
            if newer.is_none() {
                named.remove(receipt);
            }
            newer
        });
        self.queue.extend(newer);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn ack(receipt: &str, tag: u32) -> Ack<u32> {
        Ack { receipt: Receipt(receipt.into()), lease: Lease::Extend(Duration::ZERO), until: at(60), tag }
    }

    fn tags(entries: impl IntoIterator<Item = Entry<u32>>) -> Vec<u32> {
        entries.into_iter().map(|entry| entry.ack.tag).collect()
    }

    fn take(waiting: &mut Waiting<u32>) -> (Vec<Entry<u32>>, Vec<u32>) {
        let (taken, replaced) = waiting.take(9);
        (taken, tags(replaced))
    }

    #[test]
    fn the_newest_change_takes_the_place_of_one_that_waits() {
        let mut waiting = Waiting::new(true);
        for (receipt, tag) in [("a", 1), ("b", 2), ("a", 3)] {
            assert!(waiting.put(ack(receipt, tag), at(0)).is_none());
        }
        assert_eq!(tags(waiting.put(ack("a", 4), at(0))), [3]);
        let (taken, replaced) = take(&mut waiting);
        assert_eq!((tags(taken), replaced), (vec![4, 2], vec![1]));
    }

    #[test]
    fn it_waits_for_the_answer_to_one_that_is_under_way() {
        let mut waiting = Waiting::new(true);
        waiting.put(ack("a", 1), at(0));
        let (first, _) = take(&mut waiting);
        assert!(waiting.put(ack("a", 2), at(1)).is_none());
        assert!(take(&mut waiting).0.is_empty() && waiting.has_newer(&first[0].ack.receipt));
        waiting.over(&first[0].ack.receipt);
        assert_eq!(tags(take(&mut waiting).0), [2]);
        waiting.over(&first[0].ack.receipt);
        assert!(waiting.is_empty() && waiting.named.is_some_and(|named| named.is_empty()), "nothing is kept");
    }

    #[test]
    fn it_does_not_wait_for_another_try_of_one_that_failed() {
        let mut waiting = Waiting::new(true);
        waiting.put(ack("a", 1), at(0));
        let (failed, _) = take(&mut waiting);
        failed.into_iter().for_each(|entry| waiting.put_back(Entry { at: at(50), ..entry }));
        waiting.wake(at(1));
        assert!(take(&mut waiting).0.is_empty());
        waiting.put(ack("a", 2), at(1));
        waiting.wake(at(1));
        let (taken, replaced) = take(&mut waiting);
        assert_eq!((tags(taken), replaced), (vec![2], vec![1]));
    }
}
