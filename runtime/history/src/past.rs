//! What became of some records.

use std::collections::{BTreeMap, BTreeSet};

use reactor_core::event::{Offset, Origin, ReactorId};
use reactor_core::store::{Fate, Trace, Traces};

/// What became of some records of a channel.
#[derive(Clone, Debug)]
pub struct Past {
    cursor: Offset,
    complete_from: Offset,
    given: BTreeMap<Origin, Vec<(ReactorId, Fate)>>,
    /// Dead letters of what was given to nobody, by records.
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

    /// Whether all that became of a record is known: if nothing is, no reactor wanted it. Otherwise the ledger has forgotten
    /// what is as old, or an earlier version did not note everything.
    pub fn is_complete(&self, offset: Offset) -> bool {
        self.is_admitted(offset) && offset >= self.complete_from
    }

    /// What became of an event, for each reactor that was given it or would have been, had it not been a duplicate.
    pub fn of(&self, origin: Origin) -> &[(ReactorId, Fate)] {
        self.given.get(&origin).map_or(&[], Vec::as_slice)
    }

    /// Whether it is known what became of an event for a reactor.
    pub fn knows(&self, origin: Origin, reactor: ReactorId) -> bool {
        self.of(origin).iter().any(|(of, _)| *of == reactor)
    }

    /// Which events of a record are known.
    pub fn parts(&self, offset: Offset) -> BTreeSet<u32> {
        self.given.keys().filter(|origin| origin.offset == offset).map(|origin| origin.part).collect()
    }

    /// The dead letter of a record, or of an event in it, that no reactor was given.
    pub fn refused(&self, offset: Offset) -> Option<u64> {
        self.refused.get(&offset).copied()
    }
}
