//! The fates of some records.

use std::collections::{BTreeMap, BTreeSet};

use reactor_core::event::{Offset, Origin, ReactorId};
use reactor_core::store::{Fate, Trace, Traces};

/// The fates of some records of a channel.
#[derive(Clone, Debug)]
pub struct Past {
    cursor: Offset,
    complete_from: Offset,
    given: BTreeMap<Origin, Vec<(ReactorId, Fate)>>,
    /// Dead letters of records that no reactor was given.
    refused: BTreeMap<Offset, u64>,
}

impl Past {
    pub(super) fn new(cursor: Offset, traces: Traces) -> Self {
        let Traces { all, complete_from } = traces;
        let mut past = Self { cursor, complete_from, given: BTreeMap::new(), refused: BTreeMap::new() };
        for Trace { origin, reactor, fate } in all {
            match (reactor, fate) {
                (Some(reactor), fate) => past.given.entry(origin).or_default().push((reactor, fate)),
                (None, Fate::Dead(letter)) => {
                    past.refused.entry(origin.offset).or_insert(letter);
                }
                (None, _) => {}
            }
        }
        past
    }

    /// Whether a record has been read and routed.
    pub fn is_admitted(&self, offset: Offset) -> bool {
        offset < self.cursor
    }

    /// Whether everything about a record's fate is known: if there is no fate, no reactor wanted it. Otherwise the
    /// ledger has forgotten events of that age, or an earlier version did not note everything.
    pub fn is_complete(&self, offset: Offset) -> bool {
        self.is_admitted(offset) && offset >= self.complete_from
    }

    /// The fate of an event, for each reactor that was given it or would have been if it were not a duplicate.
    pub fn of(&self, origin: Origin) -> &[(ReactorId, Fate)] {
        self.given.get(&origin).map_or(&[], Vec::as_slice)
    }

    /// Whether the fate of an event for a reactor is known.
    pub fn knows(&self, origin: Origin, reactor: ReactorId) -> bool {
        self.of(origin).iter().any(|(of, _)| *of == reactor)
    }

    /// The parts of a record whose events are known.
    pub fn parts(&self, offset: Offset) -> BTreeSet<u32> {
        self.given.keys().filter(|origin| origin.offset == offset).map(|origin| origin.part).collect()
    }

    /// The dead letter of a record, or of an event in it, if no reactor was given it.
    pub fn refused(&self, offset: Offset) -> Option<u64> {
        self.refused.get(&offset).copied()
    }
}
