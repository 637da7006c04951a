//! Which received messages this host holds a lease on, what of each has not ended, and when a lease has to be renewed.
//! Pure: no clock, no I/O.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use reactor_core::channel::Receipt;
use reactor_core::clock::Moment;
use reactor_core::event::{DeliveryId, HostTime, LaneKey, Offset};

/// A lease is taken for over so much earlier than the queue says, which counts from when it answered.
const MARGIN: Duration = Duration::from_secs(1);

/// The leases of all channels.
#[derive(Default)]
pub(crate) struct Leases {
    last: u64,
    leases: HashMap<LeaseId, Lease>,
    /// The leases that a delivery's end is awaited for.
    awaited: HashMap<DeliveryId, Vec<LeaseId>>,
    groups: HashMap<LaneKey, HashSet<LeaseId>>,
    /// When to look at which lease again.
    timers: BinaryHeap<Reverse<(Moment, LeaseId)>>,
    /// Per poller: how many there are, and how many of them something runs under, or will as soon as it can.
    counts: HashMap<usize, (usize, usize)>,
}

/// A lease, by its number; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LeaseId(u64);

struct Lease {
    poller: usize,
    receipt: Receipt,
    length: Duration,
    expires: Moment,
    /// When to look at it next; other timers of it are out of date.
    wake: Moment,
    renewing: bool,
    group: Option<LaneKey>,
    sent: Option<Timestamp>,
    /// Its deliveries are known.
    admitted: bool,
    /// Those that have not ended.
    open: HashMap<DeliveryId, State>,
    /// Counted as one that something runs under.
    busy: bool,
    /// The record that was made of it, and of which all deliveries are in `open`.
    record: Option<Offset>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs, or will as soon as it can.
    Busy,
    /// It waits behind others of its lane, or at its head.
    Resting,
    /// It waits for its next attempt, and nothing waits for it.
    Waiting(HostTime),
}

impl Lease {
    fn is_busy(&self) -> bool {
        !self.admitted || self.open.values().any(|state| *state == State::Busy)
    }
}

/// A message that has just been received.
pub(crate) struct NewLease {
    /// Through which poller.
    pub(crate) poller: usize,
    pub(crate) receipt: Receipt,
    pub(crate) length: Duration,
    /// Its FIFO group.
    pub(crate) group: Option<LaneKey>,
    pub(crate) sent: Option<Timestamp>,
}

/// What to do with a message that is in hand no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) poller: usize,
    pub(crate) receipt: Receipt,
    pub(crate) fate: Fate,
}

/// What becomes of a message that is in hand no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it has ended: it is deleted, and its record, if it has one, is not needed any more.
    Delete(Option<Offset>),
    /// It is to be received again after this time.
    Back(Duration),
}

impl Closed {
    fn back_after(self, rest: Duration) -> Self {
        Self { fate: Fate::Back(rest), ..self }
    }
}

/// What has to be done about leases now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Upkeep {
    /// To be renewed.
    pub(crate) renew: Vec<(LeaseId, usize, Receipt, Duration)>,
    /// Over.
    pub(crate) expired: Vec<LeaseId>,
}

impl Leases {
    /// A message has been received.
    pub(crate) fn arrived(&mut self, new: NewLease, now: Moment) -> LeaseId {
        self.last += 1;
        let id = LeaseId(self.last);
        let NewLease { poller, receipt, length, group, sent } = new;
        if let Some(group) = group {
            self.groups.entry(group).or_default().insert(id);
        }
        let counts = self.counts.entry(poller).or_default();
        *counts = (counts.0 + 1, counts.1 + 1);
        let (renewing, admitted, open, record, busy) = (false, false, HashMap::new(), None, true);
        let expires = (now + length).before(MARGIN);
        let wake = now + length / 3;
        let lease =
            Lease { poller, receipt, length, expires, wake, renewing, group, sent, admitted, open, record, busy };
        self.leases.insert(id, lease);
        self.timers.push(Reverse((wake, id)));
        id
    }

    /// The deliveries of a message are known. Answers with the lease if none of them has still to end.
    pub(crate) fn admitted(&mut self, id: LeaseId, open: &[DeliveryId], record: Option<Offset>) -> Option<Closed> {
        let lease = self.leases.get_mut(&id)?;
        lease.admitted = true;
        lease.record = record;
        for delivery in open {
            if lease.open.insert(*delivery, State::Busy).is_none() {
                self.awaited.entry(*delivery).or_default().push(id);
            }
        }
        if lease.open.is_empty() {
            return self.close(id);
        }
        self.recount(id);
        None
    }

    /// A delivery has ended. Answers with what was held for it alone.
    pub(crate) fn ended(&mut self, delivery: DeliveryId, now: HostTime) -> Vec<Closed> {
        let awaiting = self.awaited.remove(&delivery).unwrap_or_default();
        for id in &awaiting {
            self.leases.get_mut(id).into_iter().for_each(|lease| _ = lease.open.remove(&delivery));
            self.recount(*id);
        }
        awaiting.into_iter().filter_map(|id| self.close_if_idle(id, now)).collect()
    }

    /// A delivery waits for its next attempt. Answers with what is held for nothing that runs before it.
    pub(crate) fn waits(&mut self, delivery: DeliveryId, due: HostTime, now: HostTime) -> Vec<Closed> {
        let awaiting = self.set(delivery, State::Waiting(due));
        awaiting.into_iter().filter_map(|id| self.close_if_idle(id, now)).collect()
    }

    /// Closes a lease under which nothing runs: for good if all has ended, or because all of it waits for longer than
    /// the lease lasts.
    fn close_if_idle(&mut self, id: LeaseId, now: HostTime) -> Option<Closed> {
        let lease = self.leases.get(&id).filter(|lease| lease.admitted)?;
        if lease.open.is_empty() {
            return self.close(id);
        }
        let due = |state: &State| if let State::Waiting(due) = state { Some(*due) } else { None };
        // The first of all of them, if all of them wait.
        let first = lease.open.values().map(due).min().flatten()?;
        let rest = first.since(now);
        if rest > lease.length { self.close(id).map(|closed| closed.back_after(rest)) } else { None }
    }

    /// A delivery does not wait any more.
    pub(crate) fn runs(&mut self, delivery: DeliveryId) {
        self.set(delivery, State::Busy);
    }

    /// A delivery waits, and others of its lane behind it, or it behind others: it keeps its lease.
    pub(crate) fn rests(&mut self, delivery: DeliveryId) {
        self.set(delivery, State::Resting);
    }

    fn set(&mut self, delivery: DeliveryId, state: State) -> Vec<LeaseId> {
        let awaiting = self.awaited.get(&delivery).cloned().unwrap_or_default();
        for id in &awaiting {
            self.leases.get_mut(id).into_iter().for_each(|lease| _ = lease.open.insert(delivery, state));
            self.recount(*id);
        }
        awaiting
    }

    fn recount(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let (was, is) = (lease.busy, lease.is_busy());
        lease.busy = is;
        if let Some((_, busy)) = self.counts.get_mut(&lease.poller) {
            *busy = *busy + usize::from(is) - usize::from(was);
        }
    }

    /// Through which poller the message of a lease came, if it is in hand.
    pub(crate) fn poller(&self, id: LeaseId) -> Option<usize> {
        self.leases.get(&id).map(|lease| lease.poller)
    }

    /// Whether this host holds a lease on a message of the delivery.
    pub(crate) fn is_held(&self, delivery: DeliveryId, now: Moment) -> bool {
        let held = |id: &LeaseId| self.leases.get(id).is_some_and(|lease| lease.expires > now);
        self.awaited.get(&delivery).is_some_and(|ids| ids.iter().any(held))
    }

    /// What is due.
    pub(crate) fn tick(&mut self, now: Moment) -> Upkeep {
        let mut upkeep = Upkeep::default();
        while let Some(Reverse((at, id))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.timers.pop();
            let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.wake == at) else { continue };
            if lease.expires <= now {
                upkeep.expired.push(id);
                continue;
            }
            if !lease.renewing {
                lease.renewing = true;
                upkeep.renew.push((id, lease.poller, lease.receipt.clone(), lease.length));
            }
            lease.wake = lease.expires;
            self.timers.push(Reverse((lease.wake, id)));
        }
        if self.timers.len() > 4 * self.leases.len() + 1_024 {
            // Most of them are of messages that were done with long before.
            let leases = &self.leases;
            self.timers.retain(|Reverse((at, id))| leases.get(id).is_some_and(|lease| lease.wake == *at));
        }
        upkeep
    }

    /// When [`Leases::tick`] has something to do next.
    pub(crate) fn next_wake(&self) -> Option<Moment> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// A lease has been renewed by a call that was made at `sent`.
    pub(crate) fn renewed(&mut self, id: LeaseId, sent: Moment) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.renewing = false;
            lease.expires = (sent + lease.length).before(MARGIN);
            lease.wake = sent + lease.length / 3;
            self.timers.push(Reverse((lease.wake, id)));
        }
    }

    /// A lease is lost, and with it those of the same FIFO group, which must not go on without it. Answers with the
    /// deliveries that have no lease any more, and with the other leases of the group.
    pub(crate) fn lost(&mut self, id: LeaseId) -> (Vec<DeliveryId>, Vec<Closed>) {
        let group = self.leases.get(&id).and_then(|lease| lease.group);
        let mut ids: Vec<LeaseId> = group.and_then(|g| self.groups.get(&g)).into_iter().flatten().copied().collect();
        ids.retain(|other| *other != id);
        let mut bare = Vec::new();
        let mut others = Vec::new();
        for lost in [id].into_iter().chain(ids) {
            bare.extend(self.leases.get(&lost).into_iter().flat_map(|lease| lease.open.keys().copied()));
            let closed = self.close(lost);
            others.extend(closed.filter(|_| lost != id).map(|closed| closed.back_after(Duration::ZERO)));
        }
        bare.retain(|delivery| !self.awaited.contains_key(delivery));
        bare.sort_unstable();
        (bare, others)
    }

    /// Gives a lease up, and those of the same FIFO group; their messages are to be received again after this time.
    /// Answers with the deliveries that have no lease any more, too.
    pub(crate) fn release(&mut self, id: LeaseId, after: Duration) -> (Vec<DeliveryId>, Vec<Closed>) {
        let own = self.leases.get(&id).map(|lease| Closed {
            poller: lease.poller,
            receipt: lease.receipt.clone(),
            fate: Fate::Back(after),
        });
        let (bare, others) = self.lost(id);
        (bare, own.into_iter().chain(others.into_iter().map(|closed| closed.back_after(after))).collect())
    }

    /// Gives all of them up.
    pub(crate) fn release_all(&mut self) -> Vec<Closed> {
        let mut ids: Vec<LeaseId> = self.leases.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.close(id).map(|closed| closed.back_after(Duration::ZERO))).collect()
    }

    /// How many messages of a poller are in hand.
    pub(crate) fn in_hand(&self, poller: usize) -> usize {
        self.counts.get(&poller).map_or(0, |(all, _)| *all)
    }

    /// How many of them something runs under, or will as soon as it can; the others wait.
    pub(crate) fn busy(&self, poller: usize) -> usize {
        self.counts.get(&poller).map_or(0, |(_, busy)| *busy)
    }

    /// When the oldest message in hand of a poller was sent.
    pub(crate) fn oldest(&self, poller: usize) -> Option<Timestamp> {
        self.leases.values().filter(|lease| lease.poller == poller).filter_map(|lease| lease.sent).min()
    }

    fn close(&mut self, id: LeaseId) -> Option<Closed> {
        let Lease { poller, receipt, group, open, record, busy, .. } = self.leases.remove(&id)?;
        if let Some(counts) = self.counts.get_mut(&poller) {
            *counts = (counts.0 - 1, counts.1 - usize::from(busy));
        }
        if let Some(group) = group
            && let Some(ids) = self.groups.get_mut(&group)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.groups.remove(&group);
            }
        }
        for delivery in open.keys() {
            if let Some(ids) = self.awaited.get_mut(delivery) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.awaited.remove(delivery);
                }
            }
        }
        Some(Closed { poller, receipt, fate: Fate::Delete(record) })
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::event::Identity;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);
    const NOW: HostTime = HostTime(0);

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn arrive(leases: &mut Leases, receipt: &str, group: Option<u8>) -> LeaseId {
        let group = group.map(|group| Identity::of(&[&[group]]));
        let new = NewLease { poller: 0, receipt: Receipt(receipt.into()), length: LENGTH, group, sent: None };
        leases.arrived(new, at(0))
    }

    fn receipts(closed: &[Closed]) -> Vec<&str> {
        closed.iter().map(|one| one.receipt.0.as_str()).collect()
    }

    #[test]
    fn a_message_is_settled_when_all_of_it_has_ended() {
        let mut leases = Leases::default();
        let id = arrive(&mut leases, "a", None);
        assert!(leases.admitted(id, &[DeliveryId(1), DeliveryId(2)], Some(Offset(9))).is_none());
        assert!(leases.ended(DeliveryId(2), NOW).is_empty());
        assert_eq!((leases.in_hand(0), leases.busy(0)), (1, 1));
        leases.rests(DeliveryId(1));
        assert_eq!((leases.in_hand(0), leases.busy(0)), (1, 0), "it keeps nobody from receiving");
        leases.runs(DeliveryId(1));
        assert_eq!(leases.busy(0), 1);
        let closed = leases.ended(DeliveryId(1), NOW);
        assert_eq!((receipts(&closed), &closed[0].fate), (vec!["a"], &Fate::Delete(Some(Offset(9)))));
        assert_eq!((leases.in_hand(0), leases.busy(0)), (0, 0));
        let nobodys = arrive(&mut leases, "b", None);
        assert!(leases.admitted(nobodys, &[], None).is_some());
    }

    #[test]
    fn one_end_settles_every_message_that_waited_for_it() {
        let mut leases = Leases::default();
        for receipt in ["a", "b"] {
            let id = arrive(&mut leases, receipt, None);
            leases.admitted(id, &[DeliveryId(1)], None);
        }
        assert_eq!(receipts(&leases.ended(DeliveryId(1), NOW)), ["a", "b"]);
    }

    #[test]
    fn leases_are_renewed_at_a_third_and_end_when_nobody_renews_them() {
        let mut leases = Leases::default();
        let id = arrive(&mut leases, "a", None);
        leases.admitted(id, &[DeliveryId(1)], None);
        assert_eq!(leases.tick(at(9)), Upkeep::default());
        assert_eq!(leases.tick(at(10)).renew.len(), 1);
        assert_eq!(leases.tick(at(20)), Upkeep::default(), "it is being renewed");
        leases.renewed(id, at(10));
        assert_eq!(leases.next_wake(), Some(at(20)));
        assert_eq!(leases.tick(at(20)).renew.len(), 1);
        assert!(leases.is_held(DeliveryId(1), at(38)));
        assert!(!leases.is_held(DeliveryId(1), at(39)), "a second early");
        assert_eq!(leases.tick(at(39)).expired, [id]);
        assert_eq!(leases.lost(id).0, [DeliveryId(1)]);
    }

    #[test]
    fn what_waits_for_long_is_given_back_when_nothing_else_runs() {
        let mut leases = Leases::default();
        let id = arrive(&mut leases, "a", None);
        leases.admitted(id, &[DeliveryId(1), DeliveryId(2)], Some(Offset(1)));
        let due = |seconds: u64| HostTime(seconds * 1_000);
        assert!(leases.waits(DeliveryId(1), due(100), due(0)).is_empty(), "the other one runs");
        assert!(leases.waits(DeliveryId(2), due(20), due(0)).is_empty(), "not for long");
        leases.runs(DeliveryId(2));
        let given = leases.waits(DeliveryId(2), due(60), due(20));
        assert_eq!(given[0].fate, Fate::Back(Duration::from_secs(40)));
        assert!(!leases.is_held(DeliveryId(1), at(1)));
        let id = arrive(&mut leases, "b", None);
        leases.admitted(id, &[DeliveryId(3), DeliveryId(4)], Some(Offset(2)));
        assert!(leases.waits(DeliveryId(3), due(100), due(0)).is_empty(), "the other one runs");
        assert_eq!(
            leases.ended(DeliveryId(4), due(0))[0].fate,
            Fate::Back(Duration::from_secs(100)),
            "and has ended now"
        );
    }

    #[test]
    fn a_group_is_lost_together() {
        let mut leases = Leases::default();
        let ids: Vec<_> = [("a", 1), ("b", 1), ("c", 2)].map(|(r, g)| arrive(&mut leases, r, Some(g))).into();
        for (n, id) in (1..).zip(&ids) {
            leases.admitted(*id, &[DeliveryId(n)], None);
        }
        let (bare, others) = leases.lost(ids[1]);
        assert_eq!((bare, receipts(&others)), (vec![DeliveryId(1), DeliveryId(2)], vec!["a"]));
        assert!(leases.is_held(DeliveryId(3), at(1)));
        assert_eq!(receipts(&leases.release_all()), ["c"]);
    }
}
