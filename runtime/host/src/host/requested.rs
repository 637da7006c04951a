//! What the command line has asked for, and how far that is.

use std::collections::HashSet;

use reactor_core::store::Request;

/// Which requests have been looked at, and which are under way.
#[derive(Default)]
pub(crate) struct Requests {
    /// The last one that was looked at.
    last: u64,
    /// Those before it that are to be looked at again.
    put_off: Vec<(u64, Request)>,
    /// Those to redrive whose messages are being sent to their queues again.
    resending: HashSet<u64>,
}

impl Requests {
    /// Takes what is to be carried out now: what was put off, and what is new.
    pub(crate) fn take(&mut self, new: Vec<(u64, Request)>) -> impl Iterator<Item = (u64, Request)> + use<> {
        self.last = new.last().map_or(self.last, |(number, _)| *number);
        std::mem::take(&mut self.put_off).into_iter().chain(new)
    }

    /// Notes that the message of a request is being sent again; false: it is already.
    pub(crate) fn is_first_to_resend(&mut self, request: u64) -> bool {
        self.resending.insert(request)
    }

    /// The last request that was looked at.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// A request is to be carried out at the next look.
    pub(crate) fn put_off(&mut self, number: u64, request: Request) {
        self.put_off.push((number, request));
    }

    /// The message of a request has been sent again, or could not be.
    pub(crate) fn resent(&mut self, request: u64) {
        self.resending.remove(&request);
    }

    /// Whether no message is being sent again.
    pub(crate) fn is_idle(&self) -> bool {
        self.resending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_off_comes_before_what_is_new_and_each_is_looked_at_once() {
        let mut requests = Requests::default();
        let taken: Vec<_> = requests.take(vec![(1, Request::Redrive(7)), (2, Request::Drop(8))]).collect();
        assert_eq!((taken.len(), requests.last()), (2, 2));
        requests.put_off(1, Request::Redrive(7));
        let taken: Vec<_> = requests.take(vec![(3, Request::Drop(9))]).map(|(number, _)| number).collect();
        assert_eq!((taken, requests.last()), (vec![1, 3], 3));
        assert_eq!(requests.take(Vec::new()).count(), 0);
        assert_eq!(requests.last(), 3);
    }

    #[test]
    fn a_message_is_sent_again_once_at_a_time() {
        let mut requests = Requests::default();
        assert!(requests.is_first_to_resend(1) && !requests.is_first_to_resend(1) && !requests.is_idle());
        requests.resent(1);
        assert!(requests.is_idle() && requests.is_first_to_resend(1));
    }
}
