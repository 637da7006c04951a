//! One ordering key of one reactor: its deliveries run one after the other, in the order of admission.

use std::collections::{BTreeSet, VecDeque};

use reactor_core::event::{DeliveryId, Version};
use reactor_core::store::LaneState;

use super::Ending;

/// The deliveries of a lane that are in memory, and what is known of the others.
///
/// The next delivery may start as soon as the one before it has *run*, on its uncommitted writes; its commit then
/// depends on the earlier commit. If a commit is refused, nothing starts until every run built on it has returned.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: BTreeSet<DeliveryId>,
    running: Option<DeliveryId>,
    committing: VecDeque<Committing>,
    /// A commit was refused: every run built on it must return before the next start.
    unwinding: bool,
    block: Block,
    pub(super) held: Held,
    /// Until this delivery has ended, each one starts only when those before it are durable: it ran speculatively when
    /// a host died, and may have caused that.
    careful: Option<DeliveryId>,
    /// The lane is in its reactor's list of things to start.
    pub(super) listed: bool,
}

/// Why nothing but the head may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block {
    state: Option<LaneState>,
    /// The delivery that the lane waits for, once it is in memory again.
    head: Option<DeliveryId>,
}

#[derive(Debug)]
struct Committing {
    id: DeliveryId,
    number: Version,
    /// How the lane was blocked before this run ended, to return to if its commit is refused.
    before: Block,
    blocks: bool,
}

/// Deliveries of the lane that are only in the store.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// There may be more in the store.
    pub(super) more: bool,
    /// The last one loaded.
    pub(super) after: DeliveryId,
    /// A load has been asked for and not answered yet.
    pub(super) loading: bool,
    /// Meanwhile others came behind those that it has seen.
    came_meanwhile: bool,
    /// Meanwhile others came between those that it has seen: what it found must not be used.
    pub(super) stale: bool,
    /// Writes under way that turn deliveries into held ones; loading before they are done would miss them.
    pub(super) writing: usize,
    /// The lane is in its reactor's list of lanes that wait for room in memory.
    pub(super) starved: bool,
}

impl Held {
    /// Another has been admitted as held: behind all others.
    pub(super) fn came(&mut self) {
        self.more = true;
        self.came_meanwhile = self.loading;
    }

    /// One that was in memory is being made a held one, and may belong between others.
    pub(super) fn is_being_written(&mut self) {
        self.more = true;
        self.writing += 1;
        self.stale = self.loading;
    }

    /// That is in the store.
    pub(super) fn written(&mut self) {
        self.writing -= 1;
        self.start_over();
    }

    /// They are to be loaded from the first one on.
    fn start_over(&mut self) {
        self.more = true;
        self.after = DeliveryId(0);
        self.stale = self.loading;
    }

    /// A load has been answered, as far as the last one that was dealt with; there may be more.
    pub(super) fn loaded(&mut self, last: Option<DeliveryId>, more: bool) {
        (self.loading, self.stale) = (false, false);
        self.after = last.unwrap_or(self.after);
        self.more = std::mem::take(&mut self.came_meanwhile) || more;
    }
}

impl Lane {
    /// A lane as the last owner left it.
    pub(super) fn recovered(state: LaneState) -> Self {
        let state = (state != LaneState::Free).then_some(state);
        Self { block: Block { state, head: None }, held: Held { more: true, ..Held::default() }, ..Self::default() }
    }

    /// From now on, and until this delivery has ended, nothing runs on uncommitted writes.
    pub(super) fn be_careful(&mut self, until: DeliveryId) {
        self.careful = self.careful.max(Some(until));
    }

    /// A delivery has ended or left memory.
    fn passed(&mut self, id: DeliveryId) {
        self.careful = self.careful.filter(|until| *until > id);
    }

    /// Whether a new delivery must queue behind others that are only in the store.
    pub(super) fn must_hold(&self) -> bool {
        self.block.state.is_some() || self.held.more || self.held.writing > 0
    }

    pub(super) fn is_parked(&self) -> bool {
        self.block.state == Some(LaneState::Parked)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.block.state == Some(LaneState::Waiting)
    }

    pub(super) fn push(&mut self, id: DeliveryId) {
        self.queue.insert(id);
    }

    /// The delivery that the lane has been waiting for.
    pub(super) fn push_head(&mut self, id: DeliveryId) {
        self.queue.insert(id);
        self.block.head = Some(id);
    }

    /// The head no longer waits.
    pub(super) fn unblock(&mut self) {
        self.block = Block::default();
        self.held.start_over();
    }

    /// What may start now.
    pub(super) fn startable(&self) -> Option<DeliveryId> {
        let must_wait = self.careful.is_some() && !self.committing.is_empty();
        if self.running.is_some() || self.unwinding || must_wait {
            return None;
        }
        if self.block.state.is_some() {
            return self.block.head.filter(|head| self.queue.contains(head));
        }
        self.queue.first().copied()
    }

    /// Starts the next startable delivery; returns the commit that it builds on.
    pub(super) fn start(&mut self) -> Option<(DeliveryId, Option<Version>)> {
        let id = self.startable()?;
        self.queue.remove(&id);
        self.running = Some(id);
        Some((id, self.committing.back().map(|last| last.number)))
    }

    /// The deliveries in memory behind the head.
    pub(super) fn followers(&self) -> Vec<DeliveryId> {
        self.queue.iter().copied().collect()
    }

    /// The next deliveries, if nothing blocks them.
    pub(super) fn next(&self, most: usize) -> Vec<DeliveryId> {
        if self.block.state.is_some() || self.unwinding || self.careful.is_some() {
            return Vec::new();
        }
        self.queue.iter().copied().take(most).collect()
    }

    /// Whether held deliveries should be read from the store now.
    pub(super) fn wants_held(&self) -> bool {
        self.has_work_in_store()
            && !self.held.loading
            && self.held.writing == 0
            && self.queue.len() < super::LANE_WINDOW / 2
    }

    /// Whether deliveries that are only in the store, or on their way there, can continue without a person or a due
    /// time.
    pub(super) fn has_work_in_store(&self) -> bool {
        self.block.state.is_none() && (self.held.more || self.held.writing > 0)
    }

    /// The running delivery has ended and its commit is in flight.
    pub(super) fn run_ended(&mut self, id: DeliveryId, number: Version, ending: Ending) {
        debug_assert_eq!(self.running, Some(id));
        self.running = None;
        let before = self.block;
        let blocks = ending.blocks();
        self.committing.push_back(Committing { id, number, before, blocks: blocks.is_some() });
        match blocks {
            Some(state) => self.block = Block { state: Some(state), head: None },
            None if before.state.is_some() => self.unblock(),
            None => {}
        }
    }

    /// The run was cancelled without a result; the delivery runs again.
    pub(super) fn run_cancelled(&mut self, id: DeliveryId) {
        if self.running == Some(id) {
            self.running = None;
            self.queue.insert(id);
            self.unwound();
        }
    }

    /// The delivery has left memory without having ended, and the lane does not wait for it.
    pub(super) fn withdrawn(&mut self, id: DeliveryId) {
        self.passed(id);
        if self.running == Some(id) {
            self.running = None;
            self.unwound();
        }
        if self.block.head == Some(id) {
            self.unblock();
        }
    }

    /// The commit is durable. Returns which followers leave memory if the lane is now blocked.
    pub(super) fn committed(&mut self, id: DeliveryId) -> Vec<DeliveryId> {
        let Some(position) = self.committing.iter().position(|entry| entry.id == id) else { return Vec::new() };
        let Some(entry) = self.committing.remove(position) else { return Vec::new() };
        self.passed(id);
        self.unwound();
        if !entry.blocks {
            return Vec::new();
        }
        self.held.start_over();
        std::mem::take(&mut self.queue).into_iter().collect()
    }

    /// The commit was refused: the delivery and everything built on it run again.
    pub(super) fn conflicted(&mut self, id: DeliveryId) {
        if let Some(position) = self.committing.iter().position(|entry| entry.id == id)
            && let Some(entry) = self.committing.remove(position)
        {
            self.block = entry.before;
        }
        self.queue.insert(id);
        self.unwinding = true;
        self.unwound();
    }

    fn unwound(&mut self) {
        if self.running.is_none() && self.committing.is_empty() {
            self.unwinding = false;
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.running.is_none()
            && self.committing.is_empty()
            && self.block.state.is_none()
            && !self.held.more
            && self.held.writing == 0
            && self.careful.is_none()
    }
}
