//! What the command line has asked for, and how far that is.

use std::collections::{HashSet, VecDeque};

use reactor_core::event::{LaneKey, ReactorId};
use reactor_core::store::{Request, StoredDead, Target};

use super::restore::Found;

/// A lane that a dead letter had parked.
pub(crate) type Parked = Option<(ReactorId, LaneKey)>;

/// What has come of a request that is being carried out.
pub(crate) enum Step {
    /// The dead letter that is to be redriven has been read.
    Read(Option<Box<StoredDead>>),
    /// It has become a delivery again, if it was still there.
    Redriven(Option<Box<Found>>),
    /// Its message has been put here, with so many bytes to send, and it has been dropped.
    Published(Target, usize, Parked),
    /// It has been dropped.
    Dropped(Parked),
    /// There was no room to begin with it.
    NoRoom,
}

/// How far the request is that is being carried out.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Current {
    #[default]
    None,
    /// Its dead letter is being read; nothing has been written.
    Reading,
    Writing,
}

/// Which requests have been looked at, and which are under way. They are carried out one after the other.
#[derive(Default)]
pub(crate) struct Requests {
    /// The last one that was looked at.
    last: u64,
    /// New ones are being looked for; and more may have come meanwhile.
    looking: bool,
    look_again: bool,
    /// Those that are carried out next.
    next: VecDeque<(u64, Request)>,
    current: Current,
    /// Those that are to be looked at again.
    put_off: Vec<(u64, Request)>,
    /// Those to redrive whose messages are being sent to their queues again.
    resending: HashSet<u64>,
}

impl Requests {
    /// New ones are to be looked for, after this one; nothing if that is under way: then it is done again.
    pub(crate) fn look(&mut self) -> Option<u64> {
        self.look_again = self.looking;
        let is_first = !std::mem::replace(&mut self.looking, true);
        is_first.then_some(self.last)
    }

    /// They have been looked for. What was put off is carried out first. Whether to look again.
    pub(crate) fn found(&mut self, new: Vec<(u64, Request)>) -> bool {
        self.last = new.last().map_or(self.last, |(number, _)| *number);
        self.next.extend(std::mem::take(&mut self.put_off).into_iter().chain(new));
        self.looking = false;
        std::mem::take(&mut self.look_again)
    }

    /// Begins with the next one, unless one is under way.
    pub(crate) fn begin(&mut self) -> Option<(u64, Request)> {
        let next = if self.current == Current::None { self.next.pop_front()? } else { return None };
        self.current = Current::Reading;
        Some(next)
    }

    /// From now on the one that is under way has to end before the host does.
    pub(crate) fn writes(&mut self) {
        self.current = Current::Writing;
    }

    /// The one that was under way has ended, or has been put off.
    pub(crate) fn ended(&mut self) {
        self.current = Current::None;
    }

    /// Notes that the message of a request is being sent again; false: it is already.
    pub(crate) fn is_first_to_resend(&mut self, request: u64) -> bool {
        self.resending.insert(request)
    }

    /// A request is to be carried out at the next look.
    pub(crate) fn put_off(&mut self, number: u64, request: Request) {
        self.put_off.push((number, request));
    }

    /// The message of a request has been sent again, or could not be.
    pub(crate) fn resent(&mut self, request: u64) {
        self.resending.remove(&request);
    }

    /// Whether a request is being carried out that has written something, or is about to.
    pub(crate) fn is_writing(&self) -> bool {
        self.current == Current::Writing
    }

    /// Whether a message is being sent again.
    pub(crate) fn is_resending(&self) -> bool {
        !self.resending.is_empty()
    }

    /// Whether none is under way or known that can be carried out now.
    pub(crate) fn is_idle(&self) -> bool {
        !self.looking && self.next.is_empty() && self.current == Current::None && !self.is_resending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_off_comes_before_what_is_new_and_each_is_looked_at_once() {
        let mut requests = Requests::default();
        assert_eq!(requests.look(), Some(0));
        assert!(!requests.found(vec![(1, Request::Redrive(7)), (2, Request::Drop(8))]));
        assert_eq!(requests.begin(), Some((1, Request::Redrive(7))));
        assert_eq!(requests.begin(), None, "one is under way");
        requests.put_off(1, Request::Redrive(7));
        requests.ended();
        assert_eq!(requests.begin(), Some((2, Request::Drop(8))));
        requests.ended();
        assert_eq!(requests.begin(), None, "what was put off waits for the next look");
        assert!(requests.is_idle());
        assert_eq!(requests.look(), Some(2));
        assert!(!requests.is_idle());
        assert!(!requests.found(vec![(3, Request::Drop(9))]));
        for number in [1, 3] {
            assert_eq!(requests.begin().map(|(number, _)| number), Some(number));
            requests.ended();
        }
        assert_eq!(requests.look(), Some(3));
    }

    #[test]
    fn a_look_that_was_asked_for_while_one_was_under_way_is_made_after_it() {
        let mut requests = Requests::default();
        assert_eq!((requests.look(), requests.look()), (Some(0), None));
        assert!(requests.found(Vec::new()));
        assert_eq!(requests.look(), Some(0));
        assert!(!requests.found(Vec::new()) && requests.is_idle());
    }

    #[test]
    fn a_message_is_sent_again_once_at_a_time() {
        let mut requests = Requests::default();
        assert!(requests.is_first_to_resend(1) && !requests.is_first_to_resend(1) && !requests.is_idle());
        requests.resent(1);
        assert!(requests.is_idle() && requests.is_first_to_resend(1));
    }
}
