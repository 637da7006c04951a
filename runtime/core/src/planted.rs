//! Bugs that can be planted on purpose, to show that the tests which should find them do. They are planted for the tests of
//! one thread, and only where `debug_assertions` are on: a release build holds none.

/// A bug that a host must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A write is answered before it is synced.
    AnswerBeforeSync,
    /// A sync that failed is taken for one that succeeded.
    IgnoreFailedSync,
    /// An attempt that a crash interrupted counts as done.
    InterruptedIsDone,
    /// A commit is applied even if its sender is fenced off, or its delivery has moved on.
    NoFencing,
    /// A message is deleted before the dead letter that it becomes is durable.
    DeleteBeforeCommit,
    /// A message that cannot be sent now is taken for one that was sent.
    DropUnsent,
    /// An attempt is counted when it ends, and not when it begins.
    CountAtEnd,
    /// A delivery that waits for its next attempt keeps its permit.
    BackOffHoldsPermit,
    /// The ledger forgets by the wall clock.
    ForgetByWallClock,
    /// A redriven delivery counts as a duplicate.
    RedriveIsDuplicate,
    /// A delivery that is loaded from the store has lost its lane.
    LaneIsLost,
    /// A drain keeps the messages that it has not begun to work on.
    DrainKeepsMessages,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AnswerBeforeSync,
        Self::IgnoreFailedSync,
        Self::InterruptedIsDone,
        Self::NoFencing,
        Self::DeleteBeforeCommit,
        Self::DropUnsent,
        Self::CountAtEnd,
        Self::BackOffHoldsPermit,
        Self::ForgetByWallClock,
        Self::RedriveIsDuplicate,
        Self::LaneIsLost,
        Self::DrainKeepsMessages,
    ];
}

#[cfg(debug_assertions)]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in what this thread runs from now on, or removes it.
#[cfg(debug_assertions)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted in what this thread runs.
#[cfg(debug_assertions)]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// No bug is ever planted in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn is_planted(_: Bug) -> bool {
    false
}
