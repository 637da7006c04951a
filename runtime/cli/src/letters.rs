//! Dead letters as they may be shown: without the values of variables, and a page at a time.

use reactor_core::store::{DeadFilter, StoreClient, StoreError, StoredDead};

use super::hidden;

/// Dead letters read from the store at a time: a message has up to a mebibyte.
const PAGE: usize = 256;
const PAGE_WITH_BODIES: usize = 8;

/// A dead letter, if there is one with this number.
pub(super) fn one(store: &dyn StoreClient, id: u64) -> Result<Option<StoredDead>, StoreError> {
    Ok(store.dead_letter(id)?.map(hidden::letter))
}

/// Passes on dead letters, newest first, without ever holding more than a page of them.
pub(super) fn each(
    store: &dyn StoreClient,
    filter: &DeadFilter,
    mut take: impl FnMut(StoredDead),
) -> Result<(), StoreError> {
    let page = if filter.brief { PAGE } else { PAGE_WITH_BODIES };
    let mut left = if filter.limit == 0 { usize::MAX } else { filter.limit };
    let mut below = filter.below;
    while left > 0 {
        let found = store.dead_letters(&DeadFilter { below, limit: page.min(left), ..filter.clone() })?;
        let Some(last) = found.last() else { break };
        below = Some(last.id);
        left -= found.len();
        found.into_iter().map(hidden::letter).for_each(&mut take);
    }
    Ok(())
}
