//! Which received messages this host has under lease, which of their deliveries have not ended, and when to renew.
//! Pure: no clock, no I/O.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use reactor_core::channel::Receipt;
use reactor_core::clock::Moment;
use reactor_core::event::{DeliveryId, HostTime, LaneKey, Offset};

/// Treat a lease as expired this long before the queue does: its clock starts when it sends the answer, ours when we
/// receive it.
const MARGIN: Duration = Duration::from_secs(1);

/// The leases of all channels.
#[derive(Default)]
pub(crate) struct Leases {
    last: u64,
    leases: HashMap<LeaseId, Lease>,
    /// The leases that wait for a delivery to end.
    awaited: HashMap<DeliveryId, Vec<LeaseId>>,
    groups: HashMap<LaneKey, HashSet<LeaseId>>,
    /// When to look at which lease again.
    timers: BinaryHeap<Reverse<(Moment, LeaseId)>>,
    /// Per poller: how many leases there are, and how many have a delivery that runs or is about to.
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
    /// Counted as one with a delivery that runs or is about to.
    busy: bool,
    /// The record made of it, if all deliveries of the record are in `open`.
    record: Option<Offset>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs, or will as soon as it can.
    Busy,
    /// It waits behind others of its lane, or at its head.
    Resting,
    /// It waits for its next attempt, with none behind it.
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

/// What to do with a message that is no longer held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) poller: usize,
    pub(crate) receipt: Receipt,
    pub(crate) fate: Fate,
}

/// What happens to a message that is no longer held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it has ended: it is deleted, and its record, if any, is no longer needed.
    Delete(Option<Offset>),
    /// It is to be received again after this time.
    Back(Duration),
}

impl Closed {
    fn back_after(self, rest: Duration) -> Self {
        Self { fate: Fate::Back(rest), ..self }
    }
}

/// What to do about leases now.
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

    /// The deliveries of a message are known. Returns the lease if all of them have ended.
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

    /// A delivery has ended. Returns the leases held for it alone.
    pub(crate) fn ended(&mut self, delivery: DeliveryId, now: HostTime) -> Vec<Closed> {
        let awaiting = self.awaited.remove(&delivery).unwrap_or_default();
        for id in &awaiting {
            self.leases.get_mut(id).into_iter().for_each(|lease| _ = lease.open.remove(&delivery));
            self.recount(*id);
        }
        awaiting.into_iter().filter_map(|id| self.close_if_idle(id, now)).collect()
    }

    /// A delivery waits for its next attempt. Returns leases with nothing that runs before it.
    pub(crate) fn waits(&mut self, delivery: DeliveryId, due: HostTime, now: HostTime) -> Vec<Closed> {
        let awaiting = self.set(delivery, State::Waiting(due));
        awaiting.into_iter().filter_map(|id| self.close_if_idle(id, now)).collect()
    }

    /// Closes a lease under which nothing runs: for good if all has ended, or if all of it waits longer than the lease
    /// lasts.
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

    /// A delivery waits behind others of its lane, or others wait behind it: it keeps its lease.
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

    /// The poller that received a lease's message, if the lease is still held.
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
            // Most of these timers belong to messages that ended long ago.
            let leases = &self.leases;
            self.timers.retain(|Reverse((at, id))| leases.get(id).is_some_and(|lease| lease.wake == *at));
        }
        upkeep
    }

    /// When [`Leases::tick`] has something to do next.
    pub(crate) fn next_wake(&self) -> Option<Moment> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// A lease was renewed by a call made at `sent`.
    pub(crate) fn renewed(&mut self, id: LeaseId, sent: Moment) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.renewing = false;
            lease.expires = (sent + lease.length).before(MARGIN);
            lease.wake = sent + lease.length / 3;
            self.timers.push(Reverse((lease.wake, id)));
        }
    }

    /// A lease is lost, and with it those of the same FIFO group, which must not continue without it. Returns the
    /// deliveries left without a lease, and the other leases of the group.
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

    /// Gives back a lease and those of the same FIFO group; their messages can be received again after this time. Also
    /// returns the deliveries left without a lease.
    pub(crate) fn release(&mut self, id: LeaseId, after: Duration) -> (Vec<DeliveryId>, Vec<Closed>) {
        let own = self.leases.get(&id).map(|lease| Closed {
            poller: lease.poller,
            receipt: lease.receipt.clone(),
            fate: Fate::Back(after),
        });
        let (bare, others) = self.lost(id);
        (bare, own.into_iter().chain(others.into_iter().map(|closed| closed.back_after(after))).collect())
    }

    /// Gives back all leases.
    pub(crate) fn release_all(&mut self) -> Vec<Closed> {
        let mut ids: Vec<LeaseId> = self.leases.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.close(id).map(|closed| closed.back_after(Duration::ZERO))).collect()
    }

    /// How many messages of a poller are in hand.
    pub(crate) fn in_hand(&self, poller: usize) -> usize {
        self.counts.get(&poller).map_or(0, |(all, _)| *all)
    }

    /// How many of them have a delivery that runs or is about to; the others wait.
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
