//! Dead letters as they may be shown: without the values of variables, and a page at a time.

use reactor_core::store::{DeadFilter, StoreClient, StoreError, StoredDead};

use super::hidden;

/// Dead letters read from the store at a time.
const PAGE: usize = 256;

/// A dead letter, if there is one with this number.
pub(super) fn one(store: &dyn StoreClient, id: u64) -> Result<Option<StoredDead>, StoreError> {
    Ok(store.dead_letter(id)?.map(hidden::letter))
}

/// Passes on dead letters, newest first and without their bodies; it never holds more than a page of them.
pub(super) fn each(
    store: &dyn StoreClient,
    filter: &DeadFilter,
    mut take: impl FnMut(StoredDead),
) -> Result<(), StoreError> {
    pages(store, filter, |page| {
        page.into_iter().for_each(&mut take);
        Ok(())
    })
}

/// The same, a page at a time.
pub(super) fn pages<E: From<StoreError>>(
    store: &dyn StoreClient,
    filter: &DeadFilter,
    mut take: impl FnMut(Vec<StoredDead>) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = if filter.limit == 0 { usize::MAX } else { filter.limit };
    let mut below = filter.below;
    while left > 0 {
        let found = store.dead_letters(&DeadFilter { below, limit: PAGE.min(left), brief: true, ..filter.clone() })?;
        let Some(last) = found.last() else { break };
        below = Some(last.id);
        left -= found.len();
        take(found.into_iter().map(hidden::letter).collect())?;
    }
    Ok(())
}
